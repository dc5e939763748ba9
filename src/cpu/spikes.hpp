#pragma once

#include <cstdint>

#include <volley/buffer.hpp>
#include <volley/threads.hpp>

#include "ops/views.hpp"

namespace volley::cpu {

/// Spikes that the CPU keeps for itself.
struct SpikesMemory {
  Buffer<std::uint64_t> words;
  Buffer<std::uint32_t> active, active_count;
  ops::SpikesView view;  // of these
};

/// The same spikes in the other order, row-major.
void to_trains(SpikesMemory& out, const ops::SpikesView& steps, ThreadPool& threads);
void to_steps(SpikesMemory& out, const ops::SpikesView& trains, ThreadPool& threads);

}  // namespace volley::cpu

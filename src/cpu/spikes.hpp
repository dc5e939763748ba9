#pragma once

#include <cstdint>

#include <volley/buffer.hpp>
#include <volley/threads.hpp>

#include "kernels/bits.hpp"
#include "ops/views.hpp"

namespace volley::cpu {

/// Spikes that the CPU keeps for itself.
struct SpikesMemory {
  Buffer<std::uint64_t> words;
  Buffer<std::uint32_t> active, active_count;
  ops::SpikesView view;  // of these
};

/// counts (F) = how often each feature of sample n, as features are numbered, fired in its first `steps`
/// steps.
void count_by_feature(std::uint32_t* counts, const ops::SpikesView& x, std::size_t n, std::size_t steps);

/// The same spikes in the other order, row-major: (N, F, ceil(T / 64)) words with the lists of the features,
/// or (N, T, ceil(F / 64)).
void to_trains(std::uint64_t* words, std::uint32_t* active, std::uint32_t* active_count,
               const ops::SpikesView& steps, ThreadPool& threads);
void to_steps(std::uint64_t* words, const ops::SpikesView& trains, ThreadPool& threads);
/// The same to memory of their own.
void to_trains(SpikesMemory& out, const ops::SpikesView& steps, ThreadPool& threads);
void to_steps(SpikesMemory& out, const ops::SpikesView& trains, ThreadPool& threads);

/// Whether feature k of sample n, as features are numbered, fired at step t.
bool fired(const ops::SpikesView& spikes, std::size_t n, std::size_t t, std::size_t k);

/// Calls body(t, feature) for each spike of sample n in its first `steps` steps.
template <class Body>
void for_each_spike(const ops::SpikesView& x, std::size_t n, std::size_t steps, const Body& body) {
  const std::uint64_t* row = x.sample(n);
  if (x.trains) {
    const std::uint32_t* const active = x.active + n * x.F;
    for (std::size_t a = 0; a < x.active_count[n]; ++a, row += x.row_words)
      kernels::for_each_bit_from(row, 0, steps, [&](std::size_t t) { body(t, active[a]); });
    return;
  }
  const std::size_t words = x.row_words / x.positions;
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t p = 0; p < x.positions; ++p, row += words)
      kernels::for_each_bit_from(row, 0, words * 64, [&](std::size_t c) { body(t, c * x.positions + p); });
  }
}

}  // namespace volley::cpu

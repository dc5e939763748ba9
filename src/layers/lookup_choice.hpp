#pragma once

#include <volley/buffer.hpp>
#include <volley/spikes.hpp>
#include <volley/threads.hpp>

#include "kernels/bits.hpp"
#include "kernels/reduce.hpp"
#include "layers/spike_words.hpp"

namespace volley {

/// With more spikes than this share a sample takes look-ups, with fewer the gather
/// (docs/decisions/kernels.md).
inline constexpr double kLookupShare = 0.18;

/// by_lookup (N): 1 for each sample that takes look-ups. They add in another order than the gather, so the
/// choice is made from the exact number of its own spikes: whatever else is in the batch, a sample has the
/// same bits. The spikes are in step order.
inline void choose_lookup(Buffer<std::uint8_t>& by_lookup, const Spikes& spikes, ThreadPool& threads) {
  by_lookup.resize(spikes.samples());
  const std::size_t words = spikes.steps() * SpikeWords::row_words(spikes);
  const double limit = kLookupShare * static_cast<double>(spikes.steps() * spikes.features());
  parallel_for(threads, spikes.samples(), 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t fired = kernels::count_bits(SpikeWords::steps(spikes, n), words);
      by_lookup[n] = static_cast<double>(fired) > limit ? 1 : 0;
    }
  });
}

}  // namespace volley

#pragma once

#include <volley/signal.hpp>
#include <volley/threads.hpp>
#include <volley/window.hpp>

#include "layers/spike_words.hpp"

namespace volley {

// What the layers on the pictures (N, T, C, H, W) of a channels-last signal share.

inline Size2 picture_of(const Signal& x) { return {x.shape()[3], x.shape()[4]}; }

/// Calls body(n) for every stored picture, sample by sample.
template <class Body>
void for_pictures(const Signal& x, ThreadPool& threads, const Body& body) {
  const std::size_t steps = x.stored_steps();
  parallel_for(threads, x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin * steps; n < end * steps; ++n) body(n);
  });
}

inline const std::uint64_t* words_of(const Spikes& spikes, std::size_t picture) {
  return SpikeWords::steps(spikes, 0) + picture * SpikeWords::row_words(spikes);
}

}  // namespace volley

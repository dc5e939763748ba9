#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/philox.hpp"

namespace volley::kernels {

/// Poisson spike trains of one picture, for which docs/math/poisson.md is the specification and
/// spec/poisson.hpp the twin.
///   active  (F) receives the features that fired at least once, ascending; returns how many
///   trains  (F, W) words, W = ceil(T / 64), of which row a is that of feature active[a] and the rest is
///           unspecified: bit t % 64 of word t / 64 is step t; bits beyond T are 0
///   pixels  (F), fire with probability pixel / 255
std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key);

/// The same for real values (F), which are the probabilities: at most 0 (or NaN) never fires, at least 1
/// always does.
std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const float* probabilities,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key);

/// Asks for the cache lines of a picture.
inline void prefetch(std::span<const std::uint8_t> pixels) {
  for (std::size_t i = 0; i < pixels.size(); i += 64) __builtin_prefetch(pixels.data() + i);
}

}  // namespace volley::kernels

#pragma once

#include <cstddef>
#include <cstdint>

#include <volley/buffer.hpp>

#include "core/philox.hpp"

namespace volley::kernels {

/// Memory that poisson_encode works in, one per thread; grows to what the largest picture needs. The places
/// whose draw is not decided yet.
struct PoissonScratch {
  Buffer<std::uint64_t> places;  // feature << 32 | step / 16
  Buffer<std::uint64_t> digits;  // the pixel of each, in all 8 bytes
  Buffer<std::uint16_t> open;    // the undecided steps of each, a bit a step
  Buffer<std::uint32_t> word16;  // where the 16 steps of each lie in the trains
};

/// Poisson spike trains of one picture, for which docs/math/poisson.md is the specification and
/// reference/poisson.hpp the twin.
///   active  (F) receives the features that are not silent, ascending; returns how many
///   trains  (F, W) words, W = ceil(T / 64), of which row a is that of feature active[a] and the rest is not
///   touched:
///           bit t % 64 of word t / 64 is step t; bits beyond T are 0
///   pixels  (F), fire with probability pixel / 255
std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key,
                           PoissonScratch& scratch);

}  // namespace volley::kernels

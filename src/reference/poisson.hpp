#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox.hpp"

namespace volley::reference {

/// Levels of bytes that are drawn at the most: what is undecided after them, 2^-64 of all draws, does not
/// fire.
inline constexpr std::uint32_t kPoissonLevels = 8;

/// Whether pixel k of `feature` fires at `step`: with probability k / 255, by comparing random bytes with the
/// digits of k / 255 = 0.kkk... in base 256 (docs/math/poisson.md). What kernels/poisson.cpp must compute.
inline bool poisson_fires(std::uint8_t k, std::size_t step, std::uint32_t feature, std::uint32_t sample,
                          PhiloxKey key) {
  if (k == 255) return true;
  for (std::uint32_t level = 0; level < kPoissonLevels; ++level) {
    const PhiloxCounter block = philox({static_cast<std::uint32_t>(step / 16), feature, sample, level}, key);
    const std::size_t byte = step % 16;
    const std::uint8_t r = static_cast<std::uint8_t>(block[byte / 4] >> (8 * (byte % 4)));
    if (r != k) return r < k;
  }
  return false;
}

}  // namespace volley::reference

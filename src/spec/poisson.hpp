#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox.hpp"

namespace volley::spec {

/// Levels of bytes that are drawn at the most: what is undecided after them, 2^-64 of all draws, does not
/// fire.
inline constexpr std::uint32_t kPoissonLevels = 8;
inline constexpr std::uint64_t kPoissonAlways = ~std::uint64_t{0};

/// The first eight digits in base 256, the highest byte first, of the probability k / 255 = 0.kkk... (P2);
/// 255, which would miss 2^-64 of its steps, is kPoissonAlways.
constexpr std::uint64_t poisson_digits(std::uint8_t k) { return k * 0x0101010101010101u; }

/// Those of a real-valued probability; exact for every float of 2^-40 and more.
constexpr std::uint64_t poisson_digits(float p) {
  if (!(p > 0)) return 0;
  if (p >= 1) return kPoissonAlways;
  return static_cast<std::uint64_t>(static_cast<double>(p) * 0x1p64);
}

/// Whether a feature of these digits fires: random bytes are compared with the digits until they differ.
/// `byte(level)` is asked for only while those before it were equal to theirs.
template <class Byte>
bool poisson_fires(std::uint64_t digits, const Byte& byte) {
  for (std::uint32_t level = 0; level < kPoissonLevels; ++level) {
    const std::uint8_t r = byte(level);
    const std::uint8_t digit = static_cast<std::uint8_t>(digits >> (56 - 8 * level));
    if (r != digit) return r < digit;
  }
  return false;
}

/// Whether it fires at `step` (docs/math/poisson.md). What kernels/poisson.cpp must compute.
inline bool poisson_fires(std::uint64_t digits, std::size_t step, std::uint32_t feature, std::uint32_t sample,
                          PhiloxKey key) {
  if (digits == kPoissonAlways) return true;
  return poisson_fires(digits, [&](std::uint32_t level) {
    const PhiloxCounter block = philox({static_cast<std::uint32_t>(step / 16), feature, sample, level}, key);
    const std::size_t byte = step % 16;
    return static_cast<std::uint8_t>(block[byte / 4] >> (8 * (byte % 4)));
  });
}

}  // namespace volley::spec

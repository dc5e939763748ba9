#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace volley {

/// The number that these bits are as an IEEE float16; float32 holds each of them.
inline float half_value(std::uint16_t bits) {
  const std::uint32_t size = bits & 0x7fffu;
  float value = 0;
  if (size < 0x0400) {  // subnormal: a multiple of 2^-24
    value = static_cast<float>(size) * 0x1p-24f;
  } else if (size < 0x7c00) {  // the bias of the exponent grows from 15 to 127
    value = std::bit_cast<float>((size << 13) + (112u << 23));
  } else {
    value = size == 0x7c00 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

/// The same of bfloat16, the upper half of a float32.
inline float bfloat16_value(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

}  // namespace volley

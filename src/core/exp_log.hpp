#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace volley {

// exp_of, log_of and log1p_of of a float have the same bits everywhere: on every processor, in scalar code
// and in the kernels' vectors. Of a double they are the standard library's, which the specification is tested
// with.

namespace detail::scalar {

using Float = float;
using Int = std::uint32_t;
using Mask = bool;

inline float number(float x) { return x; }
inline std::uint32_t integer(int x) { return static_cast<std::uint32_t>(x); }
inline float fused(float a, float b, float c) { return std::fma(a, b, c); }
template <int kBits>
std::uint32_t shift_left(std::uint32_t x) {
  return x << kBits;
}
template <int kBits>
std::uint32_t shift_right(std::uint32_t x) {
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(x) >> kBits);
}
inline std::uint32_t to_bits(float x) { return std::bit_cast<std::uint32_t>(x); }
inline float from_bits(std::uint32_t x) { return std::bit_cast<float>(x); }
inline float to_float(std::uint32_t x) { return static_cast<float>(static_cast<std::int32_t>(x)); }
inline bool less(float a, float b) { return a < b; }
inline float select(bool mask, float yes, float no) { return mask ? yes : no; }

#define VOLLEY_INLINE inline
#include "core/exp_log.inc"
#undef VOLLEY_INLINE

}  // namespace detail::scalar

using detail::scalar::exp_of;
using detail::scalar::log1p_of;
using detail::scalar::log_of;
inline double exp_of(double x) { return std::exp(x); }
inline double log_of(double x) { return std::log(x); }
inline double log1p_of(double x) { return std::log1p(x); }

}  // namespace volley

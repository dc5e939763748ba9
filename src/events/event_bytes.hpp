#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "core/load.hpp"

namespace volley {

inline std::uint16_t load_big16(const void* from) { return __builtin_bswap16(load<std::uint16_t>(from)); }
inline std::uint32_t load_big32(const void* from) { return __builtin_bswap32(load<std::uint32_t>(from)); }

/// Appends the bytes of `value`, little-endian.
template <class T>
void append(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

/// The time that a counter of `kBits` bits counts, beyond its wraps.
template <int kBits>
class WrappingCounter {
 public:
  /// For a counter whose values may be a little late: a step of more than half its range is a wrap, forward
  /// or back.
  std::uint64_t nearest(std::uint64_t value) {
    if (last_ > value + kHalf) {
      base_ += kRange;
    } else if (value > last_ + kHalf && base_ > 0) {
      base_ -= kRange;
    }
    last_ = value;
    return base_ + value;
  }
  /// For one that only rises: a fall of half its range or more is a wrap.
  std::uint64_t rising(std::uint64_t value) {
    if (last_ >= value + kHalf) base_ += kRange;
    last_ = value;
    return base_ + value;
  }

 private:
  static constexpr std::uint64_t kRange = std::uint64_t{1} << kBits, kHalf = kRange / 2;

  std::uint64_t base_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace volley

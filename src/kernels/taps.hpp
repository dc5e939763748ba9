#pragma once

#include <cstddef>
#include <cstdint>

namespace volley::kernels {

/// Which positions of one picture each position of another looks at: index (positions, taps) holds a
/// position, or kOutside. Convolutions and pools, forward and backward, know of windows, strides and padding
/// only this.
inline constexpr std::int32_t kOutside = -1;

struct Taps {
  const std::int32_t* index;
  std::size_t positions;
  std::size_t taps;
  bool partition = false;  // whether every position there is looked at, and by one tap alone
};

}  // namespace volley::kernels

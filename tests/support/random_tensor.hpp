#pragma once

#include <algorithm>
#include <cstdint>

#include <volley/tensor.hpp>

#include "support/random.hpp"

namespace volley::test {

/// Repeatable values from low to high, each tensor with a seed of its own.
inline Tensor random_tensor(const Shape& shape, std::uint32_t seed, double low = -1, double high = 1) {
  Tensor tensor(shape);
  std::ranges::copy(Random(seed).values<float>(shape.size(), low, high), tensor.data());
  return tensor;
}

}  // namespace volley::test

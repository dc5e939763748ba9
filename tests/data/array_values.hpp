#pragma once

#include <cstdint>
#include <vector>

#include <volley/array.hpp>

namespace volley::test {

using Floats = std::vector<float>;
using Whole = std::vector<std::uint32_t>;

/// Every element of an array.
inline Floats floats_of(const Array& array) {
  Floats values(array.shape().size());
  array.floats(values, 0);
  return values;
}
inline Whole whole_of(const Array& array) {
  Whole values(array.shape().size());
  array.whole(values, 0);
  return values;
}

}  // namespace volley::test

#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

namespace volley {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian, and are copied as they are");

/// The little-endian number at `from`, of any alignment.
template <class T>
T load(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace volley

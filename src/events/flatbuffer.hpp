#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/load.hpp"
#include "events/decoder.hpp"

namespace volley {

/// A flatbuffer that is only read. Every offset is checked: FileError where it leads out of the bytes.
///
/// It begins with the offset of the root table, and an identifier of 4 bytes. A table begins with the
/// distance back to its vtable: 16-bit numbers that are its own size, the table's, and for each field its
/// offset in the table, 0 where the field is absent.
class FlatBuffer {
 public:
  /// Reads the root's place. Throws FileError for another identifier.
  FlatBuffer(const EventBytes& file, std::string_view bytes, std::string_view identifier)
      : file_(file), bytes_(bytes) {
    if (bytes.substr(0, 8).substr(std::min<std::size_t>(bytes.size(), 4)) != identifier)
      fail(fmt::format("the identifier {}", identifier), "another");
    table_ = at<std::uint32_t>(0);
    const std::int64_t vtable = static_cast<std::int64_t>(table_) - at<std::int32_t>(table_);
    if (vtable < 0) fail("a vtable within the bytes", "one before them");
    vtable_ = static_cast<std::size_t>(vtable);
    vtable_bytes_ = at<std::uint16_t>(vtable_);
  }

  /// A number of the root table.
  template <class T>
  T number(std::size_t field, T absent) const {
    const std::size_t place = place_of(field);
    return place == 0 ? absent : at<T>(place);
  }
  /// The elements of a vector of the root table, of `size` bytes each; a string's are of 1.
  std::string_view vector(std::size_t field, std::size_t size) const {
    const std::size_t place = place_of(field);
    if (place == 0) return {};
    const std::size_t begin = place + at<std::uint32_t>(place);
    const std::uint64_t bytes = std::uint64_t{at<std::uint32_t>(begin)} * size;
    const std::size_t room = bytes_.size() - begin - 4;
    if (bytes > room) fail(fmt::format("a vector of {} bytes", bytes), fmt::format("{}", room));
    return bytes_.substr(begin + 4, bytes);
  }

 private:
  [[noreturn]] void fail(std::string_view expected, std::string_view found) const {
    file_.fail(fmt::format("a flatbuffer with {}", expected), found);
  }

  template <class T>
  T at(std::size_t place) const {
    if (place > bytes_.size() || bytes_.size() - place < sizeof(T))
      fail(fmt::format("offsets within its {} bytes", bytes_.size()), fmt::format("{}", place));
    return load<T>(bytes_.data() + place);
  }
  /// Where a field of the root table is; 0 where it is absent.
  std::size_t place_of(std::size_t field) const {
    const std::size_t entry = 4 + 2 * field;
    if (entry + 2 > vtable_bytes_) return 0;
    const std::size_t offset = at<std::uint16_t>(vtable_ + entry);
    return offset == 0 ? 0 : table_ + offset;
  }

  const EventBytes& file_;
  std::string_view bytes_;
  std::size_t table_ = 0;
  std::size_t vtable_ = 0;
  std::size_t vtable_bytes_ = 0;
};

}  // namespace volley

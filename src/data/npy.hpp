#pragma once

#include <cstddef>
#include <string_view>

#include <volley/array.hpp>

#include "data/array_file.hpp"

namespace volley {

// The .npy format: "\x93NUMPY", the version (2 bytes), the length of the header (2 bytes; 4 since version
// 2.0), the header, the elements. The header is the text of a Python dict:
//
//     {'descr': '<f4', 'fortran_order': False, 'shape': (10, 3), }

/// Bytes that say where the header ends.
inline constexpr std::size_t kNpyBeginBytes = 12;

struct NpyHeader {
  Shape shape;
  ElementType type = ElementType::f32;
  std::size_t data_bytes = 0;
};

/// Where the elements begin, by the first kNpyBeginBytes or more of `size` bytes. Throws FileError for what
/// is no .npy, and where that is beyond `size`.
std::size_t npy_data_begin(const ReadPlace& place, std::string_view begin, std::size_t size);

/// Reads the bytes before the elements, npy_data_begin of them. Throws FileError for a header or a type of
/// elements that is not known, and unless the elements end at `size`.
NpyHeader read_npy_header(const ReadPlace& place, std::string_view header, std::size_t size);

}  // namespace volley

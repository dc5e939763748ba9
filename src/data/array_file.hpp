#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <volley/array.hpp>
#include <volley/buffer.hpp>

#include "core/files.hpp"

namespace volley {

using Arrays = std::map<std::string, Array>;

enum class ArrayFormat { npy, npz, safetensors, csv };

/// read_arrays of a file of this format, whatever its name ends in.
Arrays read_arrays_as(ArrayFormat format, const std::filesystem::path& path);

/// What is read, for messages: a file, or a member of one.
struct ReadPlace {
  std::string path;
  std::string member{};

  /// Throws FileError: "PATH: expected EXPECTED, found FOUND", or "PATH: member 'MEMBER': expected ...".
  [[noreturn]] void fail(std::string_view expected, std::string_view found) const;
};

/// The array whose elements begin at `offset` of `file`, which reaches to their end. They are mapped.
Array array_in(std::shared_ptr<const MappedFile> file, std::size_t offset, const Shape& shape,
               ElementType type);
/// The array of `bytes`, which has its elements, and may be larger.
Array array_of(Buffer<std::byte> bytes, const Shape& shape, ElementType type);

/// The arrays of a table of numbers: one for each column where its first line has names, otherwise one of
/// all rows.
Arrays read_csv_arrays(const std::filesystem::path& path);

}  // namespace volley

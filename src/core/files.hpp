#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include <volley/files.hpp>

namespace volley {

/// A file as memory that is only read; its pages are loaded when they are read. Throws FileError as read_file
/// does. A file that another program shortens afterwards ends this process at a read beyond its new end.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  /// Begins at a page's begin, unless it is empty.
  std::string_view bytes() const { return {data_, size_}; }

 private:
  std::filesystem::path path_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A file that is written in pieces, whole or not at all, as write_file_whole does it.
class WholeFile {
 public:
  explicit WholeFile(const std::filesystem::path& path);
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;
  /// Without keep() nothing is left.
  ~WholeFile();

  void write(std::string_view bytes);
  /// Flushes all to the disk; the file takes its name.
  void keep();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// write_file_whole of bytes that are in pieces, one after another.
void write_file_whole(const std::filesystem::path& path, std::span<const std::string_view> pieces);

}  // namespace volley

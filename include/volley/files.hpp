#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace volley {

// Files as the library reads and writes its own. All of this may be called from several threads at once.

/// The bytes of a file. Throws a FileError when it is missing, not a regular file, unreadable, or larger than
/// `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::size_t max_bytes);

/// Writes a file whole or not at all: a temporary file in the same folder, flushed to the disk, takes the
/// name `path` only when every byte is there. On failure throws a FileError; an older file of that name is
/// then as it was.
void write_file_whole(const std::filesystem::path& path, std::string_view bytes);

/// A new folder among the system's temporary ones, which the destructor removes with all that is in it.
class ScratchFolder {
 public:
  /// Its name is volley-PURPOSE-XXXXXX. Throws a FileError when it cannot be made.
  explicit ScratchFolder(const std::string& purpose);
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();

  /// Absolute, and valid as long as this object.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace volley

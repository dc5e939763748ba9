#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace volley {

/// Deflate, which gzip and PNG pack with, shrinks by no more.
inline constexpr std::size_t kDeflateRatio = 1032;

/// Reads a file's bytes, unpacked when it is gzip. What it is, its first two bytes say (1f 8b), not its name.
/// Every failure is a FileError.
class PackedFile {
 public:
  explicit PackedFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// No more than so many unpacked bytes can be in there: the size of a raw file; for gzip a bound. For
  /// refusing sizes that a header promises before asking for memory.
  std::size_t most_bytes() const { return most_bytes_; }
  bool packed() const { return packed_; }

  /// Fills `bytes` as far as the file reaches; returns how many came.
  std::size_t read(std::span<std::uint8_t> bytes);
  /// Whether everything was read; for gzip also that its own checksum is right.
  bool at_end();

 private:
  std::filesystem::path path_;
  std::size_t most_bytes_ = 0;
  bool packed_ = false;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

/// The unpacked bytes of a file that must have exactly `size` of them.
std::string read_unpacked(const std::filesystem::path& path, std::size_t size);

}  // namespace volley

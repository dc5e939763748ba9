#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/array_file.hpp"

namespace volley {

/// A member of a zip archive.
struct ZipMember {
  std::string name;
  bool deflated = false;   // otherwise stored
  std::uint32_t crc = 0;   // of its unpacked bytes
  std::size_t size = 0;    // unpacked
  std::size_t begin = 0;   // of its packed bytes, in the archive
  std::size_t packed = 0;  // their number
};

/// The members that the directory of a zip archive lists: in the archive, without overlap, stored or
/// deflated, not encrypted, with names that differ. All of them unpacked are at most kDeflateRatio times the
/// archive's size. Throws FileError for any other.
std::vector<ZipMember> read_zip_directory(const std::string& path, std::string_view archive);

/// Unpacks a deflated member of an archive, from its begin to its end. Throws FileError for a damaged one.
class Inflater {
 public:
  Inflater(ReadPlace place, const ZipMember& member, std::string_view archive);

  /// Fills `to` with the bytes that come next; there must be as many.
  void read(std::span<std::byte> to);
  /// There must be no more, and the checksum must be right.
  void finish();

 private:
  struct End {
    void operator()(z_stream* stream) const {
      inflateEnd(stream);
      delete stream;
    }
  };

  /// Unpacks into `to`; returns how many bytes came, 0 at the end.
  std::size_t unpack(std::span<std::byte> to);

  ReadPlace place_;
  std::string_view packed_;  // what zlib has not been given
  std::uint32_t expected_crc_ = 0;
  std::uint32_t crc_ = 0;
  std::unique_ptr<z_stream, End> stream_;
};

/// Throws FileError unless `bytes`, a stored member's, have its checksum.
void check_crc(const ReadPlace& place, const ZipMember& member, std::string_view bytes);

}  // namespace volley

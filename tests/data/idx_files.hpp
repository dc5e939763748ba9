#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/files.hpp"

namespace volley::test {

/// The bytes of an IDX file of unsigned bytes; its header says what it is told to say.
inline std::string idx_bytes(const std::vector<std::uint32_t>& sizes, const std::string& values,
                             std::uint8_t type = 0x08) {
  std::string bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
  }
  return bytes + values;
}

inline std::string gzip(const std::string& bytes) {
  z_stream stream{};
  // 15 + 16: the largest window, in gzip's wrapping.
  if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("zlib");
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  std::string copy = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("zlib");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// `count` values that look like pictures.
inline std::string some_values(std::size_t count) {
  std::string values(count, '\0');
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<char>(i * 37 + i / 7);
  return values;
}

}  // namespace volley::test

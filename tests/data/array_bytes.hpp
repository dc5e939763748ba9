#pragma once

#include <fmt/format.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace volley::test {

// Files of arrays byte by byte, so that they can hold what no tool writes.

/// The little-endian bytes of some numbers.
template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  static_assert(std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool>);
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}
template <class T>
std::string number_bytes(T number) {
  return bytes_of(std::vector<T>{number});
}

/// A .npy of this version with this header, padded as the format asks for, and these bytes of elements.
inline std::string npy_of_header(std::string header, std::string_view data, int version = 1) {
  const std::size_t before = version == 1 ? 10 : 12;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  bytes += version == 1 ? number_bytes(static_cast<std::uint16_t>(header.size()))
                        : number_bytes(static_cast<std::uint32_t>(header.size()));
  return bytes.append(header).append(data);
}
/// A .npy with a shape as Python writes it: "(2, 3)".
inline std::string npy_bytes(std::string_view descr, std::string_view shape, std::string_view data) {
  return npy_of_header(fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descr, shape),
                       data);
}

struct ZipEntry {
  std::string name;
  std::string content;
  bool deflated = false;
  bool zip64 = false;       // sizes in zip64 fields, in both headers
  bool descriptor = false;  // sizes behind the member, as written without seeking
  std::size_t padding = 0;  // of the member's header
};

inline std::string deflated(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("cannot deflate");
  }
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

inline std::string zip_bytes(const std::vector<ZipEntry>& entries) {
  using U16 = std::uint16_t;
  using U32 = std::uint32_t;
  using U64 = std::uint64_t;
  std::string bytes, directory;
  for (const ZipEntry& entry : entries) {
    const std::string packed = entry.deflated ? deflated(entry.content) : entry.content;
    const U32 size = entry.zip64 ? 0xffffffff : static_cast<U32>(entry.content.size());
    const U32 packed_size = entry.zip64 ? 0xffffffff : static_cast<U32>(packed.size());
    const U32 crc = crc_of(entry.content);
    const std::string zip64 = entry.zip64 ? number_bytes(U16{1}) + number_bytes(U16{16}) +
                                                number_bytes(U64{entry.content.size()}) +
                                                number_bytes(U64{packed.size()})
                                          : "";
    const std::string common = number_bytes(static_cast<U16>(entry.descriptor ? 8 : 0)) +
                               number_bytes(static_cast<U16>(entry.deflated ? 8 : 0)) + number_bytes(U32{0});
    const std::string sizes = number_bytes(crc) + number_bytes(packed_size) + number_bytes(size);
    const std::string padding = entry.padding == 0 ? ""
                                                   : number_bytes(U16{0x5050}) +
                                                         number_bytes(static_cast<U16>(entry.padding)) +
                                                         std::string(entry.padding, '\0');
    const auto header = static_cast<U32>(bytes.size());
    bytes += number_bytes(U32{0x04034b50}) + number_bytes(U16{20}) + common;
    bytes += entry.descriptor ? std::string(12, '\0') : sizes;
    bytes += number_bytes(static_cast<U16>(entry.name.size())) +
             number_bytes(static_cast<U16>(zip64.size() + padding.size())) + entry.name + zip64 + padding +
             packed;
    if (entry.descriptor) bytes += number_bytes(U32{0x08074b50}) + sizes;
    directory += number_bytes(U32{0x02014b50}) + number_bytes(U16{20}) + number_bytes(U16{20}) + common +
                 sizes + number_bytes(static_cast<U16>(entry.name.size())) +
                 number_bytes(static_cast<U16>(zip64.size())) + number_bytes(U16{0}) + number_bytes(U16{0}) +
                 number_bytes(U16{0}) + number_bytes(U32{0}) + number_bytes(header) + entry.name + zip64;
  }
  const auto begin = static_cast<U32>(bytes.size());
  const auto count = static_cast<U16>(entries.size());
  return bytes + directory + number_bytes(U32{0x06054b50}) + number_bytes(U16{0}) + number_bytes(U16{0}) +
         number_bytes(count) + number_bytes(count) + number_bytes(static_cast<U32>(directory.size())) +
         number_bytes(begin) + number_bytes(U16{0});
}

/// A file of the safetensors format with this header.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  return number_bytes(std::uint64_t{header.size()}).append(header).append(data);
}

}  // namespace volley::test

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "data/image_formats.hpp"

// stb_image for BMP files alone, its functions static: a program may have a copy of its own.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include <stb/stb_image.h>

namespace volley {
namespace {

/// What stb_image takes for granted of a BMP file.
struct BmpHeader {
  std::size_t data_at, header_bytes, depth;
  bool core;  // OS/2's, of 12 bytes

  explicit BmpHeader(std::string_view bytes)
      : data_at(number(bytes, 10, 4)),
        header_bytes(number(bytes, 14, 4)),
        depth(number(bytes, header_bytes == kCoreBytes ? 24 : 28, 2)),
        core(header_bytes == kCoreBytes) {}

  /// Whether the pixels are numbers in a palette that is grey.
  bool has_grey_palette(std::string_view bytes) const {
    if (depth > 8) return false;
    const std::size_t entry = core ? 3 : 4, begin = kFileBytes + header_bytes;
    const std::size_t end = std::min({data_at, bytes.size(), begin + (entry << depth)});
    for (std::size_t at = begin; at + entry <= end; at += entry) {
      if (bytes[at] != bytes[at + 1] || bytes[at] != bytes[at + 2]) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kFileBytes = 14, kCoreBytes = 12;

  /// Little-endian; 0 beyond the end.
  static std::size_t number(std::string_view bytes, std::size_t at, std::size_t count) {
    std::size_t value = 0;
    for (std::size_t i = count; i-- > 0;)
      value = value << 8 | (at + i < bytes.size() ? static_cast<std::uint8_t>(bytes[at + i]) : 0u);
    return value;
  }
};

[[noreturn]] void fail_decoding(const std::filesystem::path& path) {
  fail_image(path, fmt::format("not a good BMP file, or compressed: {}", stbi_failure_reason()));
}

}  // namespace

Pixels read_bmp(const std::filesystem::path& path, std::string_view bytes, std::size_t most) {
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(data, size, &width, &height, &channels) == 0) fail_decoding(path);
  // stbi_info gives a negative height where the first row is the top one.
  Pixels pixels{static_cast<std::size_t>(std::max(width, 0)),
                static_cast<std::size_t>(std::abs(std::int64_t{height})),
                0,
                {}};
  check_image_size(path, pixels.width, pixels.height, most);
  const BmpHeader header(bytes);
  const std::size_t row_bytes = (pixels.width * header.depth + 31) / 32 * 4;
  if (header.data_at > bytes.size() || bytes.size() - header.data_at < row_bytes * pixels.height) {
    fail_image(path, fmt::format("truncated: must hold {} bytes of pixels from byte {} on, got a file of {}",
                                 row_bytes * pixels.height, header.data_at, bytes.size()));
  }
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(data, size, &width, &height, &channels, 0), stbi_image_free);
  if (decoded == nullptr) fail_decoding(path);
  const auto stored = static_cast<std::size_t>(channels);
  pixels.channels = header.has_grey_palette(bytes) ? 1 : stored;
  pixels.bytes.resize(pixels.width * pixels.height * pixels.channels);
  for (std::size_t i = 0; i < pixels.bytes.size(); ++i) {
    pixels.bytes[i] = decoded.get()[i / pixels.channels * stored + i % pixels.channels];
  }
  return pixels;
}

}  // namespace volley

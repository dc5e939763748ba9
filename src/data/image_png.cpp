#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "data/image_formats.hpp"
#include "data/packed_file.hpp"

namespace volley {
namespace {

/// libpng's own handle for its simplified interface, which keeps its longjmp to itself.
struct PngImage {
  png_image image{};

  PngImage() { image.version = PNG_IMAGE_VERSION; }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
  ~PngImage() { png_image_free(&image); }
};

/// Without the chunks of gamma and colour spaces, by which libpng would change the stored numbers. What is no
/// chunk is left for libpng to refuse.
std::string without_colour_spaces(std::string_view bytes) {
  constexpr std::size_t kSignature = 8, kFrame = 12;  // a chunk's length, type and CRC
  constexpr std::string_view kDropped[] = {"gAMA", "cHRM", "sRGB", "iCCP"};
  std::string kept(bytes.substr(0, kSignature));
  bytes.remove_prefix(std::min(kSignature, bytes.size()));
  while (bytes.size() >= kFrame) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<std::uint8_t>(bytes[i]);
    if (length > bytes.size() - kFrame) break;
    if (std::ranges::find(kDropped, bytes.substr(4, 4)) == std::end(kDropped))
      kept += bytes.substr(0, kFrame + length);
    bytes.remove_prefix(kFrame + length);
  }
  return kept.append(bytes);
}

}  // namespace

Pixels read_png(const std::filesystem::path& path, std::string_view given, std::size_t most) {
  const std::string bytes = without_colour_spaces(given);
  PngImage png;
  if (png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size()) == 0) {
    fail_image(path, fmt::format("not a good PNG file: {}", png.image.message));
  }
  check_image_size(path, png.image.width, png.image.height, most);
  // A pixel has a bit or more: a promise of more than can have been packed is not believed.
  const std::size_t pixel_bytes = std::size_t{png.image.width} * png.image.height / 8;
  if (pixel_bytes / kDeflateRatio > bytes.size()) {
    fail_image(path, fmt::format("truncated: must hold {} x {} pixels, got {} bytes", png.image.width,
                                 png.image.height, bytes.size()));
  }
  png.image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;  // 8 bits of the stored scale
  png.image.flags |=
      PNG_IMAGE_FLAG_16BIT_sRGB;  // 16 bits are finer steps of the same scale, not linear light
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(png.image));
  if (png_image_finish_read(&png.image, nullptr, pixels.data(), 0, nullptr) == 0) {
    fail_image(path, fmt::format("not a good PNG file: {}", png.image.message));
  }
  return {png.image.width, png.image.height, PNG_IMAGE_SAMPLE_CHANNELS(png.image.format), std::move(pixels)};
}

}  // namespace volley

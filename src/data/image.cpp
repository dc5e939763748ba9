#include <volley/image.hpp>

#include <fmt/format.h>

#include <array>
#include <string_view>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "data/image_formats.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostFileBytes = 256 << 20;

/// On white paper: a / 255 of the value, and the rest white.
std::uint8_t on_white(std::uint8_t value, std::uint8_t alpha) {
  return static_cast<std::uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

/// ITU-R 601, to the nearest in 16 bits, as Pillow's convert("L").
std::uint8_t grey_of(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  return static_cast<std::uint8_t>((red * 19595u + green * 38470u + blue * 7471u + 0x8000u) >> 16);
}

/// To planes: (1, height, width), or (3, height, width).
std::vector<std::uint8_t> planes_of(const Pixels& pixels, bool in_colour) {
  const std::size_t size = pixels.width * pixels.height, colours = pixels.channels < 3 ? 1 : 3;
  std::vector<std::uint8_t> planes(in_colour ? 3 * size : size);
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t* from = pixels.bytes.data() + i * pixels.channels;
    std::array<std::uint8_t, 3> seen{};
    for (std::size_t c = 0; c < 3; ++c) {
      const std::uint8_t value = from[c % colours];
      seen[c] = pixels.channels % 2 == 0 ? on_white(value, from[colours]) : value;
    }
    if (in_colour) {
      for (std::size_t c = 0; c < 3; ++c) planes[c * size + i] = seen[c];
    } else {
      planes[i] = colours == 1 ? seen[0] : grey_of(seen[0], seen[1], seen[2]);
    }
  }
  return planes;
}

Pixels read_pixels(const std::filesystem::path& path, std::size_t most) {
  const std::string bytes = read_file(path, kMostFileBytes);
  if (bytes.starts_with("\x89PNG")) return read_png(path, bytes, most);
  if (bytes.starts_with("\xff\xd8\xff")) return read_jpeg(path, bytes, most);
  if (bytes.starts_with("BM")) return read_bmp(path, bytes, most);
  if (bytes.starts_with("P2") || bytes.starts_with("P5")) return read_pgm(path, bytes, most);
  fail_image(path, "must be a PNG, JPEG, BMP or PGM file (P2 or P5)");
}

}  // namespace

void fail_image(const std::filesystem::path& path, const std::string& problem) {
  throw FileError(path.string(), problem);
}

void check_image_size(const std::filesystem::path& path, std::size_t width, std::size_t height,
                      std::size_t most) {
  if (width == 0 || height == 0 || width > most || height > most) {
    fail_image(path,
               fmt::format("width and height must be 1 to {} pixels, got {} x {}", most, width, height));
  }
}

Dataset read_image(const std::filesystem::path& path, std::size_t most_pixels, Colours colours) {
  const Pixels pixels = read_pixels(path, most_pixels);
  const bool in_colour = colours == Colours::as_stored && pixels.channels >= 3;
  return {path.filename().string(),
          {in_colour ? 3u : 1u, pixels.height, pixels.width},
          planes_of(pixels, in_colour),
          {0},
          {"unlabelled"}};
}

}  // namespace volley

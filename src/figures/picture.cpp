#include "figures/picture.hpp"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "figures/font.hpp"

namespace volley {

Picture::Picture(std::size_t width, std::size_t height, Color paper)
    : width_(width), height_(height), pixels_(width * height, paper) {}

void Picture::fill(std::size_t x, std::size_t y, std::size_t width, std::size_t height, Color color) {
  if (x >= width_) return;
  const std::size_t count = std::min(width, width_ - x);
  const std::size_t bottom = std::min(height_, y + height);
  for (std::size_t row = y; row < bottom; ++row) {
    std::fill_n(pixels_.begin() + static_cast<std::ptrdiff_t>(row * width_ + x), count, color);
  }
}

void Picture::line(std::size_t from_x, std::size_t from_y, std::size_t to_x, std::size_t to_y,
                   std::size_t thickness, Color color) {
  const auto apart = [](std::size_t a, std::size_t b) { return a > b ? a - b : b - a; };
  const std::size_t points = std::max(apart(from_x, to_x), apart(from_y, to_y));
  for (std::size_t i = 0; i <= points; ++i) {
    const double share = points == 0 ? 0 : static_cast<double>(i) / static_cast<double>(points);
    const auto between = [&](std::size_t a, std::size_t b) {
      return static_cast<std::size_t>(
          std::lround((1 - share) * static_cast<double>(a) + share * static_cast<double>(b)));
    };
    fill(between(from_x, to_x), between(from_y, to_y), thickness, thickness, color);
  }
}

void Picture::image(std::size_t x, std::size_t y, std::span<const std::uint8_t> pixels, std::size_t width,
                    std::size_t scale) {
  const std::size_t height = pixels.size() / width;
  const std::size_t left = x - std::min<std::size_t>(x, 1);
  const std::size_t top = y - std::min<std::size_t>(y, 1);
  fill(left, top, width * scale + 2, height * scale + 2, gray(128));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    fill(x + i % width * scale, y + i / width * scale, scale, scale, gray(pixels[i]));
  }
}

void Picture::text(std::size_t x, std::size_t y, std::string_view text, std::size_t scale, Color color) {
  for (const char c : text) {
    const auto& columns = kFont[static_cast<std::size_t>(c >= ' ' && c <= '~' ? c - ' ' : '?' - ' ')];
    for (std::size_t column = 0; column < columns.size(); ++column) {
      for (std::size_t row = 0; row < kGlyphHeight + 2; ++row) {
        if ((columns[column] >> row & 1) != 0) fill(x + column * scale, y + row * scale, scale, scale, color);
      }
    }
    x += kGlyphWidth * scale;
  }
}

std::size_t Picture::text_width(std::string_view text, std::size_t scale) {
  return text.empty() ? 0 : (text.size() * kGlyphWidth - 1) * scale;
}

std::string Picture::png() const {
  const bool colored = !std::ranges::all_of(pixels_, [](Color c) { return c == gray(c.red); });
  std::vector<std::uint8_t> samples;
  samples.reserve(pixels_.size() * (colored ? 3 : 1));
  for (const Color c : pixels_) {
    samples.push_back(c.red);
    if (colored) samples.insert(samples.end(), {c.green, c.blue});
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = colored ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, samples.data(), 0, nullptr) == 0) {
    throw Error(fmt::format("[picture] {} x {} pixels cannot be made a PNG file: {}", width_, height_,
                            image.message));
  }
  bytes.resize(size);
  return bytes;
}

void Picture::write_png(const std::filesystem::path& path) const { write_file_whole(path, png()); }

}  // namespace volley

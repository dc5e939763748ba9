#include "png_bytes.hpp"

#include <fmt/format.h>
#include <png.h>

#include <vector>

#include <volley/error.hpp>

namespace volley {

std::string png_bytes(std::span<const std::uint8_t> pixels, const Shape& shape) {
  const bool in_colour = shape[0] == 3;
  const std::size_t size = shape[1] * shape[2];
  std::vector<std::uint8_t> samples;  // (height, width, channels), as PNG has them
  for (std::size_t i = 0; i < size; ++i) {
    samples.push_back(pixels[i]);
    if (in_colour) samples.insert(samples.end(), {pixels[size + i], pixels[2 * size + i]});
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(shape[2]);
  image.height = static_cast<png_uint_32>(shape[1]);
  image.format = in_colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string png(bytes, '\0');
  if (png_image_write_to_memory(&image, png.data(), &bytes, 0, samples.data(), 0, nullptr) == 0) {
    throw Error(
        fmt::format("[picture] {} pixels cannot be made a PNG file: {}", shape.text(), image.message));
  }
  png.resize(bytes);
  return png;
}

}  // namespace volley

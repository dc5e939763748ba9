#include "png_bytes.hpp"

#include <gtest/gtest.h>

#include <vector>

#include <volley/image.hpp>

#include "core/files.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

TEST(PngBytes, AreReadBackAsTheSamePixels) {
  const test::TempFolder folder;
  for (const std::size_t channels : {1, 3}) {
    const Shape shape{channels, 5, 7};
    std::vector<std::uint8_t> pixels(shape.size());
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(37 * i);
    write_file_whole(folder / "picture.png", png_bytes(pixels, shape));
    const Dataset read = read_image(folder / "picture.png", kMostImagePixels, Colours::as_stored);
    EXPECT_EQ(read.shape, shape);
    EXPECT_EQ(read.pixels, pixels);
  }
}

}  // namespace
}  // namespace volley

#include <volley/image.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace volley {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes resized_pixels(const Shape& shape, const Bytes& pixels, std::size_t height, std::size_t width) {
  const Dataset data{"a picture", shape, pixels, {0}, {"one"}};
  const Dataset result = resized(data, height, width);
  EXPECT_EQ(result.shape, (Shape{shape[0], height, width}));
  result.check();
  return result.pixels;
}

TEST(Resize, TheSameSizeIsTheSamePicture) {
  const Bytes pixels{0, 1, 100, 254, 255, 7};
  EXPECT_EQ(resized_pixels({1, 2, 3}, pixels, 2, 3), pixels);
}

TEST(Resize, ShrinkingTakesTheMeanOfTheArea) {
  EXPECT_EQ(resized_pixels({1, 2, 4}, {0, 4, 100, 200, 8, 4, 100, 201}, 1, 2), (Bytes{4, 150}));
  // Three pixels on two: the middle one is shared.
  EXPECT_EQ(resized_pixels({1, 1, 3}, {30, 60, 90}, 1, 2), (Bytes{40, 80}));
  EXPECT_EQ(resized_pixels({1, 3, 1}, {30, 60, 90}, 2, 1), (Bytes{40, 80}));
}

TEST(Resize, GrowingIsLinearBetweenTheMiddles) {
  EXPECT_EQ(resized_pixels({1, 1, 2}, {0, 100}, 1, 4), (Bytes{0, 25, 75, 100}));
  EXPECT_EQ(resized_pixels({1, 1, 1}, {77}, 3, 3), Bytes(9, 77));
  EXPECT_EQ(resized_pixels({1, 2, 2}, {0, 100, 100, 200}, 4, 4),
            (Bytes{0, 25, 75, 100, 25, 50, 100, 125, 75, 100, 150, 175, 100, 125, 175, 200}));
}

TEST(Resize, ChannelsAndSidesAreScaledEachByItself) {
  EXPECT_EQ(resized_pixels({3, 2, 1}, {0, 10, 20, 40, 100, 200}, 1, 2), (Bytes{5, 5, 30, 30, 150, 150}));
}

TEST(Resize, AConstantStaysConstantAtAnySize) {
  for (const std::size_t height : {1u, 2u, 3u, 5u, 13u, 28u, 97u}) {
    for (const std::size_t width : {1u, 7u, 28u, 31u}) {
      const Bytes pixels = resized_pixels({1, 13, 28}, Bytes(13 * 28, 201), height, width);
      EXPECT_EQ(std::ranges::count(pixels, 201), static_cast<std::ptrdiff_t>(height * width));
    }
  }
}

}  // namespace
}  // namespace volley

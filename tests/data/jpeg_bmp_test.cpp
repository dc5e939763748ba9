#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include <volley/image.hpp>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;

using Bytes = std::vector<std::uint8_t>;

class Picture : public testing::Test {
 protected:
  Dataset read(const std::string& bytes, Colours colours = Colours::as_stored, std::size_t most = 4096) {
    std::ofstream(folder_ / "the-file", std::ios::binary) << bytes;
    return read_image(folder_ / "the-file", most, colours);
  }
  Bytes grey(const std::string& bytes) { return read(bytes, Colours::grey).pixels; }
  std::string refusal(const std::string& bytes) {
    const std::string text = error_text([&] { read(bytes); });
    expect_has(text, "the-file");
    return text;
  }
  /// Whatever one changed byte makes of a file: a picture of that shape or another, or an Error. Beyond the
  /// headers, every seventh byte.
  void damage_every_byte(const std::string& good) {
    for (std::size_t i = 0; i < good.size(); i += i < 64 ? 1 : 7) {
      for (const int change : {0xff, 0x01, 0x80}) {
        std::string damaged = good;
        damaged[i] = static_cast<char>(damaged[i] ^ change);
        try {
          read(damaged, Colours::as_stored, 64).check();
        } catch (const Error&) {
        }
      }
    }
  }

  test::TempFolder folder_;
};

std::string golden(const char* name) {
  return read_file(std::string(VOLLEY_SOURCE_DIR "/tests/golden/") + name, 1 << 16);
}
int sum(const Bytes& bytes) { return std::accumulate(bytes.begin(), bytes.end(), 0); }

// What Pillow 13.0 has of the same files: 16 x 8, 4:2:0; and its convert("L").
TEST_F(Picture, AJpegHasThePixelsOfOtherReaders) {
  const Dataset colours = read(golden("colours.jpg"));
  EXPECT_EQ(colours.shape, (Shape{3, 8, 16}));
  const auto at = [&](std::size_t i) {
    return Bytes{colours.pixels[i], colours.pixels[128 + i], colours.pixels[256 + i]};
  };
  EXPECT_EQ(at(0), (Bytes{0, 5, 0}));
  EXPECT_EQ(at(5), (Bytes{73, 1, 2}));
  EXPECT_EQ(at(55), (Bytes{112, 92, 65}));
  EXPECT_EQ(at(127), (Bytes{229, 205, 133}));
  EXPECT_EQ(sum(colours.pixels), 15462 + 14282 + 9355);
  const Bytes of_colours = grey(golden("colours.jpg"));
  EXPECT_EQ((Bytes{of_colours[0], of_colours[5], of_colours[55], of_colours[127]}), (Bytes{3, 23, 95, 204}));
  EXPECT_EQ(sum(of_colours), 14075);
  const Dataset one_channel = read(golden("grey_progressive.jpg"));
  EXPECT_EQ(one_channel.shape, (Shape{1, 8, 16}));
  EXPECT_EQ(sum(one_channel.pixels), 14062);
}

TEST_F(Picture, ABadJpegIsRefused) {
  const std::string good = golden("colours.jpg");
  for (const std::size_t size : {std::size_t{4}, std::size_t{30}, good.size() / 2, good.size() - 3}) {
    expect_has(refusal(good.substr(0, size)), "not a good JPEG file");
  }
  expect_has(refusal(golden("inks.jpg")), "must be a JPEG file in grey or in red, green and blue");
  std::string large = good;
  const std::size_t frame = large.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  large.replace(frame + 5, 4, "\x20\x00\x20\x00", 4);
  expect_has(refusal(large), "must be 1 to 4096 pixels, got 8192 x 8192");
  damage_every_byte(good);
  damage_every_byte(golden("grey_progressive.jpg"));
}

std::string number(std::size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i);
  return text;
}

/// An uncompressed BMP file; `rows` as they stand in it, padded to multiples of 4 bytes.
std::string bmp_bytes(int width, int height, std::size_t depth, const std::string& palette,
                      const std::string& rows) {
  const std::size_t data_at = 14 + 40 + palette.size();
  return "BM" + number(data_at + rows.size(), 4) + number(0, 4) + number(data_at, 4) + number(40, 4) +
         number(static_cast<std::uint32_t>(width), 4) + number(static_cast<std::uint32_t>(height), 4) +
         number(1, 2) + number(depth, 2) + number(0, 4) + number(rows.size(), 4) + number(2835, 4) +
         number(2835, 4) + number(palette.size() / 4, 4) + number(0, 4) + palette + rows;
}

std::string grey_palette(std::size_t entries, std::size_t step) {
  std::string palette;
  for (std::size_t i = 0; i < entries; ++i) palette += std::string(3, static_cast<char>(i * step)) + '\0';
  return palette;
}

TEST_F(Picture, ABmpOfGreyIsOneChannel) {
  // Rows stand from the last to the first.
  const Dataset bytes =
      read(bmp_bytes(3, 2, 8, grey_palette(256, 1), std::string("\x04\x05\x06\0\x01\x02\xff\0", 8)));
  EXPECT_EQ(bytes.shape, (Shape{1, 2, 3}));
  EXPECT_EQ(bytes.pixels, (Bytes{1, 2, 255, 4, 5, 6}));
  const Dataset bits = read(bmp_bytes(5, 1, 1, grey_palette(2, 255), std::string("\xa8\0\0\0", 4)));
  EXPECT_EQ(bits.shape, (Shape{1, 1, 5}));
  EXPECT_EQ(bits.pixels, (Bytes{255, 0, 255, 0, 255}));
  EXPECT_EQ(read(bmp_bytes(2, 1, 4, grey_palette(16, 17), std::string("\x1f\0\0\0", 4))).pixels,
            (Bytes{17, 255}));
}

TEST_F(Picture, ABmpOfColoursIsThreeChannels) {
  const std::string red_green("\0\0\xff\0\xff\0\0\0", 8);  // blue, green, red; and padding
  const Dataset down = read(bmp_bytes(2, 1, 24, "", red_green));
  EXPECT_EQ(down.shape, (Shape{3, 1, 2}));
  EXPECT_EQ(down.pixels, (Bytes{255, 0, 0, 255, 0, 0}));
  EXPECT_EQ(grey(bmp_bytes(2, 1, 24, "", red_green)), (Bytes{76, 150}));  // ITU-R 601
  // A negative height: the first row is the top one.
  const std::string rows("\1\1\1\0\2\2\2\0", 8);
  EXPECT_EQ(grey(bmp_bytes(1, 2, 24, "", rows)), (Bytes{2, 1}));
  EXPECT_EQ(grey(bmp_bytes(1, -2, 24, "", rows)), (Bytes{1, 2}));
  const std::string palette("\0\0\xff\0\xff\0\0\0", 8);  // red, blue
  const Dataset numbered = read(bmp_bytes(2, 1, 8, palette, std::string("\0\1\0\0", 4)));
  EXPECT_EQ(numbered.pixels, (Bytes{255, 0, 0, 0, 0, 255}));
  EXPECT_EQ(read(bmp_bytes(1, 1, 32, "", std::string("\3\2\1\0", 4))).pixels, (Bytes{1, 2, 3}));
}

TEST_F(Picture, ABadBmpIsRefused) {
  const std::string good = bmp_bytes(3, 2, 8, grey_palette(256, 1), std::string(8, 'x'));
  for (const std::size_t size : {2u, 20u}) expect_has(refusal(good.substr(0, size)), "BMP file");
  expect_has(refusal(good.substr(0, good.size() - 1)),
             "truncated: must hold 8 bytes of pixels from byte 1078 on, got a file of 1085");
  expect_has(refusal(bmp_bytes(4097, 1, 8, grey_palette(256, 1), std::string(4100, 'x'))),
             "must be 1 to 4096 pixels, got 4097 x 1");
  std::string compressed = good;
  compressed[30] = 1;  // run lengths
  expect_has(refusal(compressed), "not a good BMP file, or compressed");
  damage_every_byte(good);
  damage_every_byte(bmp_bytes(2, 2, 24, "", std::string(16, 'x')));
}

}  // namespace
}  // namespace volley

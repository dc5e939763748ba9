#include <volley/image.hpp>

#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;

/// A PNG file's bytes through libpng's full interface: any depth and color type.
std::string png_bytes(int width, int height, int depth, int color_type, const std::string& rows,
                      int interlace = PNG_INTERLACE_NONE) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  const auto append = [](png_structp p, png_bytep data, std::size_t size) {
    static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<const char*>(data), size);
  };
  png_set_write_fn(png, &bytes, append, [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth,
               color_type, interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  const png_color palette[2] = {{255, 255, 255}, {51, 51, 51}};
  if (color_type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 2);
  png_write_info(png, info);
  const std::size_t stride = png_get_rowbytes(png, info);
  for (int pass = png_set_interlace_handling(png); pass > 0; --pass) {
    for (int y = 0; y < height; ++y) {
      std::string row = rows.substr(static_cast<std::size_t>(y) * stride, stride);
      png_write_row(png, reinterpret_cast<png_bytep>(row.data()));
    }
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

/// A chunk that a PNG file may have before its pixels, put behind its header.
std::string with_chunk(std::string png, const std::string& type, const std::string& data) {
  constexpr std::size_t kBehindHeader = 8 + 25;
  const auto number = [](std::size_t value) {
    std::string text;
    for (int i = 3; i >= 0; --i) text += static_cast<char>(value >> 8 * i);
    return text;
  };
  const std::string body = type + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return png.insert(kBehindHeader, number(data.size()) + body + number(crc));
}

class Image : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& bytes) {
    write_file_whole(folder_ / "the-file", bytes);
    return folder_ / "the-file";
  }
  std::vector<std::uint8_t> pixels(const std::string& bytes) { return read_image(file(bytes)).pixels; }
  std::string refusal(const std::string& bytes, std::size_t most = 4096) {
    const std::string text = error_text([&] { read_image(file(bytes), most); });
    expect_has(text, "the-file");
    return text;
  }

  test::TempFolder folder_;
};

using Bytes = std::vector<std::uint8_t>;

TEST_F(Image, PgmAsTextAndAsBytes) {
  const Dataset text = read_image(file("P2 # a comment\n3 2\n#another\n255\n0 1 2\n253 254 255\n"));
  EXPECT_EQ(text.shape, (Shape{1, 2, 3}));
  EXPECT_EQ(text.size(), 1u);
  EXPECT_EQ(text.name, "the-file");
  EXPECT_EQ(text.pixels, (Bytes{0, 1, 2, 253, 254, 255}));
  EXPECT_EQ(pixels("P5 3 1 255\n\x01#\n"), (Bytes{1, '#', '\n'}));
}

TEST_F(Image, PgmIsScaledToBytes) {
  EXPECT_EQ(pixels("P2 3 1 2 0 1 2"), (Bytes{0, 128, 255}));
  EXPECT_EQ(pixels("P2 4 1 65535 0 257 32896 65535"), (Bytes{0, 1, 128, 255}));
  EXPECT_EQ(pixels(std::string("P5 2 1 65535\n\x01\x01\xff\xff", 17)), (Bytes{1, 255}));
  EXPECT_EQ(pixels("P5 2 1 15\n\x01\x0f"), (Bytes{17, 255}));
}

TEST_F(Image, PgmThatLiesIsRefused) {
  expect_has(refusal("P2 3"), "must have a width, a height and a maxval");
  expect_has(refusal("P5 3 x 255\n"), "must have a width, a height and a maxval");
  expect_has(refusal("P5 9999999999999 2 255\n"), "must have a width");
  expect_has(refusal("P5 5000 2 255\n"), "must be 1 to 4096 pixels, got 5000 x 2");
  expect_has(refusal("P5 0 2 255\n"), "must be 1 to 4096 pixels, got 0 x 2");
  expect_has(refusal("P5 2 2 0\n"), "maxval must be 1 to 65535, got 0");
  expect_has(refusal("P5 2 2 65536\n"), "maxval must be 1 to 65535, got 65536");
  expect_has(refusal("P5 2 2 255"), "one white space must end the PGM header");
  expect_has(refusal("P5 2 2 255\nabc"), "must hold 4 bytes of pixels, got 3");
  expect_has(refusal("P5 2 2 255\nabcde"), "must hold 4 bytes of pixels, got 5");
  expect_has(refusal("P5 4096 4096 255\nabc"), "must hold 16777216 bytes of pixels, got 3");
  expect_has(refusal("P5 1 1 10\n\x0b"), "must be 0 to the maxval 10, got 11");
  expect_has(refusal("P2 4096 4096 255 1 2 3"), "truncated: must hold 16777216 pixels");
  expect_has(refusal("P2 2 1 255 100 x"), "must hold 2 pixels, got 1");
  expect_has(refusal("P2 2 1 10 1 11"), "must be 0 to the maxval 10, got 11");
  expect_has(refusal("P2 2 1 10 1 2 3"), "must end after its 2 pixels");
}

TEST_F(Image, APngThatPromisesMoreThanItCanHoldIsRefused) {
  std::string bytes = png_bytes(1, 1, 1, PNG_COLOR_TYPE_GRAY, std::string(1, '\0'));
  bytes.replace(16, 8, std::string("\0\0\x10\0\0\0\x10\0", 8));  // 4096 x 4096
  const auto* header = reinterpret_cast<const Bytef*>(bytes.data() + 12);
  for (const int i : {0, 1, 2, 3}) bytes[29 + i] = static_cast<char>(crc32(0, header, 17) >> (24 - 8 * i));
  expect_has(refusal(bytes), "truncated: must hold 4096 x 4096 pixels");
}

TEST_F(Image, GrayPngOfEveryDepthKeepsItsValues) {
  std::string all(256, '\0');
  for (std::size_t i = 0; i < 256; ++i) all[i] = static_cast<char>(i);
  EXPECT_EQ(pixels(png_bytes(16, 16, 8, PNG_COLOR_TYPE_GRAY, all)), Bytes(all.begin(), all.end()));
  EXPECT_EQ(pixels(png_bytes(8, 1, 1, PNG_COLOR_TYPE_GRAY, "\xa0")), (Bytes{255, 0, 255, 0, 0, 0, 0, 0}));
  EXPECT_EQ(pixels(png_bytes(4, 1, 2, PNG_COLOR_TYPE_GRAY, "\x1b")), (Bytes{0, 85, 170, 255}));
  EXPECT_EQ(pixels(png_bytes(2, 1, 4, PNG_COLOR_TYPE_GRAY, "\x1f")), (Bytes{17, 255}));
  EXPECT_EQ(pixels(png_bytes(2, 1, 16, PNG_COLOR_TYPE_GRAY, std::string("\x80\x80\xff\xff", 4))),
            (Bytes{128, 255}));
}

TEST_F(Image, ColoursBecomeGrayAndTransparencyWhitePaper) {
  EXPECT_EQ(pixels(png_bytes(2, 1, 8, PNG_COLOR_TYPE_RGB, "\x33\x33\x33\xff\xff\xff")), (Bytes{0x33, 255}));
  EXPECT_EQ(pixels(png_bytes(2, 1, 1, PNG_COLOR_TYPE_PALETTE, "\x40")), (Bytes{255, 51}));
  const std::string primary("\xff\0\0\0\xff\0\0\0\xff", 9);  // ITU-R 601
  EXPECT_EQ(pixels(png_bytes(3, 1, 8, PNG_COLOR_TYPE_RGB, primary)), (Bytes{76, 150, 29}));
  const Bytes alpha = pixels(png_bytes(2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, std::string("\x05\0\x05\xff", 4)));
  EXPECT_EQ(alpha, (Bytes{255, 5}));
  // Halves are of the stored bytes, (100 128 + 255 127) / 255, and not of light.
  EXPECT_EQ(pixels(png_bytes(1, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, "\x64\x80")), Bytes{177});
  const std::filesystem::path red =
      file(png_bytes(1, 1, 8, PNG_COLOR_TYPE_RGBA, std::string("\xff\0\0\x80", 4)));
  EXPECT_EQ(read_image(red, 4096, Colours::as_stored).pixels, (Bytes{255, 127, 127}));
}

TEST_F(Image, GammaAndColourSpacesChangeNoNumber) {
  const std::string grey = png_bytes(8, 8, 8, PNG_COLOR_TYPE_GRAY, std::string(64, 64));
  const std::string colour = png_bytes(1, 1, 8, PNG_COLOR_TYPE_RGB, "\x40\x80\xc0");
  const std::string deep = png_bytes(1, 1, 16, PNG_COLOR_TYPE_GRAY, "\x40\x40");
  const std::vector<std::pair<std::string, std::string>> chunks{
      {"gAMA", std::string("\0\1\x86\xa0", 4)},  // 1.0
      {"gAMA", std::string("\0\0\xb1\x8f", 4)},  // 1 / 2.2
      {"sRGB", std::string(1, '\0')},
      {"cHRM",
       std::string(
           "\0\0\x7a\x26\0\0\x80\x84\0\0\xfa\0\0\0\x80\xe8\0\0\x75\x30\0\0\xea\x60\0\0\x3a\x98\0\0\x17\x70",
           32)},
      {"iCCP", "broken"}};
  for (const auto& [type, data] : chunks) {
    SCOPED_TRACE(type);
    EXPECT_EQ(pixels(with_chunk(grey, type, data)), Bytes(64, 64));
    EXPECT_EQ(pixels(with_chunk(deep, type, data)), Bytes{64});
    EXPECT_EQ(pixels(with_chunk(colour, type, data)), Bytes{116});  // 0.299 64 + 0.587 128 + 0.114 192
    EXPECT_EQ(read_image(file(with_chunk(colour, type, data)), 4096, Colours::as_stored).pixels,
              (Bytes{64, 128, 192}));
  }
}

TEST_F(Image, InterlacedPngIsTheSamePicture) {
  std::string rows(5 * 3, '\0');
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<char>(17 * i);
  EXPECT_EQ(pixels(png_bytes(5, 3, 8, PNG_COLOR_TYPE_GRAY, rows, PNG_INTERLACE_ADAM7)),
            Bytes(rows.begin(), rows.end()));
}

TEST_F(Image, BadPngIsRefused) {
  const std::string good = png_bytes(16, 16, 8, PNG_COLOR_TYPE_GRAY, std::string(256, 'x'));
  for (const std::size_t size : {4u, 8u, 20u, 40u, 50u}) {
    expect_has(refusal(good.substr(0, size)), "not a good PNG file");
  }
  std::string damaged = good;
  damaged[45] = static_cast<char>(damaged[45] ^ 0x55);
  expect_has(refusal(damaged), "not a good PNG file");
  expect_has(refusal(good, 15), "must be 1 to 15 pixels, got 16 x 16");
}

TEST_F(Image, EveryDamagedByteIsReadOrRefusedButNeverWorse) {
  const std::string good = png_bytes(16, 16, 8, PNG_COLOR_TYPE_GRAY, std::string(256, 'x'));
  for (std::size_t i = 8; i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    try {
      EXPECT_EQ(read_image(file(damaged)).pixels.size(), 256u);
    } catch (const Error&) {
    }
  }
}

TEST_F(Image, WhatIsNeitherIsRefused) {
  expect_has(refusal("GIF89a"), "must be a PNG, JPEG, BMP or PGM file (P2 or P5)");
  expect_has(refusal(""), "must be a PNG, JPEG, BMP or PGM file");
  expect_has(error_text([&] { read_image(folder_ / "none"); }), "none: cannot read: No such file");
}

}  // namespace
}  // namespace volley

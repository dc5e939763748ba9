#include "data/picture_folder.hpp"

#include <gtest/gtest.h>
#include <png.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
namespace fs = std::filesystem;

void put_pgm(const fs::path& path, std::size_t width, std::size_t height, std::uint8_t value) {
  fs::create_directories(path.parent_path());
  write_file_whole(path, "P5 " + std::to_string(width) + " " + std::to_string(height) + " 255\n" +
                             std::string(width * height, static_cast<char>(value)));
}

void put_png(const fs::path& path, png_uint_32 format, std::vector<std::uint8_t> pixels, png_uint_32 width,
             png_uint_32 height) {
  fs::create_directories(path.parent_path());
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = format;
  image.width = width;
  image.height = height;
  ASSERT_NE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr), 0);
}

class PictureFolder : public testing::Test {
 protected:
  std::string refusal() {
    return error_text([&] { read_picture_folder(root_); });
  }
  test::TempFolder folder_;
  fs::path root_ = folder_ / "flowers";
};

TEST_F(PictureFolder, WithTrainAndTestIsReadByClass) {
  put_pgm(root_ / "train/rose/1.pgm", 3, 2, 10);
  put_png(root_ / "train/aster/b.png", PNG_FORMAT_GRAY, {1, 2, 3, 4, 5, 6}, 3, 2);
  put_pgm(root_ / "train/aster/c.pgm", 3, 2, 12);
  put_pgm(root_ / "test/rose/x.pgm", 3, 2, 13);
  write_file_whole(root_ / "train/aster/.hidden", "not a picture");
  const Split split = datasets::load(root_.string());
  EXPECT_EQ(split.train.name, "flowers train");
  EXPECT_EQ(split.train.classes, (std::vector<std::string>{"aster", "rose"}));
  EXPECT_EQ(split.train.labels, (std::vector<std::uint32_t>{0, 0, 1}));
  EXPECT_EQ(split.train.shape, (Shape{1, 2, 3}));
  EXPECT_TRUE(std::ranges::equal(split.train.picture(0), std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(split.train.picture(2)[5], 10);
  EXPECT_EQ(split.test.labels, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(split.test.name, "flowers test");
  EXPECT_EQ(split.validation.size(), 0u);
}

TEST_F(PictureFolder, ColoursAreThreeChannels) {
  for (const char* part : {"train", "test"}) {
    put_png(root_ / part / "a/1.png", PNG_FORMAT_RGB, {255, 0, 7, 128, 9, 0}, 2, 1);
  }
  const Split split = read_picture_folder(root_);
  EXPECT_EQ(split.train.shape, (Shape{3, 1, 2}));
  EXPECT_EQ(split.train.pixels, (std::vector<std::uint8_t>{255, 128, 0, 9, 7, 0}));
  put_pgm(root_ / "train/a/2.pgm", 2, 1, 10);
  expect_has(refusal(), "2.pgm: its shape must be (3, 1, 2), as that of the first, got (1, 1, 2)");
}

TEST_F(PictureFolder, WithoutATestSetKeepsOneInFive) {
  for (int i = 0; i < 10; ++i)
    put_pgm(root_ / (i % 2 ? "a" : "b") / (std::to_string(i) + ".pgm"), 2, 2,
            static_cast<std::uint8_t>(10 + i));
  const Split split = read_picture_folder(root_ / "");
  EXPECT_EQ(split.train.size(), 8u);
  EXPECT_EQ(split.test.size(), 2u);
  EXPECT_EQ(split.test.name, "flowers test");
  EXPECT_EQ(split.validation.size(), 0u);
  EXPECT_EQ(read_picture_folder(root_).test.pixels, split.test.pixels);
}

TEST_F(PictureFolder, EachClassOfTwoHasOneInBothParts) {
  const std::vector<std::pair<std::string, int>> classes{{"a", 40}, {"b", 40}, {"c", 2}, {"d", 1}};
  for (const auto& [name, count] : classes) {
    for (int i = 0; i < count; ++i) put_pgm(root_ / name / (std::to_string(i) + ".pgm"), 1, 1, 0);
  }
  const Split split = read_picture_folder(root_);
  EXPECT_EQ(split.train.size() + split.test.size(), 83u);
  EXPECT_EQ(split.test.size(), 16u);
  for (std::uint32_t label = 0; label < 3; ++label) {
    EXPECT_GT(std::ranges::count(split.train.labels, label), 0) << label;
    EXPECT_GT(std::ranges::count(split.test.labels, label), 0) << label;
  }
  EXPECT_EQ(std::ranges::count(split.train.labels, 3u), 1);
}

TEST_F(PictureFolder, ManySmallClassesMakeTheTestLarger) {
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 2; ++k)
      put_pgm(root_ / ("class" + std::to_string(i)) / (std::to_string(k) + ".pgm"), 1, 1, 0);
  }
  const Split split = read_picture_folder(root_);
  for (std::uint32_t label = 0; label < 20; ++label) {
    EXPECT_EQ(std::ranges::count(split.test.labels, label), 1) << label;
  }
}

TEST_F(PictureFolder, LinksAreFollowedAndLoopsAreNamed) {
  put_pgm(folder_ / "elsewhere/1.pgm", 2, 2, 1);
  put_pgm(root_ / "b/1.pgm", 2, 2, 2);
  fs::create_directory_symlink(folder_ / "elsewhere", root_ / "a");
  EXPECT_EQ(read_picture_folder(root_).train.classes, (std::vector<std::string>{"a", "b"}));
  fs::create_symlink(root_ / "b/loop", root_ / "b/loop");
  fs::create_symlink(folder_ / "nowhere", root_ / "b/lost.png");
  fs::create_directory_symlink(root_, root_ / "b/up");
  const std::string text = refusal();
  expect_has(text, (root_ / "b/loop").string() + ": Too many levels of symbolic links");
  expect_has(text, (root_ / "b/lost.png").string() + ": ");
  expect_has(text, (root_ / "b/up").string() + ": no picture");
}

TEST_F(PictureFolder, WhateverIsOddIsNamedInOneError) {
  put_pgm(root_ / "a/1.pgm", 2, 2, 1);
  put_pgm(root_ / "a/2.pgm", 3, 2, 1);
  put_pgm(root_ / "a/inner/3.pgm", 2, 2, 1);
  write_file_whole(root_ / "a/4.txt", "hello");
  write_file_whole(root_ / "a/5.png", "\x89PNG\r\n\x1a\nrubbish");
  write_file_whole(root_ / "a/6.pgm", "P5 2 2 255\nx");
  write_file_whole(root_ / "readme.txt", "hello");
  fs::create_directory(root_ / "empty");
  ASSERT_EQ(::mkfifo((root_ / "a/pipe").c_str(), 0600), 0);
  const std::string text = refusal();
  expect_has(text, root_.string() +
                       ": must hold one folder of pictures (PNG, JPEG, BMP or PGM) for each class, got\n");
  expect_has(text, "a/2.pgm: its shape must be (1, 2, 2), as that of the first, got (1, 2, 3)");
  expect_has(text, "a/inner: no picture");
  expect_has(text, "a/pipe: no picture");
  expect_has(text, "a/4.txt: must be a PNG, JPEG, BMP or PGM file");
  expect_has(text, "a/5.png: not a good PNG file");
  expect_has(text, "a/6.pgm: must hold 4 bytes of pixels, got 1");
  expect_has(text, "empty: no pictures in it");
  expect_has(text, "readme.txt: no folder of a class");
  for (int i = 0; i < 20; ++i) write_file_whole(root_ / "a" / ("x" + std::to_string(i)), "y");
  expect_has(refusal(), "(there may be more)");
}

TEST_F(PictureFolder, ATestSetMustFitItsTrainingSet) {
  put_pgm(root_ / "train/a/1.pgm", 2, 2, 1);
  put_pgm(root_ / "test/a/1.pgm", 2, 3, 1);
  expect_has(refusal(), "test: its pictures must be of the training set's shape (1, 2, 2), got (1, 3, 2)");
  put_pgm(root_ / "test/b/1.pgm", 2, 2, 1);
  expect_has(refusal(), "test/b: there is no such class in the training set");
}

TEST_F(PictureFolder, NoClassIsRefused) {
  expect_has(refusal(), "flowers: No such file or directory");
  fs::create_directory(root_);
  expect_has(refusal(), "must have 1 to 32768 folders of classes, got 0");
  const test::TempFolder one;
  put_pgm(one / "a/1.pgm", 2, 2, 1);
  expect_has(error_text([&] { read_picture_folder(one.path()); }), "can be held out");
}

TEST_F(PictureFolder, IsAPathWithASlash) {
  EXPECT_TRUE(datasets::is_picture_folder("./flowers"));
  EXPECT_TRUE(datasets::is_picture_folder("/flowers"));
  EXPECT_FALSE(datasets::is_picture_folder("flowers"));
}

}  // namespace
}  // namespace volley

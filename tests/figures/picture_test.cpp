#include "figures/picture.hpp"

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>

#include "core/files.hpp"
#include "data/image.hpp"
#include "figures/sheet.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

std::size_t count_of(const Picture& picture, Color color) {
  std::size_t count = 0;
  for (std::size_t y = 0; y < picture.height(); ++y) {
    for (std::size_t x = 0; x < picture.width(); ++x) count += picture.at(x, y) == color;
  }
  return count;
}

/// The color type in a PNG file's header.
int color_type(const std::string& png) { return png.at(25); }

TEST(Picture, CutsOffWhatIsDrawnBeyondItsEdges) {
  Picture picture(5, 4);
  picture.fill(3, 2, 10, 10, gray(1));
  EXPECT_EQ(count_of(picture, gray(1)), 4u);
  picture.fill(9, 9, 1, 1, gray(2));
  EXPECT_EQ(count_of(picture, gray(2)), 0u);
  picture.text(3, 0, "WWW", 3);
  picture.image(4, 3, std::vector<std::uint8_t>(4, 9), 2, 3);
  EXPECT_EQ(picture.at(4, 3), gray(9));
}

TEST(Picture, EnlargesPixelsToSquares) {
  Picture picture(8, 8);
  picture.image(1, 1, std::vector<std::uint8_t>{10, 20, 30, 40}, 2, 3);
  EXPECT_EQ(picture.at(1, 1), gray(10));
  EXPECT_EQ(picture.at(3, 3), gray(10));
  EXPECT_EQ(picture.at(4, 3), gray(20));
  EXPECT_EQ(picture.at(3, 4), gray(30));
  EXPECT_EQ(picture.at(6, 6), gray(40));
  EXPECT_EQ(picture.at(0, 0), gray(128));  // the frame
  EXPECT_EQ(picture.at(7, 7), gray(128));
}

TEST(Picture, EveryPrintableLetterIsDrawnAndNoTwoAreAlike) {
  std::vector<std::string> seen;
  for (char c = '!'; c <= '~'; ++c) {
    Picture picture(6, 9);
    picture.text(0, 0, std::string(1, c), 1);
    EXPECT_GT(count_of(picture, gray(0)), 0u) << c;
    seen.push_back(picture.png());
    for (std::size_t y = 0; y < 9; ++y) EXPECT_EQ(picture.at(5, y), gray(255)) << c;
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

TEST(Picture, AByteThatIsNoLetterIsDrawnAsAQuestionMark) {
  Picture strange(6, 9), question(6, 9);
  strange.text(0, 0, "\xe9", 1);
  question.text(0, 0, "?", 1);
  EXPECT_EQ(strange.png(), question.png());
  EXPECT_EQ(Picture::text_width("ab", 2), 22u);
  EXPECT_EQ(Picture::text_width("", 2), 0u);
}

TEST(Picture, IsWrittenInColourOnlyWhereItHasOne) {
  Picture picture(4, 4);
  EXPECT_EQ(color_type(picture.png()), PNG_COLOR_TYPE_GRAY);
  picture.fill(0, 0, 1, 1, {255, 0, 0});
  EXPECT_EQ(color_type(picture.png()), PNG_COLOR_TYPE_RGB);
  const test::TempFolder folder;
  picture.write_png(folder / "a.png");
  EXPECT_EQ(read_file(folder / "a.png", 1 << 20), picture.png());
  test::expect_has(test::error_text([&] { picture.write_png(folder / "none/a.png"); }), "none/a.png");
  test::expect_has(test::error_text([&] { Picture(0, 4).png(); }), "0 x 4 pixels cannot be made a PNG file");
}

Dataset toy(std::size_t samples) {
  Dataset data{"toy", Shape{1, 4, 4}, std::vector<std::uint8_t>(samples * 16, 60), {}, {"a", "b"}};
  for (std::size_t i = 0; i < samples; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 2));
  return data;
}

TEST(Sheet, ShowsEachPictureAskedForOnce) {
  for (const std::size_t count : {1u, 9u, 10u, 11u, 25u}) {
    const Picture sheet = dataset_sheet(toy(30), 2, count);
    EXPECT_EQ(count_of(sheet, gray(60)), count * 112 * 112) << count;
  }
  EXPECT_EQ(count_of(dataset_sheet(toy(30), 28, 100), gray(60)), 2u * 112 * 112);
}

TEST(Sheet, KeepsItsMarginsEmpty) {
  const Picture sheet = dataset_sheet(toy(12), 0, 12);
  for (std::size_t x = 0; x < sheet.width(); ++x) {
    EXPECT_EQ(sheet.at(x, 10), gray(255));
    EXPECT_EQ(sheet.at(x, sheet.height() - 10), gray(255));
  }
  for (std::size_t y = 0; y < sheet.height(); ++y) {
    EXPECT_EQ(sheet.at(10, y), gray(255));
    EXPECT_EQ(sheet.at(sheet.width() - 10, y), gray(255));
  }
}

TEST(Sheet, RefusesWhatItCannotShow) {
  using test::error_text;
  test::expect_has(error_text([] { dataset_sheet(toy(3), 3, 1); }),
                   "first picture of toy must be 0 to 2, got 3");
  test::expect_has(error_text([] { panel_sheet("", {}, 4, 4, 100); }), "1 or more pictures, got 0");
  const std::vector<Panel> many(4000, Panel{std::vector<std::uint8_t>(28 * 28), ""});
  test::expect_has(error_text([&] { panel_sheet("", many, 28, 10, 112); }), "show fewer pictures");
}

}  // namespace
}  // namespace volley

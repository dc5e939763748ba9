#include "figures/line_plot.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/error_text.hpp"

namespace volley {
namespace {

constexpr Color kRed{200, 0, 0};

std::size_t pixels_of(const Picture& picture, Color color) {
  std::size_t count = 0;
  for (std::size_t y = 0; y < picture.height(); ++y) {
    for (std::size_t x = 0; x < picture.width(); ++x) count += picture.at(x, y) == color;
  }
  return count;
}

LinePlot one_curve(std::vector<double> y, std::vector<double> spread = {}) {
  Curve curve{"red", kRed, {}, std::move(y), std::move(spread)};
  for (std::size_t i = 0; i < curve.y.size(); ++i) curve.x.push_back(static_cast<double>(i + 1));
  return {"title", "epoch", "accuracy", true, {curve}};
}

TEST(LinePlot, MarksAreRoundAndEncloseTheRange) {
  EXPECT_EQ(axis_marks(0.83, 9.4, 10), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(axis_marks(1, 5, 10, true), (std::vector<double>{1, 2, 3, 4, 5}));
  EXPECT_EQ(axis_marks(0, 100, 5), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(axis_marks(1, 1, 10, true), (std::vector<double>{1, 2}));
  for (const auto& [low, high] : {std::pair{0.9012, 0.9251}, {-3e-7, 4e-6}, {87.1, 87.1}, {0.0, 0.0}}) {
    const std::vector<double> marks = axis_marks(low, high, 8);
    ASSERT_GE(marks.size(), 2u);
    EXPECT_LE(marks.size(), 9u);
    EXPECT_LE(marks.front(), low + 1e-12);
    EXPECT_GE(marks.back(), high - 1e-12);
  }
}

TEST(LinePlot, DrawsItsCurvesFromLeftToRight) {
  const Picture picture = draw(one_curve({80, 90, 95}));
  std::size_t left = picture.width(), right = 0, row_left = 0, row_right = 0;
  for (std::size_t x = 0; x < picture.width(); ++x) {
    for (std::size_t y = 0; y < picture.height(); ++y) {
      if (picture.at(x, y) != kRed) continue;
      if (x < left) left = x, row_left = y;
      if (x >= right) right = x, row_right = y;
    }
  }
  EXPECT_LT(left, picture.width() / 4);
  EXPECT_GT(right, picture.width() * 3 / 4);
  EXPECT_GT(row_left, row_right);  // rising
  EXPECT_GT(pixels_of(draw(one_curve({80, 90, 95}, {2, 2, 2})), kRed), pixels_of(picture, kRed));
  // A single point, and bars that are not known, are no obstacle.
  EXPECT_GT(pixels_of(draw(one_curve({80}, {std::nan("")})), kRed), 40u);
}

TEST(LinePlot, RefusesWhatCannotBeDrawn) {
  using test::error_text;
  EXPECT_EQ(error_text([] { draw(one_curve({})); }),
            "[figures] a plot must have one or more points, got 1 empty curves");
  EXPECT_EQ(error_text([] {
              draw(one_curve({1, std::nan("")}));
            }),
            "[figures] a point of a curve must be a finite number, got nan");
  LinePlot uneven = one_curve({1, 2});
  uneven.curves[0].x.pop_back();
  EXPECT_EQ(error_text([&] { draw(uneven); }), "[figures] curve 'red' must have as many x as y, got 1 and 2");
}

}  // namespace
}  // namespace volley

#include "report/chart.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <regex>
#include <string>
#include <vector>

#include "support/error_text.hpp"

namespace volley::report {
namespace {

using test::expect_has;

std::string drawn(const Chart& chart) {
  Html page;
  draw(page, chart);
  return page.str();
}

Chart chart_of(std::vector<double> y, bool logarithmic = false) {
  std::vector<double> x(y.size());
  std::iota(x.begin(), x.end(), 1);
  return {.title = "Loss",
          .x_label = "epoch",
          .y_label = "loss",
          .logarithmic = logarithmic,
          .series = {{.name = "training", .x = x, .y = std::move(y)}}};
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// Every number of every path is inside of the drawing.
void expect_inside(const std::string& svg) {
  const std::regex point("[ML](-?[0-9.]+) (-?[0-9.]+)");
  std::size_t points = 0;
  for (std::sregex_iterator i(svg.begin(), svg.end(), point), end; i != end; ++i, ++points) {
    const double x = std::stod((*i)[1]), y = std::stod((*i)[2]);
    EXPECT_TRUE(x >= 0 && x <= 480 && y >= 0 && y <= 290) << i->str();
  }
  EXPECT_GT(points, 0u) << svg;
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(ChartTest, SaysInWordsWhatItShows) {
  Chart chart = chart_of({0.9, 0.4, 0.5});
  chart.series[0].marked = 1;
  expect_has(drawn(chart),
             "Loss: loss over epoch. training: from 0.9 to 0.5, between 0.4 and 0.9, best 0.4 at 2.");
}

TEST(ChartTest, AGapIsWhereAValueIsNone) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::string svg = drawn(chart_of({1, 2, NAN, 3, 4, inf}));
  expect_inside(svg);
  std::smatch line;
  ASSERT_TRUE(std::regex_search(svg, line, std::regex("class=\"line s0\" d=\"([^\"]+)\"")));
  EXPECT_EQ(count_of(line[1], "M"), 2u);
  EXPECT_EQ(count_of(line[1], "L"), 2u);
  expect_has(svg, "&quot;y&quot;:[1.0,2.0,null,3.0,4.0,null]");
}

TEST(ChartTest, WithoutValuesItSaysSo) {
  for (const std::vector<double>& y : {std::vector<double>{}, std::vector<double>{NAN, NAN}}) {
    const std::string svg = drawn(chart_of(y));
    expect_has(svg, "Nothing to draw");
    EXPECT_EQ(svg.find("<svg"), std::string::npos);
  }
  expect_has(drawn({.title = "Loss"}), "Nothing to draw");
  expect_has(drawn(chart_of({0, -1}, true)), "Nothing to draw");
}

TEST(ChartTest, OnePointAndEqualValuesHaveARangeToo) {
  for (const bool logarithmic : {false, true}) {
    expect_inside(drawn(chart_of({0.5}, logarithmic)));
    expect_has(drawn(chart_of({0.5}, logarithmic)), "class=\"point s0\"");
    expect_inside(drawn(chart_of({3, 3, 3}, logarithmic)));
    expect_inside(drawn(chart_of({1e-30, 1e30}, logarithmic)));
  }
  expect_inside(drawn(chart_of({0, 0})));
}

TEST(ChartTest, ALogarithmicAxisHasPowersOfTen) {
  const std::string svg = drawn(chart_of({0.002, 40}, true));
  for (const char* mark : {">0.001<", ">0.1<", ">100<"}) expect_has(svg, mark);
  const std::string narrow = drawn(chart_of({0.3, 0.6}, true));
  for (const char* mark : {">0.2<", ">0.5<", ">1<"}) expect_has(narrow, mark);
}

TEST(ChartTest, ThinningKeepsMeansAndExtremes) {
  Series series{.name = "loss"};
  for (std::size_t i = 0; i < 1000; ++i) {
    series.x.push_back(static_cast<double>(i));
    series.y.push_back(i == 501 ? 1000 : static_cast<double>(i % 2));
  }
  const Series thin = thinned(series, 100);
  ASSERT_EQ(thin.y.size(), 100u);
  EXPECT_EQ(thin.y[0], 0.5);
  EXPECT_EQ(thin.low[0], 0);
  EXPECT_EQ(thin.high[0], 1);
  EXPECT_EQ(thin.high[50], 1000);
  EXPECT_EQ(thinned(series, 1000).y, series.y);
  EXPECT_TRUE(thinned(series, 1000).low.empty());
  series.y.assign(1000, NAN);
  EXPECT_TRUE(std::isnan(thinned(series, 100).y[0]));
}

TEST(ChartTest, NamesAreEscaped) {
  Chart chart = chart_of({1, 2});
  chart.title = chart.series[0].name = "</svg><script>alert(1)</script>";
  const std::string svg = drawn(chart);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(count_of(svg, "</svg>"), 2u);  // its own, and the legend's
}

}  // namespace
}  // namespace volley::report

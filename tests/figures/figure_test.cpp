#include "figures/figure.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include <volley/process.hpp>

#include "figures/gnuplot.hpp"
#include "support/error_text.hpp"
#include "support/panels.hpp"
#include "support/picture_file.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;

Series curve(const std::string& name = "curve") { return {.name = name, .x = {1, 2, 3}, .y = {2, 1, 4}}; }

Figure one_plot(const std::string& words = "words") {
  return {.title = words,
          .plots = {{.title = words,
                     .x = {.label = words, .marks = {{1, words}, {3, words}}},
                     .y = {.label = words},
                     .series = {curve(words)},
                     .notes = {{.x = 2, .y = 2, .text = words}}}}};
}

/// What of a script stands outside of its quotes.
std::string outside_of_quotes(const std::string& script) {
  std::string rest;
  bool inside = false;
  for (const char c : script) {
    if (c == '\'') inside = !inside;
    if (!inside) rest += c;
    if (c == '\n') {
      EXPECT_FALSE(inside) << "a text goes on behind its line";
    }
  }
  EXPECT_FALSE(inside);
  return rest;
}

const std::vector<std::string> kHostile{
    "'; system('touch SPOILED'); set title '",
    "\\'; system('touch SPOILED') #",
    "\" . system(\"touch SPOILED\") . \"",
    "`touch SPOILED`",
    "$(touch SPOILED) @macro %d %s %n {/Times=90 x} a_b^c ~d{e} \\n \\",
    "two\nlines'\nsystem('touch SPOILED')\n",
    std::string("nul\0 byte", 9),
    "\xff\xfe\xc0\x80 broken \xe4\xb8",
    "<b>&amp;</b> ]]> <!-- --",
    std::string(5000, 'x'),
    "\xe4\xb8\xad\xe6\x96\x87 \xe2\x80\xa8 end",
    "",
};

TEST(Figure, TextsStandBetweenQuotesAndNothingIsReadIntoThem) {
  EXPECT_EQ(gnuplot::literal("it's \\n `x`"), "'it\xe2\x80\x99s \\n `x`'");
  EXPECT_EQ(gnuplot::literal("a\nb\tc\x7f"), "'a?b?c?'");
  EXPECT_EQ(gnuplot::literal("\xc3\xa4 \xc3 \xed\xa0\x80 \xf0\x9f\x98\x80"),
            "'\xc3\xa4 ? ??? \xf0\x9f\x98\x80'");
  for (const std::string& words : kHostile) {
    const std::string script = gnuplot::job(one_plot(words), PictureFormat::png, Theme::light).script;
    const std::string rest = outside_of_quotes(script);
    EXPECT_EQ(rest.find("system"), std::string::npos) << script;
    EXPECT_EQ(rest.find('`'), std::string::npos);
    EXPECT_EQ(rest.find('@'), std::string::npos);
    EXPECT_EQ(rest.find('"'), std::string::npos);
  }
}

TEST(Figure, HostileTextsAreDrawnAndDoNothingElse) {
  const test::TempFolder folder;
  for (std::string words : kHostile) {
    for (std::size_t at = words.find("SPOILED"); at != std::string::npos;
         at = words.find("SPOILED", at + 7)) {
      words.replace(at, 7, (folder / "spoiled").string());
    }
    test::expect_picture(render(one_plot(words), PictureFormat::png), 960, 600);
    test::expect_well_formed(render(one_plot(words), PictureFormat::svg));
    EXPECT_FALSE(std::filesystem::exists(folder / "spoiled")) << words;
  }
}

TEST(Figure, TheNameOfAFileIsNoPartOfTheScript) {
  const test::TempFolder folder;
  const std::filesystem::path path = folder / "a'; system(\"x\") `date` \\ b.svg";
  write_figure(one_plot(), path);
  test::expect_well_formed(read_file(path, 1 << 20));
}

TEST(Figure, EveryKindIsDrawnInBothThemes) {
  Figure figure{.title = "all", .columns = {1, 2}};
  using Kind = Series::Kind;
  for (const Kind kind :
       {Kind::line, Kind::steps, Kind::points, Kind::rings, Kind::bars, Kind::ticks, Kind::level}) {
    Series series = curve();
    series.kind = kind;
    if (kind == Kind::line) series.spread = {0.1, std::nan(""), 0};
    figure.plots.push_back({.title = "kind", .y = {.label = "y"}, .series = {series, curve("")}});
  }
  for (const ColorScale colors : {ColorScale::gray, ColorScale::sequential, ColorScale::diverging}) {
    figure.plots.push_back({.maps = {{.columns = 3, .rows = 2, .values = {0, 1, 2, std::nanf(""), 4, 5}}},
                            .colors = colors,
                            .high = 5,
                            .scale = "value"});
  }
  figure.plots.push_back(
      {.x = {.log = true}, .y = {.log = true}, .series = {curve(), {.x = {0, -1}, .y = {1, 1}}}});
  figure.height = 1500;
  for (const Theme theme : {Theme::light, Theme::dark}) {
    test::expect_picture(render(figure, PictureFormat::png, theme), 960, 1500);
    test::expect_well_formed(render(figure, PictureFormat::svg, theme));
  }
}

TEST(Figure, BarsOfNothingHaveAnAxisUpToOne) {  // and not up to 1e-09
  const Series bars{.kind = Series::Kind::bars, .x = {0, 1}, .y = {0, 0}};
  const std::string script =
      gnuplot::job({.plots = {{.series = {bars}}}}, PictureFormat::png, Theme::light).script;
  EXPECT_NE(script.find("set yrange [0:1"), std::string::npos) << script;
}

TEST(Figure, WhatIsNotFiniteOrSingleIsNoObstacle) {
  Plot plot{.x = {.whole = true}, .series = {curve()}};
  plot.series[0].y = {std::nan(""), INFINITY, 3};
  test::expect_picture(render({.plots = {plot}}, PictureFormat::png), 960, 600);
  plot.series[0].y = {std::nan(""), INFINITY, -INFINITY};
  test::expect_picture(render({.title = "nothing finite", .plots = {plot}}, PictureFormat::png), 960, 600);
  for (const std::size_t columns : {1u, 2u, 5u}) {
    for (const std::size_t rows : {1u, 2u, 5u}) {
      const HeatMap map{.columns = columns, .rows = rows, .values = std::vector<float>(columns * rows, 0.5f)};
      test::expect_picture(render({.plots = {{.maps = {map}, .scale = "v"}}}, PictureFormat::png), 960, 600);
    }
  }
}

TEST(Figure, PanelsAreCrisp) {
  const test::TempFolder folder;
  std::vector<Panel> panels;
  for (int i = 0; i < 5; ++i) panels.push_back({{0, 60, 120, 255}, std::to_string(i)});
  write_figure(panel_figure("sheet", panels, 2, 3, 112), folder / "sheet.png");
  const test::Panels sheet(folder / "sheet.png", 2, 56, 3);
  EXPECT_EQ(sheet.width(), 434u);
  EXPECT_EQ(sheet.height(), 2u * (112 + 14 + 22) + 53);
  for (const std::size_t i : {0u, 2u, 3u, 4u}) {
    EXPECT_NEAR(sheet.at(i, 0, 0), 0, test::kGrayRoom);
    EXPECT_NEAR(sheet.at(i, 1, 0), 60, test::kGrayRoom);
    EXPECT_NEAR(sheet.at(i, 0, 1), 120, test::kGrayRoom);
    EXPECT_NEAR(sheet.at(i, 1, 1), 255, test::kGrayRoom);
  }
}

TEST(Figure, RefusesWhatCannotBeDrawn) {
  const auto refused = [](const Figure& figure) {
    return error_text([&] { static_cast<void>(render(figure, PictureFormat::png)); });
  };
  EXPECT_EQ(refused({.title = "t"}), "[figures] 't' must have something to draw, got nothing");
  EXPECT_EQ(refused({.title = "t", .plots = {{}}}), "[figures] 't' must have something to draw, got nothing");
  Figure uneven = one_plot("t");
  uneven.plots[0].series[0].x.pop_back();
  EXPECT_EQ(refused(uneven), "[figures] curve 't' must have as many x as y, got 2 and 3");
  const HeatMap lying{.columns = 3, .rows = 2, .values = {1}};
  EXPECT_EQ(refused({.plots = {{.maps = {lying}}}}), "[figures] a map must have 2 x 3 values, got 1");
  Figure large = one_plot("t");
  large.width = 20000;
  expect_has(refused(large), "at most 16384 pixels a side, got 20000 x 600");
  large.width = 40;
  expect_has(refused(large), "40 x 600 pixels are too few for 't'");
  expect_has(error_text([] { format_of("a.jpg"); }), "a.jpg: the name of a picture must end in .png or .svg");
  expect_has(error_text([] { panel_plot({}, 4, 8, 100); }), "1 or more pictures, got 0");
  const std::function<bool()> at_once = [] { return true; };
  EXPECT_EQ(
      error_text([&] { static_cast<void>(render(one_plot(), PictureFormat::png, Theme::light, at_once)); }),
      "interrupted");
}

/// PATH while one of these lives.
class Path {
 public:
  explicit Path(const std::filesystem::path& folder) : before_(std::getenv("PATH")) {
    ::setenv("PATH", folder.c_str(), 1);
  }
  ~Path() { ::setenv("PATH", before_.c_str(), 1); }

 private:
  std::string before_;
};

TEST(Figure, SaysWhatToInstallAndWhatGnuplotSaid) {
  const test::TempFolder folder;
  const auto drawn = [] { static_cast<void>(render(one_plot("t"), PictureFormat::png)); };
  const Path path(folder.path());
  EXPECT_EQ(gnuplot::version(), "");
  EXPECT_EQ(error_text(drawn),
            "[figures] gnuplot was not found in PATH; install it (apt-get install gnuplot-nox)");
  std::ofstream(folder / "gnuplot") << "#!/bin/sh\necho 'unknown terminal type' >&2\nexit 3\n";
  std::filesystem::permissions(folder / "gnuplot", std::filesystem::perms::owner_all);
  EXPECT_EQ(error_text(drawn), "[figures] gnuplot could not draw 't': exit status 3: unknown terminal type");
}

}  // namespace
}  // namespace volley

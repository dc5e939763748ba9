#include <fmt/format.h>
#include <gtest/gtest.h>

#include <volley/image.hpp>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/panels.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;
namespace fs = std::filesystem;

/// Of the panels of the test's picture, `count` of them in one row.
test::Panels panels_in(const fs::path& path, std::size_t count) { return {path, 4, 42, count}; }

constexpr int kRoom = test::kGrayRoom;

class EncodeCommand : public testing::Test {
 protected:
  EncodeCommand() {
    // Silent, always firing, and two in between; 4 x 4 so that a panel is 168 = 4 * 42 pixels wide.
    std::string pixels(16, '\0');
    pixels[0] = static_cast<char>(255);
    pixels[1] = static_cast<char>(51);
    pixels[2] = static_cast<char>(204);
    write_file_whole(image(), "P5 4 4 255\n" + pixels);
  }
  std::string image() const { return (folder_ / "dots.pgm").string(); }
  std::string out() const { return (folder_ / "out.png").string(); }

  test::TempFolder folder_;
};

TEST_F(EncodeCommand, DrawsTheImageItsStepsAndTheirMean) {
  const ProgramResult result =
      run_volley({"encode", image(), "-T", "1000", "--show-steps", "0,500,999", "--out", out()});
  ASSERT_TRUE(result.ok()) << result.err;
  expect_has(result.out, "4 x 4 pixels");
  expect_has(result.out, "in 1000 steps");
  expect_has(result.out, "the mean of pixel / 255 is 0.1250");
  expect_has(result.out, out());
  const test::Panels panels = panels_in(out(), 5);
  EXPECT_EQ(panels.width(), 5u * (168 + 14) + 14);
  EXPECT_NEAR(panels.at(0, 1, 0), 51, kRoom);
  for (const std::size_t step : {1u, 2u, 3u}) {
    EXPECT_NEAR(panels.at(step, 0, 0), 255, kRoom);
    EXPECT_NEAR(panels.at(step, 3, 3), 0, kRoom);
  }
  EXPECT_NEAR(panels.at(4, 0, 0), 255, kRoom);
  EXPECT_NEAR(panels.at(4, 3, 0), 0, kRoom);
  // 1000 draws: five standard deviations are 0.063.
  EXPECT_NEAR(panels.at(4, 1, 0), 51, 17);
  EXPECT_NEAR(panels.at(4, 2, 0), 204, 17);
}

TEST_F(EncodeCommand, DrawsWhatAnyEncoderGives) {
  const auto drawn = [&](const std::string& encoder, std::size_t count) {
    const ProgramResult result = run_volley({"encode", image(), "--encoder", encoder, "--out", out()});
    EXPECT_TRUE(result.ok()) << result.err;
    const test::Panels panels = panels_in(out(), count);
    EXPECT_EQ(panels.width(), count * (168 + 14) + 14);
    return panels;
  };
  const test::Panels latency = drawn("{ kind = \"latency\", clip = true }", 6);
  EXPECT_NEAR(latency.at(1, 0, 0), 255, kRoom) << "the brightest at the first step";
  EXPECT_NEAR(latency.at(1, 1, 0), 0, kRoom);
  EXPECT_NEAR(latency.at(5, 0, 0), 3, kRoom) << "once in 100";
  drawn("{ kind = \"population\", neurons = 3 }", 4);  // the image, and a mean a neuron
  const test::Panels delta = drawn("{ kind = \"delta\", off_spikes = true }", 3);
  EXPECT_NEAR(delta.at(1, 0, 0), 255, kRoom) << "brighter than nothing";
  EXPECT_NEAR(delta.at(1, 0, 1), 0, kRoom);
  EXPECT_NEAR(delta.at(2, 0, 1), 255, kRoom) << "darker than the row before";
}

TEST_F(EncodeCommand, RefusesAnEncoderThatItCannotDraw) {
  const auto refused = [&](const std::string& encoder) {
    const ProgramResult result = run_volley({"encode", image(), "--encoder", encoder, "--out", out()});
    EXPECT_FALSE(result.ok());
    return result.err;
  };
  expect_has(refused("direct"), "[encode] direct gives currents, and no spikes to draw");
  expect_has(refused("poison"), "'poison' is unknown; did you mean 'poisson'?");
  expect_has(refused("periodic"), "'encoder.period': missing; expected a number >= 1 and <= 65536");
}

TEST_F(EncodeCommand, TheSeedDecidesTheSpikes) {
  const auto picture = [&](const std::string& seed) {
    EXPECT_TRUE(run_volley({"encode", image(), "--seed", seed, "--out", out()}).ok());
    return read_file(out(), 1 << 20);
  };
  const std::string first = picture("1");
  EXPECT_EQ(picture("1"), first);
  EXPECT_NE(picture("2"), first);
}

TEST_F(EncodeCommand, WritesBesideNothingButWhereItIsToldOrHere) {
  ProgramOptions options;
  options.folder = folder_.path();
  const ProgramResult result = run_volley({"encode", "dots.pgm", "-T", "2"}, options);
  EXPECT_TRUE(result.ok()) << result.err;
  EXPECT_TRUE(fs::exists(folder_ / "dots_spikes.png"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2);
}

TEST_F(EncodeCommand, WrongUseExitsWithTwo) {
  for (const char* steps : {"-1", "100", "x"}) {
    EXPECT_EQ(run_volley({"encode", image(), "--show-steps", steps, "--out", out()}).code, 2) << steps;
  }
  const ProgramResult result =
      run_volley({"encode", image(), "-T", "5", "--show-steps", "5", "--out", out()});
  expect_has(result.err, "a step must be 0 to 4 (of -T 5), got 5");
  EXPECT_EQ(run_volley({"encode", image(), "-T", "0"}).code, 2);
  EXPECT_EQ(run_volley({"encode", image(), "--seed", "-1"}).code, 2);
  EXPECT_EQ(run_volley({"encode", image(), "--seed", "4294967296"}).code, 2);
  EXPECT_EQ(run_volley({"encode"}).code, 2);
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(EncodeCommand, WhatItCannotEncodeIsRefused) {
  EXPECT_EQ(run_volley({"encode", (folder_ / "none.png").string()}).code, 1);
  write_file_whole(image(), "P5 1025 1 255\n" + std::string(1025, 'x'));
  expect_has(run_volley({"encode", image()}).err, "must be 1 to 1024 pixels, got 1025 x 1");
  write_file_whole(image(), "P5 1024 1024 255\n" + std::string(1 << 20, 'x'));
  const ProgramResult result = run_volley({"encode", image(), "-T", "1025", "--out", out()});
  EXPECT_EQ(result.code, 1);
  expect_has(result.err, "-T must be at most 1024 for 1048576 pixels, got 1025");
}

TEST_F(EncodeCommand, HelpGivesAnExample) {
  expect_has(run_volley({"encode", "--help"}).out, "Example: volley encode");
}

}  // namespace
}  // namespace volley

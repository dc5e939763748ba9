#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include <volley/image.hpp>

#include "support/error_text.hpp"
#include "support/toy_set_program.hpp"

namespace volley {
namespace {

using test::expect_has;

/// A run whose network takes pixels as currents, and frames for it.
class StreamCommand : public test::ToySetProgram {
 protected:
  void train_direct(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"train",
                                   "toy.toml",
                                   "--out",
                                   "run",
                                   "--no-figures",
                                   "--set",
                                   "encoder=direct",
                                   "--set",
                                   "network.2.v_threshold=0.15",
                                   "--set",
                                   "network.2.tau=3.0"};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult result = volley(words);
    ASSERT_TRUE(result.ok()) << result.err;
  }
  ProgramResult stream(const std::string& input, std::vector<std::string> options = {}) const {
    write_file_whole(folder_ / "input", input);
    options.insert(options.begin(), {"stream", "run"});
    return test::run_volley(options, {.folder = folder_.path(), .input = folder_ / "input"});
  }
  std::string picture_name() const { return "set/row/" + first_of("set/row"); }
  std::string pixels() const {
    const Dataset picture = read_image(folder_ / picture_name());
    return {picture.pixels.begin(), picture.pixels.end()};
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST_F(StreamCommand, StepByStepGivesTheRatesOfAWholePass) {
  train_direct();
  const auto whole = nlohmann::json::parse(volley({"predict", "run", picture_name(), "--json"}).out);
  const ProgramResult result = stream(repeated(pixels(), 6), {"--format", "u8"});
  ASSERT_TRUE(result.ok()) << result.err;
  const std::vector<std::string> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[0], "step,column,diagonal,row");
  std::string expected = "6";
  for (const double rate : whole["rates"]) expected += fmt::format(",{:.6g}", rate);
  EXPECT_EQ(lines[6], expected);
  EXPECT_NE(lines[6], "6,0,0,0");
  expect_has(result.err, "6 steps; microseconds a step: median ");
}

TEST_F(StreamCommand, EveryFormatSaysTheSame) {
  train_direct();
  std::string bytes, csv, floats;
  for (std::size_t t = 0; t < 9; ++t) {
    std::vector<float> frame(36);
    for (std::size_t i = 0; i < 36; ++i) frame[i] = (i + t) % 3 == 0 ? 1.0f : 0.0f;
    for (const float v : frame) bytes += static_cast<char>(v == 1.0f ? 255 : 0);
    csv += fmt::format("{}\r\n\n", fmt::join(frame, ", "));
    floats.append(reinterpret_cast<const char*>(frame.data()), frame.size() * sizeof(float));
  }
  csv.resize(csv.size() - 3);  // the last line has no break
  const std::string expected = stream(bytes, {"--format", "u8", "--outputs"}).out;
  EXPECT_EQ(lines_of(expected).size(), 10u);
  expect_has(expected, ",1");
  EXPECT_EQ(stream(csv, {"--outputs"}).out, expected);
  EXPECT_EQ(stream(floats, {"--format", "f32", "--outputs", "--threads", "2"}).out, expected);
}

TEST_F(StreamCommand, GoesOnFromAFileAndBeginsAgain) {
  train_direct();
  const std::string frames = repeated(pixels(), 4);
  const std::vector<std::string> whole =
      lines_of(stream(frames + frames, {"--format", "u8", "--outputs"}).out);
  const std::vector<std::string> first =
      lines_of(stream(frames, {"--format", "u8", "--outputs", "--save-state", "s.safetensors"}).out);
  const std::vector<std::string> second =
      lines_of(stream(frames, {"--format", "u8", "--outputs", "--state", "s.safetensors"}).out);
  const std::vector<std::string> again =
      lines_of(stream(frames + frames, {"--format", "u8", "--outputs", "--reset-every", "4"}).out);
  ASSERT_EQ(whole.size(), 9u);
  ASSERT_EQ(second.size(), 5u);
  ASSERT_EQ(again.size(), 9u);
  const auto outputs = [](const std::string& line) { return line.substr(line.find(',')); };
  bool goes_on = false;
  for (std::size_t t = 1; t <= 4; ++t) {
    EXPECT_EQ(first[t], whole[t]);
    EXPECT_EQ(outputs(second[t]), outputs(whole[4 + t]));
    EXPECT_EQ(outputs(again[4 + t]), outputs(whole[t]));
    goes_on = goes_on || outputs(whole[4 + t]) != outputs(whole[t]);
  }
  EXPECT_TRUE(goes_on) << "the state must matter";
  const ProgramResult few = stream(frames, {"--format", "u8", "--every", "3"});
  EXPECT_EQ(lines_of(few.out).size(), 2u);
  write_file_whole(folder_ / "s.safetensors", "nothing");
  EXPECT_EQ(stream(frames, {"--state", "s.safetensors"}).code, 1);
}

TEST_F(StreamCommand, PoissonDrawsAnewAtEachStep) {
  train();
  const std::string grey(36, '\x60');
  const std::string once = stream(repeated(grey, 20), {"--format", "u8", "--outputs"}).out;
  EXPECT_EQ(stream(repeated(grey, 20), {"--format", "u8", "--outputs"}).out, once);
  std::vector<std::string> rows = lines_of(once);
  for (std::string& row : rows) row = row.substr(row.find(','));
  std::ranges::sort(rows);
  EXPECT_GT(std::unique(rows.begin(), rows.end()) - rows.begin(), 2);
}

TEST_F(StreamCommand, WrongFramesAreNamed) {
  train_direct();
  const std::string row = "0" + repeated(",0", 35);
  ProgramResult result = stream(row + "\n" + row + ",1\n");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "volley stream: stdin:2: a frame must have 36 numbers, got 37\n");
  EXPECT_EQ(lines_of(result.out).size(), 2u);
  EXPECT_EQ(stream("1,2,x").err, "volley stream: stdin:1: expected a finite number, got 'x'\n");
  EXPECT_EQ(stream("1,,2").err, "volley stream: stdin:1: expected a finite number, got ''\n");
  EXPECT_EQ(stream("nan\n").err, "volley stream: stdin:1: expected a finite number, got 'nan'\n");
  result = stream(std::string(40, 'x'), {"--format", "u8"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "volley stream: stdin: frame 2 must have 36 bytes, got 4\n");
  const float infinite = std::numeric_limits<float>::infinity();
  std::string floats(36 * sizeof(float), '\0');
  std::memcpy(floats.data() + 8, &infinite, sizeof infinite);
  EXPECT_EQ(stream(floats, {"--format", "f32"}).err,
            "volley stream: stdin: frame 1 must be of finite numbers, got inf\n");
  EXPECT_EQ(stream(row, {"--format", "png"}).code, 2);
  EXPECT_EQ(stream(row, {"--every", "0"}).code, 2);
  EXPECT_EQ(stream(row, {"--save-state", "nowhere/s"}).err,
            "volley stream: nowhere/s: cannot write: its folder is not there\n");
  result = stream("");
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.out, "step,column,diagonal,row\n");
  EXPECT_EQ(result.err, "0 steps\n");
  EXPECT_EQ(test::run_volley({"stream", "nowhere"}, {.folder = folder_.path()}).code, 1);
}

}  // namespace
}  // namespace volley

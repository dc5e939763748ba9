#include "tensorboard/event_file.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/event_reader.hpp"
#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
using test::read_events;

TEST(Crc32c, IsTheSumOfTheStandards) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(""), 0u);
}

// tests/golden/events.tfevents was written by TensorBoard's own package: peers/golden_tensorboard.py.
TEST(EventFileTest, IsTensorBoardsByteForByte) {
  constexpr double kWallTime = 1700000000.25;
  const test::TempFolder folder;
  std::string png(256, '\0');
  std::iota(png.begin(), png.end(), '\0');
  {
    TfEventFile file(folder / "events", 128, kWallTime);
    Summary first;
    first.scalar("loss", 0.125);
    first.scalar("epoch/test_acc", -3.5e8);
    file.add(5000000000, kWallTime + 1, first);
    Summary second;
    second.image("pictures/0", 300, 3, png);
    second.histogram("weights/1.weight", Histogram::of(std::array{-1.0f, 0.75f, 0.75f, 2.0f}, 4));
    file.add(0, kWallTime + 2, second);
    file.add(1, kWallTime + 3, Summary{});  // says nothing
    file.flush();
  }
  EXPECT_EQ(read_file(folder / "events", 1 << 20),
            read_file(fs::path(VOLLEY_SOURCE_DIR) / "tests/golden/events.tfevents", 1 << 20));
}

TEST(EventFileTest, WritesNothingBeforeAFlushAndWholeRecordsThen) {
  const test::TempFolder folder;
  TfEventFile file(folder / "events", 1, 0);
  EXPECT_EQ(fs::file_size(folder / "events"), 0u);
  file.flush();
  const auto size = fs::file_size(folder / "events");
  Summary summary;
  summary.scalar("loss", 1);
  file.add(1, 0, summary);
  EXPECT_EQ(fs::file_size(folder / "events"), size);
  EXPECT_GT(file.pending(), 0u);
  file.flush();
  EXPECT_EQ(file.pending(), 0u);
  EXPECT_EQ(read_events(folder / "events").size(), 3u);
}

TEST(EventFileTest, AFullDiskIsNamedAndLeavesWholeRecords) {
  const test::TempFolder folder;
  TfEventFile file(folder / "events", 1, 0);
  file.flush();
  Summary summary;
  summary.image("pictures/0", 1, 1, std::string(5000, 'x'));
  file.add(1, 0, summary);
  {
    const test::FileSizeLimit limit(1000);
    expect_has(error_text([&] { file.flush(); }), (folder / "events").string() + ": cannot write: ");
  }
  EXPECT_EQ(read_events(folder / "events").size(), 2u);
  file.flush();  // there is room again
  EXPECT_EQ(read_events(folder / "events").size(), 3u);
}

TEST(EventFileTest, NeverWritesOverAFile) {
  const test::TempFolder folder;
  write_file_whole(folder / "events", "of another");
  expect_has(error_text([&] { TfEventFile(folder / "events", 1, 0); }), "cannot write: File exists");
  EXPECT_EQ(read_file(folder / "events", 100), "of another");
}

TEST(HistogramTest, CountsEveryFiniteValueOnce) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{0.0f, 1.0f, 2.0f, 3.0f, -kInfinity, kInfinity, -1.0f, NAN, 3.0f};
  const Histogram h = Histogram::of(values, 4);
  EXPECT_EQ(h.min, -1);
  EXPECT_EQ(h.max, 3);
  EXPECT_EQ(h.sum, 8);
  EXPECT_EQ(h.sum_of_squares, 24);
  EXPECT_EQ(h.limits, (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(h.counts, (std::vector<double>{1, 1, 1, 3}));
}

TEST(HistogramTest, OfEqualValuesHasOneBucketAndOfNoneNone) {
  const Histogram same = Histogram::of(std::array{2.0f, 2.0f});
  EXPECT_EQ(same.limits, std::vector<double>{2});
  EXPECT_EQ(same.counts, std::vector<double>{2});
  EXPECT_TRUE(Histogram::of({}).counts.empty());
  EXPECT_TRUE(Histogram::of(std::array{NAN}).counts.empty());
}

TEST(HistogramTest, TheGreatestFloatsHaveBucketsToo) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const Histogram h = Histogram::of(std::array{-kMost, 0.0f, kMost}, 3);
  EXPECT_EQ(h.counts, (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(h.limits.back(), static_cast<double>(kMost));
}

}  // namespace
}  // namespace volley

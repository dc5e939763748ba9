// Frames of a real recording, in $VOLLEY_TEST_FILES, against SHA-256 of what Tonic 1.7.0 and SpikingJelly
// make of it, in derived/golden_frames.json there.

#include <volley/event_frames.hpp>
#include <volley/files.hpp>

#include <algorithm>

#include "core/sha256.hpp"
#include "events/recordings.hpp"
#include "events/surfaces.hpp"
#include "support/test_file.hpp"

namespace volley::test {
namespace {

using Rule = EventFrameRule;

const Shape kSensor{2, 34, 34};

/// The text of golden_frames.json from the case `name` of `tool` on.
std::string golden(const std::string& tool, const std::string& name) {
  const std::string text = read_file(test_file("derived/golden_frames.json"), 1 << 20);
  const std::size_t of_tool = text.find("\"" + tool + "\": {");
  const std::size_t found = text.find("\"" + name + "\": {", of_tool);
  return of_tool == std::string::npos || found == std::string::npos ? std::string() : text.substr(found);
}

std::string golden_sha256(const std::string& tool, const std::string& name) {
  const std::string text = golden(tool, name);
  const std::size_t found = text.find("\"sha256\": \"");
  return found == std::string::npos ? "no such case" : text.substr(found + 11, 64);
}

template <class T, class Values>
std::string sha256_as(const Values& values) {
  std::vector<T> cast(values.size());
  std::ranges::transform(values, cast.begin(), [](auto value) { return static_cast<T>(value); });
  return sha256_hex({reinterpret_cast<const char*>(cast.data()), cast.size() * sizeof(T)});
}

struct Case {
  std::string tool, name;
  EventFrameOptions options;
};
const std::vector<Case> kCases = {
    {"tonic_1.7.0", "ToFrame n_time_bins=10", {.rule = Rule::n_time_bins}},
    {"tonic_1.7.0", "ToFrame n_time_bins=10 overlap=0.1", {.rule = Rule::n_time_bins, .overlap = 0.1}},
    {"tonic_1.7.0", "ToFrame n_event_bins=10", {.rule = Rule::n_event_bins}},
    {"tonic_1.7.0", "ToFrame time_window=10000", {.rule = Rule::time_window, .time_window = 10000}},
    {"tonic_1.7.0",
     "ToFrame time_window=10000 include_incomplete",
     {.rule = Rule::time_window, .time_window = 10000, .include_incomplete = true}},
    {"tonic_1.7.0",
     "ToFrame time_window=10000 start_time=0 end_time=310000",
     {.rule = Rule::time_window, .time_window = 10000, .start_time = 0, .end_time = 310000}},
    {"tonic_1.7.0", "ToFrame event_count=1000", {.rule = Rule::event_count, .event_count = 1000}},
    {"tonic_1.7.0",
     "ToFrame event_count=1000 include_incomplete",
     {.rule = Rule::event_count, .event_count = 1000, .include_incomplete = true}},
    {"tonic_1.7.0", "ToFrame time_window=1000", {.rule = Rule::time_window, .time_window = 1000}},
    {"spikingjelly_0.0.0.0.14", "frames_number=10 split_by=number", {.rule = Rule::split_by_number}},
    {"spikingjelly_0.0.0.0.14", "frames_number=10 split_by=time", {.rule = Rule::split_by_time}},
    {"spikingjelly_0.0.0.0.14", "duration=10000", {.rule = Rule::duration_v0, .time_window = 10000}},
    {"spikingjelly_0.0.0.0.14", "duration=1000", {.rule = Rule::duration_v0, .time_window = 1000}},
    {"spikingjelly_2.0.0", "frames_number=10 split_by=number", {.rule = Rule::split_by_number}},
    {"spikingjelly_2.0.0", "frames_number=10 split_by=time", {.rule = Rule::split_by_time}},
    {"spikingjelly_2.0.0", "duration=10000", {.rule = Rule::duration, .time_window = 10000}},
    {"spikingjelly_2.0.0", "duration=1000", {.rule = Rule::duration, .time_window = 1000}}};

class GoldenFrames : public testing::Test {
 protected:
  void SetUp() override {
    VOLLEY_NEEDS_FILE("nmnist/sample_nmnist.bin");
    VOLLEY_NEEDS_FILE("derived/golden_frames.json");
    events = read_events(test_file("nmnist/sample_nmnist.bin"));
  }
  Events events;
};

TEST_F(GoldenFrames, EveryRuleOfTonicAndSpikingJelly) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.tool + " " + c.name);
    const Tensor frames = event_frames(events, kSensor, c.options);
    EXPECT_EQ(sha256_as<std::int16_t>(frames.values()), golden_sha256(c.tool, c.name));
  }
}

TEST_F(GoldenFrames, SpikesAreWhereFramesAre) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.tool + " " + c.name);
    EventFrameOptions binary = c.options;
    binary.binary = true;
    const Tensor frames = event_frames(events, kSensor, binary);
    std::vector<std::uint8_t> bytes(frames.size());
    event_spikes(events, kSensor, c.options).to_bytes(bytes);
    EXPECT_TRUE(std::ranges::equal(bytes, frames.values()));
  }
}

TEST_F(GoldenFrames, SlicesOfSpikingJelly) {
  const std::vector<std::size_t> number{0, 432, 864, 1296, 1728, 2160, 2592, 3024, 3456, 3888, 4325};
  const std::vector<std::size_t> time{0, 198, 987, 1360, 1551, 2205, 2592, 2771, 3219, 4074, 4325};
  for (const auto& [rule, edges] : {std::pair{Rule::split_by_number, number}, {Rule::split_by_time, time}}) {
    const std::vector<EventSlice> slices = event_slices(events, {.rule = rule});
    ASSERT_EQ(slices.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(slices[i], (EventSlice{edges[i], edges[i + 1]})) << i;
  }
}

TEST_F(GoldenFrames, BinaRep) {
  const Tensor frames = event_frames(events, kSensor, {.rule = Rule::n_time_bins, .frames_number = 8});
  const Tensor y = bina_rep(frames, 8);
  EXPECT_EQ(y.shape(), (Shape{1, 2, 34, 34}));
  EXPECT_EQ(sha256_as<float>(y.values()), golden_sha256("tonic_1.7.0", "ToBinaRep 1x8 of n_time_bins=8"));
}

TEST_F(GoldenFrames, VoxelGrid) {
  EXPECT_EQ(sha256_as<double>(compute_voxel_grid(events, kSensor, 10)),
            golden_sha256("tonic_1.7.0", "ToVoxelGrid n_time_bins=10"));
}

// The SHA-256 there is of doubles. NumPy's exp differs from the C library's in the last bit of 103 of them;
// in float, rounded from these very doubles, none differs.
TEST_F(GoldenFrames, TimeSurfaces) {
  const Tensor surfaces = time_surfaces(events, kSensor);
  EXPECT_EQ(surfaces.shape(), (Shape{3, 2, 34, 34}));
  EXPECT_EQ(sha256_as<float>(surfaces.values()),
            "9822e6f9eb41494e09846da7f6f127734cb7d317b5b8ae2c4588da19df25e354");
}

// Of these Tonic's are float32 sums of NumPy's float32 exp, whose bits are its own: the sums of each cell are
// compared.
TEST_F(GoldenFrames, AveragedTimeSurfaces) {
  const Tensor y = averaged_time_surfaces(std::span(events).first(400), kSensor);
  ASSERT_EQ(y.shape(), (Shape{16, 2, 5, 5}));
  const std::vector<double> expected{0,
                                     1.049273011747573,
                                     2.0021597483810183,
                                     1,
                                     2.104716905294481,
                                     2.17151285450268,
                                     2.1030665915386635,
                                     0,
                                     2.212623088620603,
                                     1.1688283849617846,
                                     2,
                                     1,
                                     0,
                                     1.0000805854797363,
                                     0,
                                     0};
  for (std::size_t cell = 0; cell < 16; ++cell) {
    double sum = 0;
    for (const float value : y.values().subspan(cell * 50, 50)) sum += value;
    EXPECT_NEAR(sum, expected[cell], 1e-6) << cell;
  }
}

}  // namespace
}  // namespace volley::test

#include <volley/event_frames.hpp>

#include <cmath>

#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

using Rule = EventFrameRule;
using Slices = std::vector<EventSlice>;

/// Events at these times, at places that follow from their number.
Events at(std::initializer_list<std::uint64_t> times) {
  Events events;
  for (const std::uint64_t t : times) {
    const auto i = static_cast<std::uint16_t>(events.size());
    events.push_back({t, static_cast<std::uint16_t>(i % 3), static_cast<std::uint16_t>(i % 2),
                      static_cast<std::uint16_t>(i % 2)});
  }
  return events;
}
const Shape kSensor{2, 2, 3};

std::string slices_error(const Events& events, const EventFrameOptions& options) {
  return error_text([&] { event_slices(events, options); });
}

TEST(EventSlices, TimeWindowsAreHalfOpenAndTheTailIsDropped) {
  const Events events = at({100, 109, 110, 119, 120, 125});
  EXPECT_EQ(event_slices(events, {.rule = Rule::time_window, .time_window = 10}), (Slices{{0, 2}, {2, 4}}));
  EXPECT_EQ(event_slices(events, {.rule = Rule::time_window, .time_window = 10, .include_incomplete = true}),
            (Slices{{0, 2}, {2, 4}, {4, 6}}));
  // A window that ends at the last event leaves it out.
  EXPECT_EQ(event_slices(events, {.rule = Rule::time_window, .time_window = 25, .include_incomplete = true}),
            (Slices{{0, 5}}));
  // A window longer than the recording.
  EXPECT_EQ(event_slices(events, {.rule = Rule::time_window, .time_window = 1000}), (Slices{{0, 6}}));
}

TEST(EventSlices, TimeWindowsOverlap) {
  const Events events = at({0, 5, 10, 15, 20});
  EXPECT_EQ(event_slices(events, {.rule = Rule::time_window, .time_window = 10, .overlap = 5}),
            (Slices{{0, 2}, {1, 3}, {2, 4}}));
}

TEST(EventSlices, TimeWindowsFromAStartToAnEnd) {
  const EventFrameOptions options{
      .rule = Rule::time_window, .time_window = 10, .start_time = 95, .end_time = 135};
  EXPECT_EQ(event_slices(at({100, 109, 110, 119, 120, 200}), options),
            (Slices{{0, 1}, {1, 3}, {3, 5}, {5, 5}}));
  EXPECT_EQ(event_slices({}, options), (Slices{{0, 0}, {0, 0}, {0, 0}, {0, 0}}));
  EXPECT_EQ(event_slices(at({10, 20}), {.rule = Rule::time_window, .time_window = 10, .start_time = 50}),
            (Slices{{2, 2}}));
}

TEST(EventSlices, EventCounts) {
  const Events events = at({0, 0, 0, 1, 1, 2, 9});
  EXPECT_EQ(event_slices(events, {.rule = Rule::event_count, .event_count = 3}), (Slices{{0, 3}, {3, 6}}));
  EXPECT_EQ(event_slices(events, {.rule = Rule::event_count, .event_count = 3, .include_incomplete = true}),
            (Slices{{0, 3}, {3, 6}, {6, 7}}));
  EXPECT_EQ(event_slices(events, {.rule = Rule::event_count, .event_count = 3, .overlap = 1}),
            (Slices{{0, 3}, {2, 5}, {4, 7}}));
  EXPECT_EQ(event_slices(events, {.rule = Rule::event_count, .event_count = 100}), (Slices{{0, 7}}));
}

TEST(EventSlices, TimeBinsLoseTheLastEventAndARemainder) {
  EXPECT_EQ(event_slices(at({0, 4, 5, 10}), {.rule = Rule::n_time_bins, .frames_number = 2}),
            (Slices{{0, 2}, {2, 3}}));
  EXPECT_EQ(event_slices(at({0, 4, 5, 10, 11}), {.rule = Rule::n_time_bins, .frames_number = 2}),
            (Slices{{0, 2}, {2, 3}}));
  // w = 6 * 1.5, s = 9 * 0.5
  EXPECT_EQ(event_slices(at({0, 3, 4, 7, 8, 11, 12}),
                         {.rule = Rule::n_time_bins, .frames_number = 2, .overlap = 0.5}),
            (Slices{{0, 5}, {3, 7}}));
}

TEST(EventSlices, EventBinsDropTheRemainder) {
  const Events events = at({0, 1, 2, 3, 4, 5, 6});
  EXPECT_EQ(event_slices(events, {.rule = Rule::n_event_bins, .frames_number = 3}),
            (Slices{{0, 2}, {2, 4}, {4, 6}}));
  // 3 events, every 1; and beyond the end
  EXPECT_EQ(event_slices(events, {.rule = Rule::n_event_bins, .frames_number = 3, .overlap = 0.5}),
            (Slices{{0, 3}, {1, 4}, {2, 5}}));
}

TEST(EventSlices, TheLastFrameOfSpikingJellyTakesTheRest) {
  const Events events = at({0, 3, 4, 7, 11});
  EXPECT_EQ(event_slices(events, {.rule = Rule::split_by_time, .frames_number = 3}),
            (Slices{{0, 1}, {1, 3}, {3, 5}}));  // from 0, 3 and 6
  EXPECT_EQ(event_slices(events, {.rule = Rule::split_by_number, .frames_number = 2}),
            (Slices{{0, 2}, {2, 5}}));
  EXPECT_EQ(event_slices(events, {.rule = Rule::split_by_number, .frames_number = 6}).back(),
            (EventSlice{0, 5}));
  // Bins without events are empty.
  EXPECT_EQ(event_slices(at({0, 1, 9}), {.rule = Rule::split_by_time, .frames_number = 3}),
            (Slices{{0, 2}, {2, 2}, {2, 3}}));
}

TEST(EventSlices, Durations) {
  // 20 is the edge of a third frame, which there is not.
  EXPECT_EQ(event_slices(at({0, 9, 10, 20}), {.rule = Rule::duration, .time_window = 10}),
            (Slices{{0, 2}, {2, 4}}));
  EXPECT_EQ(event_slices(at({0, 9, 10, 21}), {.rule = Rule::duration, .time_window = 10}),
            (Slices{{0, 2}, {2, 3}, {3, 4}}));
  // From the first event that is left, both ends inclusive.
  EXPECT_EQ(event_slices(at({0, 9, 10, 11, 21, 22, 500}), {.rule = Rule::duration_v0, .time_window = 10}),
            (Slices{{0, 3}, {3, 5}, {5, 6}, {6, 7}}));
}

TEST(EventSlices, AnEmptyRecordingAndOneOfOneTime) {
  for (std::size_t rule = 0; rule < choices(Rule::duration).size(); ++rule) {
    SCOPED_TRACE(choices(Rule::duration)[rule]);
    const EventFrameOptions options{.rule = static_cast<Rule>(rule)};
    const bool is_number = options.rule == Rule::n_time_bins || options.rule == Rule::n_event_bins ||
                           options.rule == Rule::split_by_time || options.rule == Rule::split_by_number;
    EXPECT_EQ(event_slices({}, options), Slices(is_number ? 10 : 1));
    for (const Events& events : {at({7}), at({7, 7, 7})}) {
      const Slices slices = event_slices(events, options);
      EXPECT_EQ(slices.size(), is_number ? 10u : 1u);
      const bool loses = options.rule == Rule::n_time_bins || options.rule == Rule::n_event_bins;
      EXPECT_EQ(slices.back().end - slices.back().begin, loses ? 0 : events.size());
    }
  }
}

TEST(EventSlices, WhatIsRefused) {
  const Events events = at({0, 10});
  expect_has(slices_error(events, {.frames_number = 0}),
             "[event_frames] frames_number must be >= 1 and <= 16777216, got 0");
  expect_has(slices_error(events, {.rule = Rule::duration, .time_window = 0}),
             "[event_frames] time_window must be > 0, got 0");
  expect_has(slices_error(events, {.time_window = NAN}), "[event_frames] time_window must be > 0, got nan");
  expect_has(slices_error(events, {.rule = Rule::event_count, .event_count = 0}),
             "[event_frames] event_count must be >= 1, got 0");
  expect_has(slices_error(events, {.rule = Rule::event_count, .event_count = 5, .overlap = 5}),
             "[event_frames] overlap must be >= 0 and < 5, got 5");
  expect_has(slices_error(events, {.rule = Rule::event_count, .event_count = 5, .overlap = 0.5}),
             "[event_frames] overlap must be a whole number of events, got 0.5");
  expect_has(slices_error(events, {.rule = Rule::time_window, .time_window = 5, .overlap = 6}),
             "[event_frames] overlap must be >= 0 and < 5, got 6");
  expect_has(slices_error(events, {.overlap = 1}), "[event_frames] overlap must be >= 0 and < 1, got 1");
  expect_has(slices_error(events, {.rule = Rule::duration, .overlap = 0.5}),
             "[event_frames] overlap must not be given with rule duration");
  expect_has(slices_error(events, {.include_incomplete = true}),
             "[event_frames] include_incomplete must not be given with rule n_time_bins");
  expect_has(slices_error(events, {.start_time = 1}),
             "[event_frames] start_time must not be given with rule n_time_bins");
  expect_has(slices_error(events, {.rule = Rule::event_count, .end_time = 1}),
             "[event_frames] end_time must not be given with rule event_count");
  expect_has(slices_error(events, {.rule = Rule::time_window, .start_time = 5, .end_time = 4}),
             "[event_frames] end_time must be >= start_time 5, got 4");
  expect_has(slices_error(events, {.rule = Rule::time_window, .start_time = std::uint64_t{1} << 53}),
             "[event_frames] start_time and end_time must be below 2^53, got 9007199254740992");
  expect_has(slices_error(events, {.rule = Rule::time_window, .time_window = 1e-9}),
             "[event_frames] frames must be at most 16777216, got ");
  expect_has(slices_error(events, {.rule = static_cast<Rule>(99)}), "[event_frames] rule must be one of");
  expect_has(slices_error(at({1, 3, 2}), {}),
             "[event_frames] events must be by time, got 2 after 3 at event 2");
  expect_has(slices_error(at({std::uint64_t{1} << 53}), {}), "[event_frames] times must be below 2^53, got ");
  EXPECT_EQ(event_slices(at({3, 2, 1}), {.rule = Rule::event_count, .event_count = 2}), (Slices{{0, 2}}));
}

TEST(EventFrames, CountsAndSpikes) {
  const Events events{{0, 2, 1, 1}, {1, 2, 1, 1}, {2, 0, 0, 0}, {9, 1, 0, 0}};
  const EventFrameOptions options{.rule = Rule::split_by_time, .frames_number = 2};
  const Tensor frames = event_frames(events, kSensor, options);
  ASSERT_EQ(frames.shape(), (Shape{2, 2, 2, 3}));
  std::vector<float> expected(24);
  expected[11] = 2;
  expected[0] = 1;
  expected[12 + 1] = 1;
  EXPECT_EQ(std::vector<float>(frames.values().begin(), frames.values().end()), expected);
  expected[11] = 1;
  EventFrameOptions binary = options;
  binary.binary = true;
  const Tensor ones = event_frames(events, kSensor, binary);
  EXPECT_EQ(std::vector<float>(ones.values().begin(), ones.values().end()), expected);
  const Spikes spikes = event_spikes(events, kSensor, options);
  ASSERT_EQ(spikes.shape(), (Shape{1, 2, 2, 2, 3}));
  EXPECT_EQ(spikes.count(), 3u);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(spikes.fired(0, i / 12, i % 12), expected[i] == 1) << i;
  EXPECT_EQ(event_spikes({}, kSensor).count(), 0u);
}

TEST(EventFrames, SpikesOfMoreFeaturesThanAWord) {
  Events events;
  for (std::uint16_t i = 0; i < 90; ++i) events.push_back({i, i, 0, 0});
  const Spikes spikes = event_spikes(events, {1, 1, 90}, {.rule = Rule::event_count, .event_count = 1});
  for (std::size_t t = 0; t < 90; ++t) {
    EXPECT_TRUE(spikes.fired(0, t, t)) << t;
  }
  EXPECT_EQ(spikes.count(), 90u);
}

TEST(EventFrames, OneChannelTakesEventsOfAnyOne) {
  const EventFrameOptions one{.rule = Rule::event_count, .event_count = 1};
  EXPECT_EQ(event_frames(Events{{0, 1, 0, 1}}, {1, 1, 2}, one).values()[1], 1);
  expect_has(error_text([&] {
               event_frames(Events{{0, 0, 0, 1}, {1, 0, 0, 0}}, {1, 1, 2}, one);
             }),
             "[event_frames] events must be of one channel where the sensor has one, got channels 1 and 0");
}

TEST(EventFrames, SensorsAndEventsThatAreRefused) {
  const Events events{{0, 0, 0, 0}, {1, 3, 0, 0}};
  expect_has(error_text([&] { event_frames(events, kSensor); }),
             "[event_frames] events must be inside the sensor (2, 2, 3), got channel 0, y 0, x 3 at event 1");
  expect_has(error_text([&] {
               event_spikes(Events{{0, 0, 2, 0}}, kSensor);
             }),
             "[event_spikes] events must be inside the sensor (2, 2, 3), got channel 0, y 2, x 0 at event 0");
  expect_has(error_text([&] { event_spikes(Events{{0, 0, 0, 2}}, kSensor); }), "got channel 2, y 0, x 0");
  expect_has(error_text([&] {
               event_frames(events, {2, 3});
             }),
             "[event_frames] sensor must be (channels, height, width), got (2, 3)");
  expect_has(error_text([&] {
               event_frames(events, {2, 0, 3});
             }),
             "[event_frames] sensor must have sizes from 1 to 65536, got (2, 0, 3)");
  expect_has(error_text([&] { event_frames(events, {2, 70000, 3}); }), "got (2, 70000, 3)");
}

TEST(BinaRep, BitsFromTheMostSignificantOn) {
  Tensor frames(Shape{4, 2});  // two frames of two bits
  frames.values()[0] = 3;      // 10 of the first
  frames.values()[3] = 1;      // 01 of the second
  frames.values()[4] = 0.5f;
  frames.values()[6] = 1;  // 11
  const Tensor y = bina_rep(frames, 2);
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_EQ(std::vector<float>(y.values().begin(), y.values().end()),
            (std::vector<float>{2.0f / 3, 1.0f / 3, 1, 0}));
  expect_has(error_text([&] { bina_rep(frames, 3); }),
             "[bina_rep] frames must be (T n_bits, ...) with n_bits 3, got (4, 2)");
  expect_has(error_text([&] { bina_rep(frames, 1); }), "[bina_rep] n_bits must be >= 2 and <= 24, got 1");
  expect_has(error_text([&] { bina_rep(frames, 25); }), "[bina_rep] n_bits must be");
}

TEST(TimeSurfaces, DecayFromTheLastEventOfAPlace) {
  const Events events{{10, 0, 0, 0}, {14, 0, 0, 0}, {20, 1, 0, 1}, {30, 0, 0, 0}};
  const Tensor y = time_surfaces(events, {2, 1, 2}, {.dt = 10, .tau = 4});
  ASSERT_EQ(y.shape(), (Shape{2, 2, 1, 2}));
  const auto decay = [](double since) { return static_cast<float>(std::exp(-since / 4)); };
  EXPECT_EQ(std::vector<float>(y.values().begin(), y.values().end()),
            (std::vector<float>{decay(6), 0, 0, 0, decay(16), 0, 0, decay(10)}));
  const Tensor empty = time_surfaces({}, {2, 1, 2});
  EXPECT_EQ(empty.shape(), (Shape{1, 2, 1, 2}));
  for (const float value : empty.values()) EXPECT_EQ(value, 0);
  expect_has(error_text([&] {
               time_surfaces(events, {2, 1, 2}, {.dt = 0});
             }),
             "[time_surfaces] dt must be > 0, got 0");
  expect_has(error_text([&] {
               time_surfaces(events, {2, 1, 2}, {.tau = -1});
             }),
             "[time_surfaces] tau must be > 0, got -1");
  expect_has(error_text([&] {
               time_surfaces(events, {2, 1, 2}, {.dt = 2, .overlap = 2});
             }),
             "[time_surfaces] overlap must be >= 0 and < 2, got 2");
}

TEST(AveragedTimeSurfaces, MeansOfACellAndAChannel) {
  // Two cells of 2 x 2 pixels and a third that is cut off by the edge.
  const Events events{{0, 0, 0, 0}, {4, 1, 1, 0}, {5, 2, 0, 0}, {14, 0, 0, 0}, {14, 4, 0, 1}};
  const AveragedTimeSurfaceOptions options{.cell_size = 2, .surface_size = 1, .time_window = 100, .tau = 7};
  const Tensor y = averaged_time_surfaces(events, {2, 2, 5}, options);
  ASSERT_EQ(y.shape(), (Shape{3, 2, 1, 1}));
  const auto mean = static_cast<float>((1 + 1 + 1 + std::exp(-2.0)) / 3);  // 14 sees 0
  EXPECT_EQ(std::vector<float>(y.values().begin(), y.values().end()),
            (std::vector<float>{mean, 0, 1, 0, 0, 1}));
}

TEST(AveragedTimeSurfaces, PlacesAroundAnEventAndTheWindow) {
  const Events events{{0, 1, 1, 0}, {10, 2, 1, 0}, {21, 2, 2, 0}};
  AveragedTimeSurfaceOptions options{
      .cell_size = 4, .surface_size = 3, .time_window = 11, .tau = 10, .decay = EventDecay::lin};
  const Tensor y = averaged_time_surfaces(events, {1, 4, 4}, options);
  ASSERT_EQ(y.shape(), (Shape{1, 1, 3, 3}));
  // The second has the first on its left, the third the second above it; the first is too long ago.
  const std::vector<float> expected{0, (1 - 11.0f / 30) / 3, 0, (1 - 10.0f / 30) / 3, 1, 0, 0, 0, 0};
  for (std::size_t i = 0; i < 9; ++i) EXPECT_FLOAT_EQ(y.values()[i], expected[i]) << i;
  options.time_window = 10;  // inclusive
  const Tensor shorter = averaged_time_surfaces(events, {1, 4, 4}, options);
  EXPECT_FLOAT_EQ(shorter.values()[3], expected[3]);
  EXPECT_EQ(shorter.values()[1], 0);
  const Tensor empty = averaged_time_surfaces({}, {1, 4, 4}, options);
  for (const float value : empty.values()) EXPECT_EQ(value, 0);
  const auto error_of = [&](const AveragedTimeSurfaceOptions& wrong) {
    return error_text([&] { averaged_time_surfaces(events, {1, 4, 4}, wrong); });
  };
  expect_has(error_of({.cell_size = 0}),
             "[averaged_time_surfaces] cell_size must be >= 1 and <= 65536, got 0");
  expect_has(error_of({.surface_size = 4}), "[averaged_time_surfaces] surface_size must be odd, got 4");
  expect_has(error_of({.cell_size = 3}),
             "[averaged_time_surfaces] surface_size must be >= 1 and <= 3, got 5");
  expect_has(error_of({.time_window = -1}), "[averaged_time_surfaces] time_window must be >= 0, got -1");
  expect_has(error_of({.tau = 0}), "[averaged_time_surfaces] tau must be > 0, got 0");
}

TEST(VoxelGrid, SignsAndWeights) {
  // s: 0, 0.5, 1.5, 2 of two bins
  const Events events{{100, 0, 0, 1}, {105, 1, 0, 0}, {115, 0, 0, 1}, {120, 1, 0, 1}};
  const Tensor y = voxel_grid(events, {2, 1, 2}, 2);
  ASSERT_EQ(y.shape(), (Shape{2, 1, 1, 2}));
  EXPECT_EQ(std::vector<float>(y.values().begin(), y.values().end()),
            (std::vector<float>{1, -0.5f, 0.5f, -0.5f}));
  const Tensor one = voxel_grid(Events{{5, 1, 0, 0}, {5, 1, 0, 0}}, {2, 1, 2}, 2);
  EXPECT_EQ(std::vector<float>(one.values().begin(), one.values().end()), (std::vector<float>{0, -2, 0, 0}));
  const Tensor empty = voxel_grid({}, {2, 1, 2}, 2);
  for (const float value : empty.values()) EXPECT_EQ(value, 0);
  expect_has(error_text([&] {
               voxel_grid(events, {1, 1, 2}, 2);
             }),
             "[voxel_grid] sensor must have two channels, got (1, 1, 2)");
  expect_has(error_text([&] { voxel_grid(events, {2, 1, 2}, 0); }), "[voxel_grid] n_time_bins must be >= 1");
  expect_has(error_text([&] {
               voxel_grid(Events{{2, 0, 0, 0}, {1, 0, 0, 0}}, {2, 1, 2});
             }),
             "[voxel_grid] events must be by time, got 1 after 2 at event 1");
}

}  // namespace
}  // namespace volley::test

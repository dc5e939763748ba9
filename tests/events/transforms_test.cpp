#include <volley/event_transforms.hpp>

#include <cmath>
#include <functional>

#include "events/recordings.hpp"
#include "support/error_text.hpp"
#include "support/test_file.hpp"

namespace volley::test {
namespace {

using namespace event_transforms;

const Shape kSensor{2, 4, 6};

TEST(Denoise, NeedsANeighbourOfLate) {
  const std::uint64_t t = 100;  // later than filter_time: no pixel counts as fresh
  EXPECT_TRUE(denoise({}).empty());
  EXPECT_TRUE(denoise(off({{t, 1, 1}}), 10).empty());
  EXPECT_EQ(denoise(off({{t, 1, 1}, {t + 9, 2, 1}}), 10), off({{t + 9, 2, 1}}));
  EXPECT_TRUE(denoise(off({{t, 1, 1}, {t + 10, 2, 1}}), 10).empty());  // not less than filter_time ago
  for (const Place& beside : {Place{t, 0, 1}, {t, 2, 1}, {t, 1, 0}, {t, 1, 2}})
    EXPECT_EQ(denoise(off({beside, {t + 1, 1, 1}}), 10), off({{t + 1, 1, 1}}));
  EXPECT_TRUE(denoise(off({{t, 0, 0}, {t + 1, 1, 1}}), 10).empty());  // a corner is not beside
  EXPECT_TRUE(denoise(off({{t, 1, 1}, {t + 1, 1, 1}}), 10).empty());  // nor is the pixel itself
}

TEST(Denoise, EarlyEventsPassAsInTonic) {
  EXPECT_EQ(denoise(off({{9, 0, 0}, {9, 1, 0}, {10, 1, 0}}), 10), off({{9, 0, 0}, {9, 1, 0}, {10, 1, 0}}));
  // The only pixel of the recording has none beside it.
  EXPECT_TRUE(denoise(off({{0, 0, 0}}), 10).empty());
}

TEST(RefractoryPeriod, MoreThanThePeriodAndDroppedEventsRenewIt) {
  EXPECT_EQ(
      refractory_period(off({{5, 0, 0}, {15, 0, 0}, {26, 0, 0}, {26, 1, 0}, {30, 0, 0}, {37, 0, 0}}), 10),
      off({{5, 0, 0}, {26, 0, 0}, {26, 1, 0}}));
  EXPECT_TRUE(refractory_period(off({{0, 0, 0}}), 10).empty());  // as in Tonic
  EXPECT_EQ(refractory_period(off({{0, 0, 0}, {11, 0, 0}, {5, 0, 0}}), 10), off({{11, 0, 0}}));
}

TEST(Decimate, EveryNthOfAPixel) {
  EXPECT_EQ(decimate(off({{1, 0, 0}, {2, 1, 1}, {3, 0, 0}, {4, 0, 0}, {5, 0, 0}, {6, 1, 1}}), 2),
            off({{3, 0, 0}, {5, 0, 0}, {6, 1, 1}}));
  expect_has(error_text([] { decimate({}, 0); }), "[decimate] n must be >= 1, got 0");
}

TEST(PixelMemories, HaveALimit) {
  const Events wide = off({{1, 65535, 511}});
  EXPECT_EQ(decimate(wide, 1), wide);
  const Events wider = off({{1, 65535, 0}, {1, 0, 512}});
  for (const auto& action : std::initializer_list<std::function<void()>>{
           [&] { decimate(wider, 1); }, [&] { denoise(wider); }, [&] { refractory_period(wider, 1); }}) {
    expect_has(error_text(action),
               "the area of the events must have at most 33554432 pixels, got 65536 x 513");
  }
}

TEST(Crop, AWindow) {
  const Events events = off({{1, 0, 0}, {2, 1, 2}, {3, 2, 3}, {4, 3, 2}, {5, 1, 4}});
  EXPECT_EQ(crop(events, {.x = 1, .y = 2, .width = 2, .height = 2}), off({{2, 0, 0}, {3, 1, 1}}));
  EXPECT_TRUE(crop(events, {.x = 70000, .y = 0, .width = 2, .height = 2}).empty());
  expect_has(error_text([&] { crop(events, {.width = 0, .height = 1}); }),
             "[crop] width must be >= 1 and <= 65536, got 0");
}

TEST(Crop, TheMiddleOfASensor) {
  const Events events = off({{1, 0, 0}, {2, 1, 1}, {3, 2, 1}, {4, 3, 2}, {5, 4, 3}});
  // x from (6 - 3) / 2 = 1, y from 1
  EXPECT_EQ(center_crop(events, kSensor, 2, 3), off({{2, 0, 0}, {3, 1, 0}, {4, 2, 1}}));
  // Larger by 3 and 1: 2 and 1 before.
  EXPECT_EQ(center_crop(off({{1, 0, 0}, {2, 5, 3}}), kSensor, 5, 9), off({{1, 2, 1}, {2, 7, 4}}));
  expect_has(error_text([&] {
               center_crop(off({{1, 6, 0}}), kSensor, 2, 2);
             }),
             "[center_crop] events must be inside the sensor (2, 4, 6), got channel 0, y 0, x 6 at event 0");
}

TEST(Crop, TimesAreInclusive) {
  const Events events = off({{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}});
  EXPECT_EQ(crop_time(events, 2, 3), off({{2, 0, 0}, {3, 0, 0}}));
  EXPECT_EQ(crop_time(events, 4), off({{4, 0, 0}}));
  expect_has(error_text([&] { crop_time(events, 3, 2); }), "[crop_time] max must be >= min 3, got 2");
}

TEST(Flips, AreTheirOwnInverse) {
  const Events events{{1, 0, 0, 0}, {2, 5, 3, 1}, {3, 1, 2, 0}};
  EXPECT_EQ(flip_lr(events, kSensor), (Events{{1, 5, 0, 0}, {2, 0, 3, 1}, {3, 4, 2, 0}}));
  EXPECT_EQ(flip_ud(events, kSensor), (Events{{1, 0, 3, 0}, {2, 5, 0, 1}, {3, 1, 1, 0}}));
  EXPECT_EQ(flip_polarity(events), (Events{{1, 0, 0, 1}, {2, 5, 3, 0}, {3, 1, 2, 1}}));
  EXPECT_EQ(time_reversal(events), (Events{{0, 1, 2, 1}, {1, 5, 3, 0}, {2, 0, 0, 1}}));
  EXPECT_EQ(time_reversal(events, false)[0], (Event{0, 1, 2, 0}));
  EXPECT_TRUE(time_reversal({}).empty());
  EXPECT_EQ(flip_lr(flip_lr(events, kSensor), kSensor), events);
  EXPECT_EQ(flip_ud(flip_ud(events, kSensor), kSensor), events);
  EXPECT_EQ(merge_polarities(events), off({{1, 0, 0}, {2, 5, 3}, {3, 1, 2}}));
  expect_has(error_text([&] { flip_ud(events, {2, 3, 6}); }), "[flip_ud] events must be inside the sensor");
  expect_has(error_text([&] { flip_lr(events, {4, 6}); }), "[flip_lr] sensor must be");
}

TEST(Times, AlignmentAndSkew) {
  EXPECT_EQ(time_alignment(off({{7, 0, 0}, {5, 0, 0}})), off({{2, 0, 0}, {0, 0, 0}}));
  EXPECT_TRUE(time_alignment({}).empty());
  EXPECT_EQ(time_skew(off({{3, 0, 0}, {5, 0, 0}}), 1.5, -4), off({{0, 0, 0}, {3, 0, 0}}));  // 0.5, 3.5
  EXPECT_EQ(time_skew(off({{3, 0, 0}}), 1, -3.5), off({{0, 0, 0}}));
  expect_has(error_text([] {
               time_skew(off({{3, 0, 0}}), 1, -4);
             }),
             "[time_skew] times must stay from 0 to below 2^53, got -1");
  expect_has(error_text([] {
               time_skew(off({{std::uint64_t{1} << 52, 0, 0}}), 2);
             }),
             "[time_skew] times must stay from 0 to below 2^53");
  expect_has(error_text([] { time_skew({}, NAN); }), "[time_skew] coefficient must be >= 0, got nan");
}

TEST(Downsample, CutsOffAndDropsNothing) {
  const Events events = off({{999, 5, 3}, {1000, 4, 2}, {2999, 0, 1}});
  EXPECT_EQ(downsample(events, {.time_factor = 0.001, .spatial_factor_x = 0.5, .spatial_factor_y = 0.25}),
            off({{0, 2, 0}, {1, 2, 0}, {2, 0, 0}}));
  EXPECT_EQ(downsample(events, kSensor, 2, 3), off({{999, 2, 1}, {1000, 2, 1}, {2999, 0, 0}}));
  expect_has(error_text([&] { downsample(events, {.spatial_factor_x = 1e5}); }),
             "[downsample] x and y must stay below 65536, got 500000");
  expect_has(error_text([&] { downsample(events, {.time_factor = -1}); }),
             "[downsample] time_factor must be >= 0, got -1");
  expect_has(error_text([&] { downsample(events, kSensor, 0, 3); }), "[downsample] height must be >= 1");
}

TEST(GoldenTransforms, WhatTonicKeepsOfARealRecording) {
  VOLLEY_NEEDS_FILE("nmnist/sample_nmnist.bin");
  const Events events = read_events(test_file("nmnist/sample_nmnist.bin"));
  EXPECT_EQ(denoise(events).size(), 4012u);
  EXPECT_EQ(denoise(events, 1000).size(), 1798u);
  EXPECT_EQ(refractory_period(events, 1000).size(), 4303u);
  EXPECT_EQ(decimate(events, 3).size(), 1288u);
}

}  // namespace
}  // namespace volley::test

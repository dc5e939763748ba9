#include <volley/event_transforms.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

#include "events/recordings.hpp"
#include "support/error_text.hpp"
#include "support/test_file.hpp"

namespace volley::test {
namespace {

using namespace event_transforms;

const Shape kSensor{2, 4, 6};

/// Events of channel 0 at (t, x, y).
struct Place {
  std::uint64_t t;
  std::uint16_t x, y;
};
Events off(std::initializer_list<Place> places) {
  Events events;
  for (const Place& place : places) events.push_back({place.t, place.x, place.y, 0});
  return events;
}

/// 2000 events of kSensor, 0 to 19990 microseconds after `first`.
Events many(std::uint64_t first = 0) {
  Events events;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    events.push_back({first + 10 * i, static_cast<std::uint16_t>(i * 7 % 6),
                      static_cast<std::uint16_t>(i * 11 / 5 % 4), static_cast<std::uint16_t>(i / 3 % 2)});
  }
  return events;
}

bool is_part_of(const Events& part, const Events& whole) {
  std::size_t i = 0;
  for (const Event& event : whole) i += i < part.size() && part[i] == event ? 1 : 0;
  return i == part.size();
}

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

TEST(RandomTransforms, AreAFunctionOfTheirAddress) {
  const Events events = many();
  const EventDraw draw{.seed = 1, .epoch = 2, .sample = 3, .place = 4};
  const auto all = [&](const EventDraw& d) {
    return std::vector<Events>{random_crop(events, kSensor, 2, 3, d),
                               sub_sequence(events, 5000, d),
                               time_jitter(events, {.std = 50}, d),
                               spatial_jitter(events, kSensor, {}, d),
                               uniform_noise(events, kSensor, 100, d),
                               drop_event(events, 0.25, d),
                               drop_by_time(events, 0.3, d)};
  };
  const std::vector<Events> once = all(draw);
  EXPECT_EQ(all(draw), once);
  for (EventDraw other : {EventDraw{9, 2, 3, 4}, {1, 9, 3, 4}, {1, 2, 9, 4}, {1, 2, 3, 9}}) {
    const std::vector<Events> differ = all(other);
    for (std::size_t i = 1; i < once.size(); ++i) EXPECT_NE(differ[i], once[i]) << i;
  }
  // The jitter of an event depends on its number, not on how many events there are.
  const Events half(events.begin(), events.begin() + 1000);
  const Events jittered = spatial_jitter(half, kSensor, {}, draw);
  EXPECT_TRUE(std::ranges::equal(jittered, std::span(once[3]).first(1000)));
  expect_has(error_text([&] { drop_event(events, 0.5, {.epoch = 1u << 24}); }),
             "[drop_event] epoch must be >= 0 and <= 16777215, got 16777216");
  expect_has(error_text([&] { drop_event(events, 0.5, {.place = 1u << 24}); }), "[drop_event] place must be");
}

TEST(RandomTransforms, Flips) {
  const Events events = many();
  int lr = 0, ud = 0, polarity = 0, reversal = 0;
  for (std::uint32_t sample = 0; sample < 400; ++sample) {
    const EventDraw draw{.sample = sample};
    lr += random_flip_lr(events, kSensor, 0.25, draw) == flip_lr(events, kSensor);
    ud += random_flip_ud(events, kSensor, 0.25, draw) == flip_ud(events, kSensor);
    polarity += random_flip_polarity(events, 0.25, draw) == flip_polarity(events);
    reversal += random_time_reversal(events, 0.25, draw) == time_reversal(events);
  }
  for (const int count : {lr, ud, polarity, reversal}) EXPECT_NEAR(count, 100, 35);
  EXPECT_EQ(random_flip_lr(events, kSensor, 0, {}), events);
  EXPECT_EQ(random_flip_lr(events, kSensor, 1, {}), flip_lr(events, kSensor));
  expect_has(error_text([&] { random_flip_lr(events, kSensor, 1.5, {}); }),
             "[random_flip_lr] p must be >= 0 and <= 1, got 1.5");
}

TEST(RandomTransforms, CropsReachEveryPlace) {
  std::vector<int> corners(4 * 3);
  for (std::uint32_t sample = 0; sample < 600; ++sample) {
    const Events one = random_crop(off({{0, 3, 2}}), kSensor, 2, 3, {.sample = sample});
    if (one.empty()) continue;
    ++corners[static_cast<std::size_t>((2 - one[0].y) * 4 + (3 - one[0].x))];
  }
  // x from 1 to 3 and y from 1 to 2 have the event; each is drawn about 50 times.
  for (const int corner : {5, 6, 7, 9, 10, 11})
    EXPECT_NEAR(corners[static_cast<std::size_t>(corner)], 50, 30);
  EXPECT_EQ(random_crop(many(), kSensor, 4, 6, {}), many());
  expect_has(error_text([] { random_crop({}, kSensor, 5, 1, {}); }),
             "[random_crop] height must be >= 1 and <= 4, got 5");
}

TEST(RandomTransforms, SubSequences) {
  const Events events = many(1000);
  for (std::uint32_t sample = 0; sample < 50; ++sample) {
    const Events part = sub_sequence(events, 5000, {.sample = sample});
    EXPECT_EQ(part.size(), 500u);
    EXPECT_TRUE(is_part_of(part, events));
  }
  EXPECT_EQ(sub_sequence(events, 19991, {}), events);
  EXPECT_EQ(sub_sequence(events, std::uint64_t{1} << 60, {}), events);
  EXPECT_TRUE(sub_sequence({}, 5, {}).empty());
  expect_has(error_text([&] { sub_sequence(events, 0, {}); }), "[sub_sequence] duration must be >= 1, got 0");
}

TEST(RandomTransforms, TimeJitterIsNormal) {
  const Events events = many(1 << 20);
  const Events jittered = time_jitter(events, {.std = 100}, {});
  ASSERT_EQ(jittered.size(), events.size());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const double shift = static_cast<double>(jittered[i].t) - static_cast<double>(events[i].t);
    sum += shift;
    squares += shift * shift;
  }
  EXPECT_NEAR(sum / 2000, -0.5, 8);  // cut off
  EXPECT_NEAR(std::sqrt(squares / 2000), 100, 6);
  EXPECT_FALSE(std::ranges::is_sorted(jittered, {}, &Event::t));
  EXPECT_TRUE(
      std::ranges::is_sorted(time_jitter(events, {.std = 100, .sort_timestamps = true}, {}), {}, &Event::t));
  EXPECT_EQ(time_jitter(events, {.std = 0}, {}), events);
  const Events early(100, Event{});
  const Events clipped = time_jitter(early, {.std = 10}, {}), kept = time_jitter(early, {10, false}, {});
  EXPECT_NEAR(static_cast<double>(clipped.size()), 54, 20);
  EXPECT_EQ(kept.size(), 100u);
  EXPECT_TRUE(is_part_of(clipped, kept));
  expect_has(error_text([&] { time_jitter(events, {.std = -1}, {}); }),
             "[time_jitter] std must be >= 0, got -1");
}

TEST(RandomTransforms, SpatialJitter) {
  const Events events(3000, Event{0, 500, 500, 0});
  const Shape sensor{2, 1000, 1000};
  const Events jittered = spatial_jitter(events, sensor, {.var_x = 400, .var_y = 100, .sigma_xy = 150}, {});
  double xx = 0, yy = 0, xy = 0;
  for (const Event& event : jittered) {
    const double x = event.x - 499.5, y = event.y - 499.5;
    xx += x * x / 3000;
    yy += y * y / 3000;
    xy += x * y / 3000;
  }
  EXPECT_NEAR(xx, 400, 40);
  EXPECT_NEAR(yy, 100, 10);
  EXPECT_NEAR(xy, 150, 20);
  EXPECT_EQ(spatial_jitter(events, sensor, {.var_x = 0, .var_y = 0}, {}), events);
  const Events edge(1000, Event{0, 0, 3, 1});
  const Events clamped = spatial_jitter(edge, kSensor, {.var_x = 4, .var_y = 4}, {});
  EXPECT_EQ(clamped.size(), 1000u);
  const Events inside = spatial_jitter(edge, kSensor, {.var_x = 4, .var_y = 4, .clip_outliers = true}, {});
  EXPECT_LT(inside.size(), 700u);
  EXPECT_TRUE(is_part_of(inside, clamped));
  for (const Event& event : clamped) EXPECT_TRUE(event.x < 6 && event.y < 4);
  EXPECT_EQ(spatial_jitter(edge, kSensor, {.var_x = 3, .var_y = 3, .sigma_xy = 3}, {}).size(), 1000u);
  expect_has(error_text([&] { spatial_jitter(edge, kSensor, {.sigma_xy = 2}, {}); }),
             "[spatial_jitter] sigma_xy must be >= -1 and <= 1, got 2");
}

TEST(RandomTransforms, UniformNoise) {
  const Events events = many(100);
  const Events noisy = uniform_noise(events, kSensor, 2400, {});
  ASSERT_EQ(noisy.size(), 4400u);
  EXPECT_TRUE(std::ranges::is_sorted(noisy, {}, &Event::t));
  EXPECT_TRUE(is_part_of(events, noisy));
  EXPECT_GE(noisy.front().t, 100u);
  EXPECT_LE(noisy.back().t, events.back().t);
  const Events noise = uniform_noise(Events{{0, 0, 0, 0}, {9, 0, 0, 0}}, kSensor, 4800, {});
  std::vector<int> places(48), times(10);
  for (const Event& event : noise) {
    ++places[static_cast<std::size_t>((event.channel * 4 + event.y) * 6 + event.x)];
    ++times[event.t];
  }
  for (const int count : places) EXPECT_NEAR(count, 100, 45);
  for (const int count : times) EXPECT_NEAR(count, 480, 110);
  EXPECT_TRUE(uniform_noise({}, kSensor, 10, {}).empty());
}

TEST(RandomTransforms, DropEvent) {
  const Events events = many();
  for (const auto& [p, left] :
       {std::pair{0.0, 2000u}, {0.25, 1500u}, {0.00025, 1999u}, {0.0002, 2000u}, {1.0, 0u}}) {
    const Events out = drop_event(events, p, {});
    EXPECT_EQ(out.size(), left) << p;
    EXPECT_TRUE(is_part_of(out, events));
  }
  std::vector<int> dropped(5);
  for (std::uint32_t sample = 0; sample < 500; ++sample) {
    std::vector<bool> is_left(5);
    for (const Event& event :
         drop_event(off({{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}}), 0.4, {.sample = sample}))
      is_left[event.t] = true;
    for (std::size_t i = 0; i < 5; ++i) dropped[i] += is_left[i] ? 0 : 1;
  }
  for (const int count : dropped) EXPECT_NEAR(count, 200, 50);
  expect_has(error_text([&] { drop_event(events, -0.1, {}); }),
             "[drop_event] drop_probability must be >= 0 and <= 1, got -0.1");
}

TEST(RandomTransforms, DropByTimeAndByArea) {
  const Events events = many(std::uint64_t{1} << 50);
  for (std::uint32_t sample = 0; sample < 50; ++sample) {
    const Events out = drop_by_time(events, 0.25, {.sample = sample});
    EXPECT_TRUE(is_part_of(out, events));
    EXPECT_NEAR(static_cast<double>(out.size()), 1500, 1);
    std::size_t gaps = 0;
    for (std::size_t i = 1; i < out.size(); ++i) gaps += out[i].t - out[i - 1].t > 10 ? 1 : 0;
    EXPECT_LE(gaps, 1u);
    const Events area = drop_by_area(events, kSensor, 0.5, {.sample = sample});
    EXPECT_TRUE(is_part_of(area, events));
    std::vector<bool> has(24);
    for (const Event& event : area) has[static_cast<std::size_t>(event.y * 6 + event.x)] = true;
    std::vector<bool> had(24);
    for (const Event& event : events) had[static_cast<std::size_t>(event.y * 6 + event.x)] = true;
    EXPECT_EQ(std::ranges::count(had, true) - std::ranges::count(has, true), 2 * 3);
  }
  EXPECT_EQ(drop_by_area(events, kSensor, 0.1, {}), events);  // a box without pixels
  EXPECT_TRUE(drop_by_time({}, 0.5, {}).empty());
  expect_has(error_text([&] { drop_by_time(events, 1, {}); }),
             "[drop_by_time] duration_ratio must be >= 0 and < 1, got 1");
  expect_has(error_text([&] { drop_by_area(events, kSensor, 1, {}); }),
             "[drop_by_area] area_ratio must be >= 0 and < 1, got 1");
}

TEST(RandomTransforms, EventDropIsOneOfFour) {
  const Events events = many();
  std::size_t same = 0, shorter = 0;
  for (std::uint32_t sample = 0; sample < 200; ++sample) {
    const Events out = event_drop(events, kSensor, {.sample = sample});
    EXPECT_TRUE(is_part_of(out, events));
    ++(out == events ? same : shorter);
  }
  EXPECT_GT(same, 25u);  // a quarter, and boxes without pixels
  EXPECT_GT(shorter, 90u);
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

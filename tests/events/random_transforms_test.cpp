#include <volley/event_transforms.hpp>

#include <algorithm>
#include <cmath>

#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

using namespace event_transforms;

const Shape kSensor{2, 4, 6};

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

}  // namespace
}  // namespace volley::test

#include <volley/augment.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;

/// Two channels of 5 x 4 pictures, every pixel of a picture another number above 0.
Dataset numbered(std::size_t samples) {
  Dataset data{.name = "numbered", .shape = {2, 5, 4}, .pixels = {}, .labels = {}, .classes = {"0", "1"}};
  for (std::size_t n = 0; n < samples; ++n) {
    for (std::uint8_t i = 0; i < 40; ++i) data.pixels.push_back(static_cast<std::uint8_t>(1 + i + n));
    data.labels.push_back(n % 2);
  }
  return data;
}

std::vector<std::uint32_t> all_of(const Dataset& data) {
  std::vector<std::uint32_t> samples(data.size());
  std::iota(samples.begin(), samples.end(), 0u);
  return samples;
}

Dataset augmented(const Dataset& data, const AugmentOptions& options, const Draw& draw,
                  std::size_t threads = 1) {
  ThreadPool pool(threads);
  Dataset out;
  Augment(options).apply(out, data, all_of(data), draw, pool);
  return out;
}

/// `picture` moved by (down, right), black where nothing comes from, then flipped or not: pixel by pixel.
std::vector<std::uint8_t> moved(std::span<const std::uint8_t> picture, int down, int right, bool flip) {
  std::vector<std::uint8_t> out(40);
  for (int c = 0; c < 2; ++c) {
    for (int y = 0; y < 5; ++y) {
      for (int x = 0; x < 4; ++x) {
        const int from_y = y - down, from_x = (flip ? 3 - x : x) - right;
        const bool inside = from_y >= 0 && from_y < 5 && from_x >= 0 && from_x < 4;
        out[c * 20 + y * 4 + x] = inside ? picture[c * 20 + from_y * 4 + from_x] : 0;
      }
    }
  }
  return out;
}

TEST(Augment, EveryPlaceAndBothSidesComeEquallyOften) {
  const Dataset data = numbered(2000);
  const Dataset out = augmented(data, {.crop_padding = 1, .flip = true}, {.seed = 3, .epoch = 1});
  std::map<std::tuple<int, int, bool>, int> counts;
  for (std::size_t n = 0; n < data.size(); ++n) {
    int found = 0;
    for (int down = -1; down <= 1; ++down) {
      for (int right = -1; right <= 1; ++right) {
        for (const bool flip : {false, true}) {
          if (!std::ranges::equal(out.picture(n), moved(data.picture(n), down, right, flip))) continue;
          ++found;
          ++counts[{down, right, flip}];
        }
      }
    }
    ASSERT_EQ(found, 1) << "picture " << n;
  }
  ASSERT_EQ(counts.size(), 18u);
  for (const auto& [place, count] : counts) EXPECT_NEAR(count, 2000 / 18.0, 45);  // over 4 deviations
  EXPECT_EQ(out.labels, data.labels);
}

TEST(Augment, IsAddressedBySeedEpochAndSampleAlone) {
  const Dataset data = numbered(60);
  const AugmentOptions options{.crop_padding = 3, .flip = true};
  const Dataset first = augmented(data, options, {.seed = 3, .epoch = 1});
  for (const std::size_t threads : {2u, 3u}) {
    EXPECT_EQ(augmented(data, options, {.seed = 3, .epoch = 1}, threads).pixels, first.pixels);
  }
  EXPECT_NE(augmented(data, options, {.seed = 4, .epoch = 1}).pixels, first.pixels);
  EXPECT_NE(augmented(data, options, {.seed = 3, .epoch = 2}).pixels, first.pixels);
  // A batch of some, in another order, has what they are in the whole set.
  ThreadPool pool(2);
  Dataset out;
  const std::vector<std::uint32_t> samples{41, 7, 8};
  Augment(options).apply(out, data, samples, {.seed = 3, .epoch = 1}, pool);
  ASSERT_EQ(out.size(), 3u);
  for (std::size_t n = 0; n < samples.size(); ++n) {
    EXPECT_TRUE(std::ranges::equal(out.picture(n), first.picture(samples[n]))) << n;
    EXPECT_EQ(out.labels[n], data.labels[samples[n]]);
  }
  // Copies at other places are known by the indices of their originals.
  const Draw by_name{.seed = 3, .epoch = 1, .known_as = samples};
  Dataset copies = data.first(0), again;
  for (const std::uint32_t n : samples) {
    copies.pixels.insert(copies.pixels.end(), data.picture(n).begin(), data.picture(n).end());
    copies.labels.push_back(data.labels[n]);
  }
  Augment(options).apply(again, copies, std::vector<std::uint32_t>{0, 1, 2}, by_name, pool);
  EXPECT_EQ(again.pixels, out.pixels);
}

TEST(Augment, OfASetOfTheSameSizeTakesItsLabels) {
  ThreadPool pool(1);
  Dataset out, data = numbered(4);
  const Augment augment({.flip = true});
  augment.apply(out, data, all_of(data), {}, pool);
  data.labels = {1, 1, 1, 1};
  augment.apply(out, data, all_of(data), {}, pool);
  EXPECT_EQ(out.labels, data.labels);
}

TEST(Augment, RefusesWhatItCannotCrop) {
  EXPECT_EQ(error_text([] { Augment({.crop_padding = 1025}); }),
            "[augment] crop_padding must be >= 0 and <= 1024, got 1025");
  EXPECT_EQ(error_text([] {
              Augment({.crop_padding = 4}).check({1, 5, 4});
            }),
            "[augment] crop_padding must be < 4, the pictures' shorter side, got 4");
  EXPECT_EQ(error_text([] { Augment({.flip = true}).check({784}); }),
            "[augment] pictures must be (channels, height, width), got (784)");
  Augment().check({784});
}

}  // namespace
}  // namespace volley

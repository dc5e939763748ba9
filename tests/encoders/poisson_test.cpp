// The encoder's addresses: which picture, of which set, is drawn by which random bits.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;

constexpr std::size_t kPictures = 6;
constexpr std::size_t kPixels = 70;
constexpr std::size_t kSteps = 33;

/// Pictures that are all alike, so that only their addresses differ.
Dataset pictures(std::size_t samples) {
  Dataset data{.name = "alike", .shape = {kPixels}, .labels = std::vector<std::uint32_t>(samples)};
  for (std::size_t i = 0; i < samples * kPixels; ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(i % kPixels * 3));
  }
  return data;
}

std::vector<std::uint8_t> encode(std::vector<std::uint32_t> samples, const Draw& draw) {
  Tape tape;
  const Signal x = Poisson().encode(pictures(kPictures), samples, kSteps, draw, tape);
  std::vector<std::uint8_t> bytes(x.shape().size());
  x.spikes().to_bytes(bytes);
  return bytes;
}

TEST(Poisson, FirstSampleIsAddedToTheIndex) {
  EXPECT_EQ(encode({0, 1}, {.first_sample = 3}), encode({3, 4}, {}));
  EXPECT_EQ(encode({2, 0}, {.first_sample = 1}), encode({3, 1}, {}));
  EXPECT_NE(encode({0, 1}, {.first_sample = 3}), encode({0, 1}, {}));
}

TEST(Poisson, RefusesAddressesThatWouldWrapAround) {
  EXPECT_EQ(error_text([] { encode({2}, {.first_sample = 4294967294u}); }),
            "[poisson] first_sample must be >= 0 and <= 4294967293, got 4294967294");
  EXPECT_NO_THROW(encode({1}, {.first_sample = 4294967294u}));
  EXPECT_EQ(error_text([] { encode({0}, {.epoch = 1u << 24}); }),
            "[poisson] epoch must be >= 0 and <= 16777215, got 16777216");
}

TEST(Poisson, TakesProbabilitiesAsTheyAre) {
  Tensor p(Shape{2, 6});
  const float values[] = {-1.0f, 0.0f, std::numeric_limits<float>::quiet_NaN(), 1.0f, 7.0f, 0.3f};
  for (std::size_t i = 0; i < p.size(); ++i) p.data()[i] = values[i % 6];
  constexpr std::size_t kManySteps = 20000;
  Tape tape;
  const Signal x = Poisson().encode(p, kManySteps, {.first_sample = 4}, tape);
  for (std::size_t n = 0; n < 2; ++n) {
    for (const std::size_t never : {0u, 1u, 2u}) EXPECT_EQ(x.spikes().count(n, never), 0u);
    for (const std::size_t always : {3u, 4u}) EXPECT_EQ(x.spikes().count(n, always), kManySteps);
    EXPECT_NEAR(static_cast<double>(x.spikes().count(n, 5)), 0.3 * kManySteps,
                5 * std::sqrt(0.21 * kManySteps));
  }
  EXPECT_EQ(error_text([] {
              Tape other;
              Poisson().encode(Tensor(Shape{3}), 5, {}, other);
            }),
            "[poisson] values must be (N, features...), got (3)");
}

// A byte k and the probability k / 255 differ by the rounding of a float, so their trains differ hardly ever.
TEST(Poisson, ProbabilitiesAndBytesDrawTheSameBits) {
  const Dataset data = pictures(kPictures);
  Tensor p(Shape{kPictures, kPixels});
  for (std::size_t i = 0; i < p.size(); ++i) p.data()[i] = static_cast<float>(data.pixels[i]) / 255.0f;
  Tape tape;
  const Signal x = Poisson().encode(p, kSteps, {}, tape);
  std::vector<std::uint8_t> bytes(x.shape().size());
  x.spikes().to_bytes(bytes);
  std::vector<std::uint32_t> all(kPictures);
  std::iota(all.begin(), all.end(), 0u);
  EXPECT_EQ(bytes, encode(all, {}));
}

}  // namespace
}  // namespace volley

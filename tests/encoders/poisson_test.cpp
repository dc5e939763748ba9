// The encoder's addresses: which picture, of which set, is drawn by which random bits.

#include <gtest/gtest.h>

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
  Dataset data{.name = "alike", .shape = {kPixels}, .labels = std::vector<std::uint8_t>(samples)};
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

}  // namespace
}  // namespace volley

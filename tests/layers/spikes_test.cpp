#include <volley/spikes.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <new>
#include <string_view>

#include <volley/error.hpp>
#include <volley/signal.hpp>

#include "support/random.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

std::vector<std::uint8_t> random_bytes(const Shape& shape, std::uint32_t seed) {
  return test::Random(seed).spikes<std::uint8_t>(shape.size(), 0.3);
}

TEST(Spikes, BytesGoInAndComeOutInBothOrders) {
  ThreadPool pool(2);
  for (const Shape& shape :
       {Shape{2, 3, 5}, Shape{1, 1, 1}, Shape{3, 65, 2, 4, 16}, Shape{2, 64, 63}, Shape{0, 4, 5}}) {
    const std::vector<std::uint8_t> bytes = random_bytes(shape, 1);
    const Spikes spikes = Spikes::from_bytes(shape, bytes);
    Spikes trains, steps;
    to_trains(trains, spikes, pool);
    to_steps(steps, trains, pool);
    for (const Spikes* form :
         {&spikes, static_cast<const Spikes*>(&trains), static_cast<const Spikes*>(&steps)}) {
      std::vector<std::uint8_t> back(bytes.size());
      form->to_bytes(back);
      EXPECT_EQ(back, bytes) << shape.text();
      std::size_t total = 0;
      for (const std::uint8_t b : bytes) total += b;
      EXPECT_EQ(form->count(), total);
      std::vector<std::uint32_t> counts(form->features(), 99);
      for (std::size_t n = 0; n < form->samples(); ++n) {
        form->count_by_feature(n, counts);
        for (std::size_t f = 0; f < form->features(); ++f) EXPECT_EQ(counts[f], form->count(n, f));
      }
    }
  }
}

TEST(Spikes, AnyByteButZeroIsASpike) {
  const Shape shape{1, 1, 256};
  std::vector<std::uint8_t> bytes(256);
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const Spikes spikes = Spikes::from_bytes(shape, bytes);
  for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(spikes.fired(0, 0, i), i != 0) << i;
}

TEST(Spikes, RefusesShapesAndBytesThatDoNotFit) {
  try {
    Spikes spikes(Shape{3, 4});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[spikes] shape must be (N, T, features...), got (3, 4)");
  }
  try {
    Spikes::from_bytes(Shape{1, 2, 3}, std::vector<std::uint8_t>(5));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[spikes] shape (1, 2, 3) needs 6 bytes, got 5");
  }
}

TEST(Spikes, ASizeBeyondMemoryChangesNothing) {
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  Spikes spikes = Spikes::from_bytes(Shape{1, 2, 3}, std::vector<std::uint8_t>(6, 1));
  for (const Shape& shape : {Shape{1, 32, most}, Shape{most, most, 1}, Shape{1, most, 32}}) {
    EXPECT_THROW(Spikes{shape}, ArgumentError);
    EXPECT_THROW(SpikeWords::make_steps(spikes, shape), ArgumentError);
    EXPECT_THROW(SpikeWords::make_trains(spikes, shape), ArgumentError);
  }
  if (std::string_view(VOLLEY_SANITIZE).empty()) {  // AddressSanitizer ends a program that asks for so much
    EXPECT_THROW(SpikeWords::make_steps(spikes, Shape{1, std::size_t{1} << 58, 1}), std::bad_alloc);
  }
  EXPECT_EQ(spikes.count(), 6u);
  EXPECT_EQ(spikes.shape(), (Shape{1, 2, 3}));
}

TEST(Signal, ReshapesOnlyToTheSameSize) {
  const Tensor values(Shape{2, 3, 4, 5});
  const Signal signal(values);
  EXPECT_EQ(signal.reshaped({2, 3, 20}).shape(), (Shape{2, 3, 20}));
  EXPECT_EQ(signal.reshaped({2, 3, 20}).values(), values.data());
  try {
    signal.reshaped({2, 3, 21});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[signal] (2, 3, 4, 5) must be reshaped to the same N, T and size, got (2, 3, 21)");
  }
}

}  // namespace
}  // namespace volley

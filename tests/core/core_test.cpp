#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <string_view>

#include <volley/error.hpp>
#include <volley/fields.hpp>
#include <volley/tape.hpp>
#include <volley/tensor.hpp>

#include "core/philox.hpp"
#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;

// Known answers of the authors' Random123 library, kat_vectors: philox4x32 7 and philox4x32 10.
TEST(Philox, GivesTheAuthorsKnownAnswers) {
  constexpr PhiloxCounter kOnes{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
  constexpr PhiloxKey kOnesKey{0xffffffff, 0xffffffff};
  constexpr PhiloxCounter kPi{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
  constexpr PhiloxKey kPiKey{0xa4093822, 0x299f31d0};
  EXPECT_EQ(philox({}, {}), (PhiloxCounter{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}));
  EXPECT_EQ(philox(kOnes, kOnesKey), (PhiloxCounter{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}));
  EXPECT_EQ(philox(kPi, kPiKey), (PhiloxCounter{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}));
  EXPECT_EQ(philox({}, {}, 10), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(kOnes, kOnesKey, 10), (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(kPi, kPiKey, 10), (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, BelowIsUniformOverTheInterval) {
  PhiloxSequence random({7, 0});
  std::array<int, 6> seen{};
  for (int i = 0; i < 60000; ++i) ++seen[random.below(6)];
  for (const int count : seen) EXPECT_NEAR(count, 10000, 500);
}

TEST(Shape, CountsPrintsAndCompares) {
  EXPECT_EQ((Shape{2, 3, 4}).size(), 24u);
  EXPECT_EQ(Shape{}.size(), 1u);
  EXPECT_EQ((Shape{2, 0, 4}).size(), 0u);
  EXPECT_EQ((Shape{64, 100, 10}).text(), "(64, 100, 10)");
  EXPECT_EQ((Shape{64, 100, 1, 28, 28}).from(2), (Shape{1, 28, 28}));
  EXPECT_EQ((Shape{10}).after({64, 100}), (Shape{64, 100, 10}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
}

TEST(Shape, RefusesMoreThanCanBeCounted) {
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(error_text([&] {
              static_cast<void>((Shape{most, 2}).size());
            }),
            "[shape] (18446744073709551615, 2) has more elements than this machine can count");
  EXPECT_EQ(error_text([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }), "[shape] rank must be <= 8, got 9");
}

TEST(Tensor, StartsAtZeroAlignedAndKeepsItsMemory) {
  Tensor a(Shape{3, 5});
  for (const float x : a.values()) EXPECT_EQ(x, 0.0f);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0u);
  const float* memory = a.data();
  a.resize({2, 2});
  a.resize({5, 3});
  EXPECT_EQ(a.data(), memory);
  Tensor b = a;
  b.data()[0] = 7;
  EXPECT_NE(a.data(), b.data());
}

TEST(Tensor, ASizeBeyondMemoryChangesNothing) {
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  Tensor a(Shape{3, 5});
  for (const Shape& shape : {Shape{most}, Shape{most / 4}, Shape{most / 8 + 1, 2}}) {
    EXPECT_EQ(error_text([&] { a.resize(shape); }),
              "[tensor] " + shape.text() + " has more elements than memory can hold");
  }
  if (std::string_view(VOLLEY_SANITIZE).empty()) {  // AddressSanitizer ends a program that asks for so much
    EXPECT_THROW(a.resize(Shape{most / 8 - 64}), std::bad_alloc);
  }
  EXPECT_EQ(error_text([&] {
              a.resize(Shape{most, 5});
            }),
            "[shape] (18446744073709551615, 5) has more elements than this machine can count");
  EXPECT_EQ(a.shape(), (Shape{3, 5}));
  EXPECT_EQ(a.size(), 15u);
}

TEST(Range, SaysWhatItAllowsAndRefusesNaN) {
  EXPECT_EQ(above(1).text(), "> 1");
  EXPECT_EQ(at_least(0).text(), ">= 0");
  EXPECT_EQ(between(1, 8).text(), ">= 1 and <= 8");
  EXPECT_EQ(from_below(0, 1).text(), ">= 0 and < 1");
  EXPECT_EQ(any().text(), "a finite number");
  EXPECT_FALSE(above(1).contains(1));
  EXPECT_FALSE(any().contains(std::nan("")));
  EXPECT_FALSE(at_least(0).contains(std::numeric_limits<double>::infinity()));
  EXPECT_EQ(error_text([] { check_range("lif", "tau", 0.5, above(1)); }), "[lif] tau must be > 1, got 0.5");
  EXPECT_EQ(error_text([] { check_range("lif", "tau", std::nan(""), above(1)); }),
            "[lif] tau must be > 1, got nan");
}

TEST(Tape, KeepsOneStructPerLayerAndChildrenInPlace) {
  struct A {
    int value = 3;
  };
  Tape tape;
  tape.saved<A>().value = 5;
  EXPECT_EQ(tape.saved<A>().value, 5);
  Tape& first = tape.child(0);
  tape.child(20);
  EXPECT_EQ(&tape.child(0), &first);
}

}  // namespace
}  // namespace volley

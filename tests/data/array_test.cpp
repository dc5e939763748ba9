#include <volley/array.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <volley/error.hpp>

#include "core/half.hpp"
#include "data/array_values.hpp"
#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;
using test::Floats;
using test::floats_of;
using test::Whole;
using test::whole_of;

/// An array of these numbers in memory.
template <class T>
Array array_of_numbers(const std::vector<T>& numbers, ElementType type) {
  auto owner = std::make_shared<const std::vector<T>>(numbers);
  return {Shape{numbers.size()}, type, owner->data(), owner};
}

TEST(Array, TypesHaveSizesAndNames) {
  EXPECT_EQ(size_of(ElementType::boolean), 1u);
  EXPECT_EQ(size_of(ElementType::u16), 2u);
  EXPECT_EQ(size_of(ElementType::f16), 2u);
  EXPECT_EQ(size_of(ElementType::i32), 4u);
  EXPECT_EQ(size_of(ElementType::f64), 8u);
  EXPECT_EQ(name_of(ElementType::boolean), "bool");
  EXPECT_EQ(name_of(ElementType::i64), "int64");
  EXPECT_EQ(name_of(ElementType::f16), "float16");
  EXPECT_TRUE(is_integer(ElementType::boolean));
  EXPECT_TRUE(is_integer(ElementType::u64));
  EXPECT_FALSE(is_integer(ElementType::f16));
}

TEST(Array, EveryHalfIsTheNumberThatItsBitsSay) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const std::uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const float value = half_value(static_cast<std::uint16_t>(bits));
    EXPECT_EQ(std::signbit(value), bits >= 0x8000);
    if (exponent == 31) {
      EXPECT_EQ(mantissa == 0, std::isinf(value));
      EXPECT_EQ(mantissa != 0, std::isnan(value));
    } else {
      const double size = exponent == 0 ? std::ldexp(mantissa, -24)
                                        : std::ldexp(mantissa + 1024, static_cast<int>(exponent) - 25);
      EXPECT_EQ(static_cast<double>(std::abs(value)), size);
    }
  }
}

TEST(Array, ElementsBecomeFloatsRoundedOnce) {
  EXPECT_EQ(floats_of(array_of_numbers<std::int8_t>({-128, 127}, ElementType::i8)), (Floats{-128, 127}));
  EXPECT_EQ(floats_of(array_of_numbers<std::uint8_t>({0, 1, 2}, ElementType::boolean)), (Floats{0, 1, 1}));
  EXPECT_EQ(floats_of(array_of_numbers<std::uint16_t>({0x3c00, 0x8001}, ElementType::f16)),
            (Floats{1, -0x1p-24f}));
  // 2^24 + 1 + 2^-20 rounds up; through another rounding to 2^24 + 1 it would be 2^24.
  EXPECT_EQ(floats_of(array_of_numbers<double>({16777217.000001, 1e300}, ElementType::f64)),
            (Floats{16777218, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(floats_of(array_of_numbers<std::uint64_t>({0xffffffffffffffff}, ElementType::u64)),
            (Floats{0x1p64f}));
  EXPECT_EQ(floats_of(array_of_numbers<std::int64_t>({-16777217}, ElementType::i64)), (Floats{-16777216}));
  Floats some(2);
  array_of_numbers<std::int32_t>({1, 2, 3, 4}, ElementType::i32).floats(some, 1);
  EXPECT_EQ(some, (Floats{2, 3}));
}

TEST(Array, WholeNumbersAreTakenFromAnyType) {
  EXPECT_EQ(whole_of(array_of_numbers<std::int64_t>({0, 4294967295}, ElementType::i64)),
            (Whole{0, 4294967295}));
  EXPECT_EQ(whole_of(array_of_numbers<double>({-0.0, 4294967295.0}, ElementType::f64)),
            (Whole{0, 4294967295}));
  EXPECT_EQ(whole_of(array_of_numbers<float>({16777216}, ElementType::f32)), (Whole{16777216}));
  EXPECT_EQ(whole_of(array_of_numbers<std::uint16_t>({0x4200}, ElementType::f16)), (Whole{3}));
  EXPECT_EQ(whole_of(array_of_numbers<std::uint8_t>({7}, ElementType::boolean)), (Whole{1}));
}

TEST(Array, OtherNumbersAreNoWholeOnes) {
  const std::string rule = "[array] element 1 must be a whole number below 2^32, got ";
  const auto text = [](const Array& array) { return error_text([&] { whole_of(array); }); };
  EXPECT_EQ(text(array_of_numbers<std::int8_t>({0, -1}, ElementType::i8)), rule + "-1");
  EXPECT_EQ(text(array_of_numbers<std::int64_t>({0, 4294967296}, ElementType::i64)), rule + "4294967296");
  EXPECT_EQ(text(array_of_numbers<std::uint64_t>({0, 0xffffffffffffffff}, ElementType::u64)),
            rule + "18446744073709551615");
  EXPECT_EQ(text(array_of_numbers<double>({0, 0.5}, ElementType::f64)), rule + "0.5");
  EXPECT_EQ(text(array_of_numbers<float>({0, 4294967296.0f}, ElementType::f32)), rule + "4294967300");
  EXPECT_EQ(text(array_of_numbers<float>({0, std::nanf("")}, ElementType::f32)), rule + "nan");
  EXPECT_EQ(text(array_of_numbers<std::uint16_t>({0, 0x7c00}, ElementType::f16)), rule + "inf");
}

TEST(Array, ElementsBeyondTheEndAreRefused) {
  const Array array = array_of_numbers<std::uint8_t>({1, 2, 3}, ElementType::u8);
  Floats two(2);
  Whole one(1);
  EXPECT_EQ(error_text([&] { array.floats(two, 2); }), "[array] elements must be below 3, got 2 from 2 on");
  EXPECT_EQ(error_text([&] { array.whole(one, 3); }), "[array] elements must be below 3, got 1 from 3 on");
  EXPECT_THROW(array.floats(two, static_cast<std::size_t>(-1)), ArgumentError);
  EXPECT_THROW(Array().floats(two, 0), ArgumentError);
  EXPECT_THROW(Array(Shape{3}, ElementType::u8, nullptr, nullptr), ArgumentError);
  const std::uint8_t byte = 0;
  EXPECT_EQ(error_text([&] { Array(Shape{std::size_t{1} << 61}, ElementType::f64, &byte, nullptr); }),
            "[array] (2305843009213693952) has more elements than memory can hold");
}

TEST(Array, ATensorIsCopied) {
  Tensor tensor(Shape{2, 3});
  tensor.values()[4] = 5;
  const Array array = Array::of(tensor);
  tensor.zero();
  EXPECT_EQ(floats_of(array), (Floats{0, 0, 0, 0, 5, 0}));
  EXPECT_EQ(array.rows(), 2u);
  EXPECT_EQ(array.row_size(), 3u);
  EXPECT_EQ(array.type(), ElementType::f32);
  EXPECT_FALSE(Array::of(Tensor(Shape{0, 3})).empty());
  EXPECT_TRUE(Array().empty());
}

}  // namespace
}  // namespace volley

#include "statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/error_text.hpp"

namespace volley {
namespace {

TEST(Statistics, StudentsTIsThatOfTheTables) {
  EXPECT_NEAR(student_t(1, 0.95), 12.7062, 1e-4);
  EXPECT_NEAR(student_t(2, 0.95), 4.30265, 1e-5);
  EXPECT_NEAR(student_t(3, 0.95), 3.18245, 1e-5);
  EXPECT_NEAR(student_t(4, 0.95), 2.77645, 1e-5);
  EXPECT_NEAR(student_t(9, 0.95), 2.26216, 1e-5);
  EXPECT_NEAR(student_t(30, 0.95), 2.04227, 1e-5);
  EXPECT_NEAR(student_t(2, 0.99), 9.92484, 1e-5);
  EXPECT_NEAR(student_t(100000, 0.95), 1.95999, 1e-4);
}

TEST(Statistics, MeanSpreadAndMedian) {
  const std::vector<double> odd{3, 1, 8};
  EXPECT_DOUBLE_EQ(mean(odd), 4);
  EXPECT_DOUBLE_EQ(standard_deviation(odd), std::sqrt(13));
  EXPECT_DOUBLE_EQ(median(odd), 3);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{4, 1, 2, 9}), 3);
  EXPECT_TRUE(std::isnan(standard_deviation(std::vector<double>{1})));
}

TEST(Statistics, APairedIntervalIsOfTheDifferences) {
  // Differences 1, 2, 3: mean 2, s = 1, half width 4.30265 / sqrt(3).
  const std::vector<double> a{11, 22, 33}, b{10, 20, 30};
  const Interval interval = paired_difference(a, b);
  EXPECT_DOUBLE_EQ(interval.mean, 2);
  EXPECT_NEAR(interval.half_width, 2.48414, 1e-5);
  EXPECT_NEAR(interval.low(), -0.48414, 1e-5);
  EXPECT_NEAR(interval.high(), 4.48414, 1e-5);
  EXPECT_TRUE(std::isnan(paired_difference(std::vector<double>{1}, std::vector<double>{2}).half_width));
  EXPECT_DOUBLE_EQ(paired_difference(std::vector<double>{1}, std::vector<double>{2}).mean, -1);
}

TEST(Statistics, RefusesWhatHasNoAnswer) {
  using test::error_text;
  EXPECT_EQ(error_text([] { student_t(0, 0.95); }), "[statistics] degrees must be >= 1, got 0");
  EXPECT_EQ(error_text([] { student_t(3, 1); }), "[statistics] confidence must be > 0 and < 1, got 1");
  EXPECT_EQ(error_text([] {
              paired_difference(std::vector<double>{1, 2}, std::vector<double>{1});
            }),
            "[statistics] pairs must be complete and not none, got 2 and 1 values");
}

}  // namespace
}  // namespace volley

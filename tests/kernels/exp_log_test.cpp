#include "core/exp_log.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/exp_log_test.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/exp_log-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// y[i] = f(x[i]) for 16 numbers.
template <class Function>
void sixteen(float* y, const float* x, const Function& f) {
  for (std::size_t i = 0; i < 16; i += kLanes) hn::StoreU(f(hn::LoadU(F32(), x + i)), F32(), y + i);
}
void exps(float* y, const float* x) {
  sixteen(y, x, [](VF v) HWY_ATTR { return exp_of(v); });
}
void logs(float* y, const float* x) {
  sixteen(y, x, [](VF v) HWY_ATTR { return log_of(v); });
}
void log1ps(float* y, const float* x) {
  sixteen(y, x, [](VF v) HWY_ATTR { return log1p_of(v); });
}
}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <iostream>

#include "support/every_target.hpp"
#include "support/random.hpp"

namespace volley::kernels {
namespace {

HWY_EXPORT(exps);
HWY_EXPORT(logs);
HWY_EXPORT(log1ps);

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

/// |y - exact| in units of the last place that `exact` has as a float; 0 where both are NaN or the same
/// infinity.
double error_in_ulp(float y, double exact) {
  const double bounded = std::abs(exact) > static_cast<double>(std::numeric_limits<float>::max())
                             ? static_cast<double>(static_cast<float>(exact))
                             : exact;
  if (std::isnan(bounded)) return std::isnan(y) ? 0 : HUGE_VAL;
  if (std::isinf(bounded)) return static_cast<double>(y) == bounded ? 0 : HUGE_VAL;
  const double least = static_cast<double>(std::numeric_limits<float>::denorm_min());
  const double ulp = std::max(least, std::ldexp(1.0, std::ilogb(bounded == 0 ? least : bounded) - 23));
  const double error = std::abs(static_cast<double>(y) - bounded) / ulp;
  return std::isnan(error) ? HUGE_VAL : error;
}

/// Calls body with 16 floats at a time: every 4099th of all of them, or with VOLLEY_TEST_EVERY_FLOAT each
/// one.
template <class Body>
void for_floats(const Body& body) {
  const std::uint64_t stride = std::getenv("VOLLEY_TEST_EVERY_FLOAT") != nullptr ? 1 : 4099;
  std::array<float, 16> x{};
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32;) {
    for (float& value : x) {
      value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      bits += stride;
    }
    body(x);
  }
}

/// The vectors have the scalar's bits on every target, and the scalar is near `exact`.
template <class Vectors, class Scalar, class Exact>
void check_function(const Vectors& vectors, const Scalar& scalar, const Exact& exact, double most) {
  std::uint64_t different = 0;
  test::on_every_target([&] {
    for_floats([&](const std::array<float, 16>& x) {
      std::array<float, 16> y{};
      vectors(y.data(), x.data());
      for (std::size_t i = 0; i < 16; ++i) different += !same(y[i], scalar(x[i]));
    });
    EXPECT_EQ(different, 0u);
  });
  double worst = 0;
  float at = 0;
  for_floats([&](const std::array<float, 16>& x) {
    for (const float value : x) {
      const double error = error_in_ulp(scalar(value), exact(static_cast<double>(value)));
      if (error > worst) worst = error, at = value;
    }
  });
  std::cout << "largest error " << worst << " ulp, at " << at << "\n";
  EXPECT_LE(worst, most);
  EXPECT_GT(worst, 0.5) << "a measure that finds less than rounding measures nothing";
}

TEST(ExpLog, ExpIsRightForEveryFloat) {
  check_function(
      [](float* y, const float* x) {
        HWY_DYNAMIC_DISPATCH(exps)
        (y, x);
      },
      [](float x) { return exp_of(x); }, [](double x) { return std::exp(x); }, 1.0);
}

TEST(ExpLog, LogIsRightForEveryFloat) {
  check_function(
      [](float* y, const float* x) {
        HWY_DYNAMIC_DISPATCH(logs)
        (y, x);
      },
      [](float x) { return log_of(x); }, [](double x) { return std::log(x); }, 0.9);
}

TEST(ExpLog, Log1pIsRightForEveryFloat) {
  check_function(
      [](float* y, const float* x) {
        HWY_DYNAMIC_DISPATCH(log1ps)
        (y, x);
      },
      [](float x) { return log1p_of(x); }, [](double x) { return std::log1p(x); }, 1.5);
}

TEST(ExpLog, TheEndsOfTheRange) {
  const float denormal = std::numeric_limits<float>::denorm_min(), most = std::numeric_limits<float>::max();
  for (const float zero : {0.0f, -0.0f, denormal, -denormal}) EXPECT_EQ(exp_of(zero), 1.0f);
  EXPECT_LE(error_in_ulp(exp_of(88.72283f), std::exp(static_cast<double>(88.72283f))), 1.0);
  EXPECT_EQ(exp_of(88.72284f), kInf);
  EXPECT_EQ(exp_of(-103.97208f), denormal);
  EXPECT_EQ(exp_of(-103.97209f), 0.0f);
  for (const float big : {110.0f, 111.0f, 1e10f, most, kInf}) {
    EXPECT_EQ(exp_of(big), kInf);
    EXPECT_EQ(exp_of(-big), 0.0f);
  }
  for (const float zero : {0.0f, -0.0f}) {
    EXPECT_EQ(log_of(zero), -kInf);
    EXPECT_EQ(log1p_of(zero), 0.0f);
  }
  EXPECT_EQ(log_of(1.0f), 0.0f);
  EXPECT_EQ(log_of(kInf), kInf);
  EXPECT_EQ(log1p_of(kInf), kInf);
  EXPECT_EQ(log1p_of(-1.0f), -kInf);
  for (const float x : {-denormal, -1.0f, -kInf}) EXPECT_TRUE(std::isnan(log_of(x))) << x;
  for (const float x : {-1.0000001f, -most, -kInf}) EXPECT_TRUE(std::isnan(log1p_of(x))) << x;
  EXPECT_TRUE(std::isnan(exp_of(kNaN)) && std::isnan(log_of(kNaN)) && std::isnan(log1p_of(kNaN)));
}

}  // namespace
}  // namespace volley::kernels
#endif  // HWY_ONCE

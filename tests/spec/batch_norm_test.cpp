#include "spec/batch_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;
constexpr std::size_t kRows = 7, kC = 3;
constexpr double kEps = 1e-3;

struct Result {
  Values y, dx, dweight, dbias;
};

/// Forward and backward with the batch's statistics, or with given ones.
Result run(const Values& x, const Values& weight, const Values& bias, const Values& dy,
           const std::vector<spec::ChannelStatistics>* running = nullptr) {
  Result r{Values(kRows * kC), Values(kRows * kC), Values(kC), Values(kC)};
  Values sum(kC), dot(kC);
  spec::channel_sums(sum.data(), dot.data(), x.data(), x.data(), kRows, kC);
  std::vector<spec::ChannelStatistics> s(kC);
  std::vector<spec::BatchNormForward<double>> forward(kC);
  for (std::size_t c = 0; c < kC; ++c) {
    s[c] = running != nullptr ? (*running)[c] : spec::batch_statistics(sum[c], dot[c], kRows, kEps);
    forward[c] = spec::batch_norm_forward_coefficients(s[c], weight[c], bias[c]);
  }
  spec::batch_norm_forward(r.y.data(), x.data(), forward.data(), kRows, kC);
  spec::channel_sums(sum.data(), dot.data(), x.data(), dy.data(), kRows, kC);
  std::vector<spec::BatchNormBackward<double>> backward(kC);
  for (std::size_t c = 0; c < kC; ++c) {
    backward[c] = spec::batch_norm_backward_coefficients(r.dweight[c], r.dbias[c], sum[c], dot[c], s[c],
                                                         weight[c], running != nullptr ? 0.0 : kRows);
  }
  spec::batch_norm_backward(r.dx.data(), dy.data(), x.data(), backward.data(), kRows, kC);
  return r;
}

struct Case {
  Values x = test::Random(1).values<double>(kRows * kC, 1, 4);
  Values weight = test::Random(2).values<double>(kC, 0.5, 2);
  Values bias = test::Random(3).values<double>(kC);
  Values dy = test::Random(4).values<double>(kRows * kC);
};

TEST(BatchNormReference, NormalisesEachChannel) {
  const Case c;
  const Result r = run(c.x, Values(kC, 1), Values(kC, 0), c.dy);
  for (std::size_t k = 0; k < kC; ++k) {
    double x_mean = 0, variance = 0, mean = 0, squares = 0;
    for (std::size_t i = k; i < c.x.size(); i += kC) x_mean += c.x[i] / kRows;
    for (std::size_t i = k; i < c.x.size(); i += kC) {
      variance += (c.x[i] - x_mean) * (c.x[i] - x_mean) / kRows;
      mean += r.y[i] / kRows;
      squares += r.y[i] * r.y[i] / kRows;
    }
    EXPECT_NEAR(mean, 0, 1e-12);
    EXPECT_NEAR(squares, variance / (variance + kEps), 1e-12);
  }
}

TEST(BatchNormReference, BackwardIsTheGradient) {
  const Case c;
  const Result r = run(c.x, c.weight, c.bias, c.dy);
  const auto loss_of_x = [&](const Values& x) { return test::dot(c.dy, run(x, c.weight, c.bias, c.dy).y); };
  const auto loss_of_weight = [&](const Values& w) { return test::dot(c.dy, run(c.x, w, c.bias, c.dy).y); };
  const auto loss_of_bias = [&](const Values& b) { return test::dot(c.dy, run(c.x, c.weight, b, c.dy).y); };
  EXPECT_LT(test::gradient_error(loss_of_x, c.x, r.dx), 1e-7);
  EXPECT_LT(test::gradient_error(loss_of_weight, c.weight, r.dweight), 1e-7);
  EXPECT_LT(test::gradient_error(loss_of_bias, c.bias, r.dbias), 1e-7);
  // Without the part that goes through the mean and the variance it is another gradient.
  std::vector<spec::ChannelStatistics> fixed(kC);
  Values sum(kC), dot(kC);
  spec::channel_sums(sum.data(), dot.data(), c.x.data(), c.x.data(), kRows, kC);
  for (std::size_t k = 0; k < kC; ++k) fixed[k] = spec::batch_statistics(sum[k], dot[k], kRows, kEps);
  EXPECT_GT(test::gradient_error(loss_of_x, c.x, run(c.x, c.weight, c.bias, c.dy, &fixed).dx), 1e-2);
}

TEST(BatchNormReference, BackwardInEvaluationIsTheGradient) {
  const Case c;
  const std::vector<spec::ChannelStatistics> running(kC, spec::channel_statistics(2, 0.7, kEps));
  const Result r = run(c.x, c.weight, c.bias, c.dy, &running);
  const auto loss = [&](const Values& x) {
    return test::dot(c.dy, run(x, c.weight, c.bias, c.dy, &running).y);
  };
  EXPECT_LT(test::gradient_error(loss, c.x, r.dx), 1e-7);
  const auto loss_of_weight = [&](const Values& w) {
    return test::dot(c.dy, run(c.x, w, c.bias, c.dy, &running).y);
  };
  EXPECT_LT(test::gradient_error(loss_of_weight, c.weight, r.dweight), 1e-7);
}

// By hand: x = 1, 3: mean 2, biased variance 1, unbiased 2.
TEST(BatchNormReference, RunningStatisticsAsByHand) {
  const spec::ChannelStatistics s = spec::batch_statistics(4, 10, 2, 0);
  EXPECT_EQ(s.mean, 2);
  EXPECT_EQ(s.variance, 1);
  double mean = 0, variance = 1;
  spec::update_running(mean, variance, s, 2, 0.25);
  EXPECT_EQ(mean, 0.5);
  EXPECT_EQ(variance, 1.25);
}

// A mean a thousand times the deviation costs float sums three digits of it.
TEST(BatchNormReference, FloatsFarFromZeroKeepTheirVariance) {
  constexpr std::size_t n = 100000;
  const std::vector<float> x = test::Random(5).values<float>(n, 999.5, 1000.5);
  double sum = 0, squares = 0;
  spec::channel_sums(&sum, &squares, x.data(), x.data(), n, 1);
  const spec::ChannelStatistics s = spec::batch_statistics(sum, squares, n, 0);
  double expected = 0;
  for (const float v : x)
    expected += (static_cast<double>(v) - s.mean) * (static_cast<double>(v) - s.mean) / n;
  EXPECT_NEAR(s.variance, expected, 1e-5 * expected);
}

// A variance of 0 in place of NaN would hide the infinity from y and from the running statistics.
TEST(BatchNormReference, AnInfinityOrNaNMakesTheVarianceNaN) {
  for (const double odd : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    const Values x{1, odd, 3};
    double sum = 0, squares = 0;
    spec::channel_sums(&sum, &squares, x.data(), x.data(), 3, 1);
    const spec::ChannelStatistics s = spec::batch_statistics(sum, squares, 3, kEps);
    EXPECT_TRUE(std::isnan(s.variance)) << odd;
    EXPECT_TRUE(std::isnan(s.inv_std)) << odd;
  }
}

}  // namespace
}  // namespace volley

#include "spec/group_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;
constexpr double kEps = 1e-3;

struct Sizes {
  std::size_t rows, C, G;
};
// Groups of channels with positions, one group, a group a channel, and layer normalisation: one row.
constexpr Sizes kSizes[] = {{5, 6, 3}, {4, 3, 1}, {6, 4, 4}, {1, 7, 1}};

struct Result {
  Values y, dx, dweight, dbias;
};

/// Forward and backward; a null weight or bias where they are empty. With `fixed`, those statistics.
Result run(const Sizes& s, const Values& x, const Values& weight, const Values& bias, const Values& dy,
           const std::vector<spec::ChannelStatistics>* fixed = nullptr) {
  Result r{Values(x.size()), Values(x.size()), Values(s.C), Values(s.C)};
  const double* w = weight.empty() ? nullptr : weight.data();
  Values sum(s.C), dot(s.C), scale(s.C), slope(s.C), offset(s.C);
  std::vector<spec::ChannelStatistics> statistics(s.G);
  spec::channel_sums(sum.data(), dot.data(), x.data(), x.data(), s.rows, s.C);
  spec::group_statistics(statistics.data(), sum.data(), dot.data(), s.rows, s.C, s.G, kEps);
  if (fixed != nullptr) statistics = *fixed;
  spec::group_norm_forward_coefficients(scale.data(), offset.data(), statistics.data(), w,
                                        bias.empty() ? nullptr : bias.data(), s.C, s.G);
  spec::group_norm_forward(r.y.data(), x.data(), scale.data(), offset.data(), s.rows, s.C);
  spec::channel_sums(sum.data(), dot.data(), x.data(), dy.data(), s.rows, s.C);
  spec::group_norm_backward_coefficients(scale.data(), slope.data(), offset.data(), r.dweight.data(),
                                         r.dbias.data(), sum.data(), dot.data(), statistics.data(), w, s.rows,
                                         s.C, s.G);
  spec::group_norm_backward(r.dx.data(), dy.data(), x.data(), scale.data(), slope.data(), offset.data(),
                            s.rows, s.C);
  return r;
}

TEST(GroupNormReference, NormalisesEachGroup) {
  for (const Sizes& s : kSizes) {
    const Values x = test::Random(1).values<double>(s.rows * s.C, 1, 4);
    const Result r = run(s, x, {}, {}, Values(x.size()));
    const std::size_t size = s.C / s.G;
    const auto m = static_cast<double>(s.rows * size);
    for (std::size_t g = 0; g < s.G; ++g) {
      double x_mean = 0, variance = 0, mean = 0, squares = 0;
      const auto for_group = [&](const auto& body) {
        for (std::size_t i = 0; i < x.size(); ++i) {
          if (i % s.C / size == g) body(i);
        }
      };
      for_group([&](std::size_t i) { x_mean += x[i] / m; });
      for_group([&](std::size_t i) {
        variance += (x[i] - x_mean) * (x[i] - x_mean) / m;
        mean += r.y[i] / m;
        squares += r.y[i] * r.y[i] / m;
      });
      EXPECT_NEAR(mean, 0, 1e-12);
      EXPECT_NEAR(squares, variance / (variance + kEps), 1e-12);
    }
  }
}

TEST(GroupNormReference, BackwardIsTheGradient) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(s.G);
    const Values x = test::Random(1).values<double>(s.rows * s.C, 1, 4);
    const Values weight = test::Random(2).values<double>(s.C, 0.5, 2),
                 bias = test::Random(3).values<double>(s.C);
    const Values dy = test::Random(4).values<double>(x.size());
    const Result r = run(s, x, weight, bias, dy);
    const auto loss = [&](const Values& x_at, const Values& w_at, const Values& b_at) {
      return test::dot(dy, run(s, x_at, w_at, b_at, dy).y);
    };
    const auto of_x = [&](const Values& at) { return loss(at, weight, bias); };
    EXPECT_LT(test::gradient_error(of_x, x, r.dx), 1e-7);
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(x, at, bias); }, weight, r.dweight),
              1e-7);
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(x, weight, at); }, bias, r.dbias),
              1e-7);
    // A gradient without the part that goes through mean and variance is another one.
    Values straight(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) straight[i] = dy[i] * weight[i % s.C];
    EXPECT_GT(test::gradient_error(of_x, x, straight), 1e-2);
  }
}

TEST(GroupNormReference, ANullWeightIsOneAndANullBiasZero) {
  const Sizes s = kSizes[0];
  const Values x = test::Random(1).values<double>(s.rows * s.C),
               dy = test::Random(4).values<double>(x.size());
  const Result none = run(s, x, {}, {}, dy), given = run(s, x, Values(s.C, 1), Values(s.C, 0), dy);
  EXPECT_EQ(none.y, given.y);
  EXPECT_EQ(none.dx, given.dx);
}

}  // namespace
}  // namespace volley

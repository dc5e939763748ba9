#include "spec/loss.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/random.hpp"

namespace volley {
namespace {

constexpr std::size_t kN = 4096, kK = 10;

std::vector<std::uint32_t> labels_of(std::size_t N, std::uint32_t K) {
  std::vector<std::uint32_t> labels(N);
  for (std::size_t n = 0; n < N; ++n) labels[n] = static_cast<std::uint32_t>(n * 7 % K);
  return labels;
}

double relative(float found, double exact) { return std::abs(static_cast<double>(found) / exact - 1); }

TEST(LossReference, TheMeanOfALargeBatchIsExact) {
  const std::vector<std::uint32_t> labels = labels_of(kN, kK);
  for (const double scale : {1.0, 30.0}) {
    const std::vector<float> z = test::Random(5).values<float>(kN * kK, -scale, scale);
    const std::vector<double> exact(z.begin(), z.end());
    EXPECT_LT(relative(spec::mse_forward(z.data(), labels.data(), 1.0f, 1.0f, 0.0f, kN, kK),
                       spec::mse_forward(exact.data(), labels.data(), 1.0, 1.0, 0.0, kN, kK)),
              1e-7);
    EXPECT_LT(relative(spec::mean_cross_entropy_forward(z.data(), labels.data(), 0.0f, kN, kK),
                       spec::mean_cross_entropy_forward(exact.data(), labels.data(), 0.0, kN, kK)),
              1e-7);
  }
}

// Confident and right, or scores far from 0: what is left of log(sum) + top - z must not be rounding.
TEST(LossReference, ASmallCrossEntropyIsNotRounding) {
  for (const float far : {0.0f, 1000.0f}) {
    const std::vector<float> z{far + 20, far, far + 1};
    const double expected = std::log1p(std::exp(-20.0) + std::exp(-19.0));
    EXPECT_NEAR(spec::cross_entropy_forward(z.data(), 0, 0.0f, 3) / expected, 1, 3e-7) << far;
    std::vector<float> dz(3);
    spec::cross_entropy_backward(dz.data(), z.data(), 0, 0.0f, 1.0f, 3);
    EXPECT_NEAR(static_cast<double>(dz[0]) / -expected, 1, 3e-7) << far;
  }
}

}  // namespace
}  // namespace volley

#include "kernels/surrogate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

#include <volley/error.hpp>

#include "spec/surrogate.hpp"
#include "support/error_text.hpp"
#include "support/every_target.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

std::vector<float> derivatives(const std::vector<float>& x, const Surrogate& f) {
  std::vector<float> g(x.size());
  kernels::surrogate_derivatives(g.data(), x.data(), x.size(), ops::lower(f));
  return g;
}

TEST(SurrogateKernel, FollowsTheDoubleReference) {
  test::on_every_target([] {
    for (const Surrogate& f : test::every_surrogate()) {
      std::vector<float> x = test::Random(3).values<float>(1001, -4, 4);
      for (const float special : {0.0f, -0.0f, 1e-30f, -1e-30f, 50.0f, -50.0f}) x.push_back(special);
      const std::vector<float> g = derivatives(x, f);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = spec::step_derivative(f, static_cast<double>(x[i]));
        ASSERT_NEAR(static_cast<double>(g[i]), expected, 4e-6 * std::abs(expected) + 1e-12)
            << "surrogate " << f.index() << ", x = " << x[i];
      }
    }
  });
}

constexpr float kMost = std::numeric_limits<float>::max();
constexpr float kLeast = std::numeric_limits<float>::denorm_min();

/// Every surrogate, also with these for its steepness.
std::vector<Surrogate> surrogates_with(std::initializer_list<float> alphas) {
  std::vector<Surrogate> all = test::every_surrogate();
  for (const float alpha : alphas) {
    const Surrogate more[] = {ATan{alpha},
                              Sigmoid{alpha},
                              PiecewiseQuadratic{alpha},
                              PiecewiseExp{alpha},
                              SoftSign{alpha},
                              SuperSpike{alpha},
                              Erf{alpha},
                              Rect{alpha},
                              PiecewiseLeakyReLU{alpha},
                              S2NN{alpha, alpha},
                              QPseudoSpike{1 + alpha},
                              NonzeroSignLogAbs{alpha}};
    for (const Surrogate& f : more) {
      if (!std::holds_alternative<QPseudoSpike>(f) || (1 + alpha > 1 && std::isfinite(1 + alpha)))
        all.push_back(f);
    }
  }
  return all;
}

TEST(SurrogateKernel, HasTheBitsOfTheSpecification) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = test::Random(3).values<float>(1001, -4, 4);
  for (const float special :
       {0.0f, -0.0f, std::nanf(""), inf, -inf, 1e-45f, 1e-30f, 17.0f, 1e10f, 1e19f, 3e38f}) {
    x.push_back(special), x.push_back(-special);
  }
  test::on_every_target([&] {
    for (const Surrogate& f : surrogates_with({kLeast, 1e-30f, 1e-3f, 100.0f, 1e6f, 1e30f, kMost})) {
      const std::vector<float> g = derivatives(x, f);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float expected = spec::step_derivative(f, x[i]);
        ASSERT_TRUE(g[i] == expected || (std::isnan(g[i]) && std::isnan(x[i]) && std::isnan(expected)))
            << "surrogate " << f.index() << ", x = " << x[i] << ": " << g[i] << ", " << expected;
      }
    }
  });
}

// In float the tails keep their digits: alpha s (1 - s) is 0 where 1 - s is rounding.
TEST(SurrogateKernel, TheSpecificationInFloatIsAsExactAsFloatIs) {
  for (const Surrogate& f : surrogates_with({1e-3f, 100.0f, 1e6f})) {
    for (float x = -30; x <= 30; x += 0.0625f) {
      const double expected = spec::step_derivative(f, static_cast<double>(x));
      if (!(expected > 1e-37 && expected < 1e37)) continue;
      EXPECT_NEAR(static_cast<double>(spec::step_derivative(f, x)) / expected, 1, 2e-5)
          << "surrogate " << f.index() << ", x = " << x;
    }
  }
}

TEST(SurrogateKernel, EverySizeIsWrittenAndNoMore) {
  test::on_every_target([] {
    for (const std::size_t count : test::kEdgeSizes) {
      const std::vector<float> x = test::Random(4).values<float>(count, -2, 2);
      std::vector<float> g(count + 1, -7.0f);
      kernels::surrogate_derivatives(g.data(), x.data(), count, ops::lower(SoftSign{}));
      for (std::size_t i = 0; i < count; ++i) EXPECT_GT(g[i], 0.0f);
      EXPECT_EQ(g[count], -7.0f);
    }
  });
}

TEST(SurrogateKernel, FarFromTheThresholdIsNeitherNaNNorInfinite) {
  const float most = std::numeric_limits<float>::max(), inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{-inf, -most, -1e30f, -1e10f, -1e4f, 1e4f, 1e10f, 1e30f, most, inf};
  test::on_every_target([&] {
    for (const Surrogate& f : test::every_surrogate()) {
      const std::vector<float> g = derivatives(x, f);
      for (std::size_t i = 0; i < x.size(); ++i) {
        EXPECT_TRUE(std::isfinite(g[i])) << "surrogate " << f.index() << ", x = " << x[i];
        EXPECT_GE(g[i], 0.0f) << "surrogate " << f.index() << ", x = " << x[i];
        EXPECT_LE(g[i], 1.0f) << "surrogate " << f.index() << ", x = " << x[i];
      }
    }
  });
}

TEST(SurrogateKernel, EveryTargetGivesTheSameBits) {
  const std::vector<float> x = test::Random(5).values<float>(4099, -5, 5);
  for (const Surrogate& f : test::every_surrogate()) {
    std::vector<std::vector<float>> results;
    test::on_every_target([&] { results.push_back(derivatives(x, f)); });
    for (const auto& g : results) EXPECT_EQ(g, results.front()) << "surrogate " << f.index();
  }
}

TEST(SurrogateKernel, AUsersOwnIsCalled) {
  const Surrogate own = CustomSurrogate::of([](float* g, const float* x, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = 2 * x[i];
  });
  EXPECT_EQ(derivatives({1, -3}, own), (std::vector<float>{2, -6}));
  EXPECT_NO_THROW(check_surrogate(own));
  EXPECT_EQ(test::error_text([] { check_surrogate(CustomSurrogate{}); }),
            "[custom surrogate] derivative must not be null");
}

TEST(SurrogateKernel, ParametersOutOfRangeAreRefused) {
  EXPECT_EQ(test::error_text([] { check_surrogate(QPseudoSpike{1.0f}); }),
            "[q_pseudo_spike] alpha must be > 1, got 1");
  EXPECT_EQ(test::error_text([] { check_surrogate(PiecewiseLeakyReLU{0.0f}); }),
            "[piecewise_leaky_relu] w must be > 0, got 0");
}

}  // namespace
}  // namespace volley

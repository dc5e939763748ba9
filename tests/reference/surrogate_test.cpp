#include "reference/surrogate.hpp"

#include <gtest/gtest.h>

namespace volley {
namespace {

const std::vector<Surrogate> kSurrogates{ATan{},    ATan{0.5f},    ATan{10.0f},
                                         Sigmoid{}, Sigmoid{1.0f}, Sigmoid{25.0f}};

TEST(Surrogate, DerivativeIsThatOfTheSmoothStep) {
  for (const Surrogate& f : kSurrogates) {
    for (double x = -3; x <= 3; x += 0.0937) {
      const double step = 1e-6;
      const double numeric =
          (reference::smooth_step(f, x + step) - reference::smooth_step(f, x - step)) / (2 * step);
      EXPECT_NEAR(reference::step_derivative(f, x), numeric, 1e-7 * (1 + numeric)) << "x = " << x;
    }
  }
}

TEST(Surrogate, SmoothStepRisesFromNoughtToOneThroughAHalf) {
  for (const Surrogate& f : kSurrogates) {
    EXPECT_NEAR(reference::smooth_step(f, -1e6), 0, 1e-5);
    EXPECT_DOUBLE_EQ(reference::smooth_step(f, 0.0), 0.5);
    EXPECT_NEAR(reference::smooth_step(f, 1e6), 1, 1e-5);
  }
}

// SpikingJelly: ATan(2)'(0) = alpha / 2, Sigmoid(4)'(0) = alpha / 4.
TEST(Surrogate, PeaksAsSpikingJellyDefinesThem) {
  EXPECT_DOUBLE_EQ(reference::step_derivative(Surrogate{ATan{}}, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(reference::step_derivative(Surrogate{Sigmoid{}}, 0.0), 1.0);
}

}  // namespace
}  // namespace volley

#include "reference/surrogate.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/neurons.hpp"

namespace volley {
namespace {

/// Whether some surrogate's derivative jumps within `step` of x: at 0, and at the edges of its pieces.
bool has_a_corner(double x, double step) {
  for (const double at : {0.0, 0.25, 0.4, 0.5, 1.0, 1.25, 1.0 / 0.8}) {
    if (std::abs(std::abs(x) - at) <= step) return true;
  }
  return false;
}

TEST(Surrogate, DerivativeIsThatOfTheSmoothStep) {
  for (const Surrogate& f : test::every_surrogate()) {
    for (double x = -3; x <= 3; x += 0.0937) {
      const double step = 1e-6;
      if (has_a_corner(x, step)) continue;
      const double numeric =
          (reference::smooth_step(f, x + step) - reference::smooth_step(f, x - step)) / (2 * step);
      EXPECT_NEAR(reference::step_derivative(f, x), numeric, 1e-7 * (1 + numeric))
          << "surrogate " << f.index() << ", x = " << x;
    }
  }
}

TEST(Surrogate, SmoothStepRisesFromNoughtToOneThroughAHalf) {
  for (const Surrogate& f :
       {Surrogate{ATan{}}, Surrogate{Sigmoid{}}, Surrogate{PiecewiseQuadratic{}}, Surrogate{PiecewiseExp{}},
        Surrogate{SoftSign{}}, Surrogate{Erf{}}, Surrogate{Rect{}}, Surrogate{QPseudoSpike{}}}) {
    EXPECT_NEAR(reference::smooth_step(f, -1e6), 0, 1e-5) << f.index();
    EXPECT_DOUBLE_EQ(reference::smooth_step(f, 0.0), 0.5) << f.index();
    EXPECT_NEAR(reference::smooth_step(f, 1e6), 1, 1e-5) << f.index();
  }
}

// SpikingJelly: ATan(2)'(0) = alpha / 2, Sigmoid(4)'(0) = alpha / 4.
TEST(Surrogate, PeaksAsSpikingJellyDefinesThem) {
  EXPECT_DOUBLE_EQ(reference::step_derivative(Surrogate{ATan{}}, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(reference::step_derivative(Surrogate{Sigmoid{}}, 0.0), 1.0);
}

}  // namespace
}  // namespace volley

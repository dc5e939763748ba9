#include "spec/surrogate.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/neurons.hpp"

namespace volley {
namespace {

// Where some surrogate's derivative jumps: at 0, and at the edges of its pieces; and at as much below 0.
constexpr double kCorners[] = {0.0, 0.25, 0.4, 0.5, 1.0, 1.25};

/// Whether there is a corner within `step` of x.
bool has_a_corner(double x, double step) {
  for (const double at : kCorners) {
    if (std::abs(std::abs(x) - at) <= step) return true;
  }
  return false;
}

TEST(Surrogate, DerivativeIsThatOfTheSmoothStep) {
  for (const Surrogate& f : test::every_surrogate()) {
    for (double x = -3; x <= 3; x += 0.0937) {
      const double step = 1e-6;
      if (has_a_corner(x, step)) continue;
      const double numeric = (spec::smooth_step(f, x + step) - spec::smooth_step(f, x - step)) / (2 * step);
      EXPECT_NEAR(spec::step_derivative(f, x), numeric, 1e-7 * (1 + numeric))
          << "surrogate " << f.index() << ", x = " << x;
    }
  }
}

TEST(Surrogate, SmoothStepDoesNotJumpWhereItsPiecesMeet) {
  for (const Surrogate& f : test::every_surrogate()) {
    for (const double corner : kCorners) {
      for (const double x : {-corner, corner}) {
        EXPECT_NEAR(spec::smooth_step(f, x - 1e-9), spec::smooth_step(f, x + 1e-9), 1e-7)
            << "surrogate " << f.index() << ", x = " << x;
      }
    }
  }
}

TEST(Surrogate, SmoothStepRisesFromNoughtToOneThroughAHalf) {
  for (const Surrogate& f :
       {Surrogate{ATan{}}, Surrogate{Sigmoid{}}, Surrogate{PiecewiseQuadratic{}}, Surrogate{PiecewiseExp{}},
        Surrogate{SoftSign{}}, Surrogate{Erf{}}, Surrogate{Rect{}}, Surrogate{QPseudoSpike{}}}) {
    EXPECT_NEAR(spec::smooth_step(f, -1e6), 0, 1e-5) << f.index();
    EXPECT_DOUBLE_EQ(spec::smooth_step(f, 0.0), 0.5) << f.index();
    EXPECT_NEAR(spec::smooth_step(f, 1e6), 1, 1e-5) << f.index();
  }
}

// Its step has no bounds: alpha x / (1 + |x|) and a half.
TEST(Surrogate, SuperSpikesStepIsAsByHand) {
  const Surrogate f = SuperSpike{3.0f};
  EXPECT_DOUBLE_EQ(spec::smooth_step(f, 0.0), 0.5);
  EXPECT_DOUBLE_EQ(spec::smooth_step(f, 1.0), 2.0);
  EXPECT_DOUBLE_EQ(spec::smooth_step(f, -0.5), -0.5);
}

// SpikingJelly: ATan(2)'(0) = alpha / 2, Sigmoid(4)'(0) = alpha / 4.
TEST(Surrogate, PeaksAsSpikingJellyDefinesThem) {
  EXPECT_DOUBLE_EQ(spec::step_derivative(Surrogate{ATan{}}, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(spec::step_derivative(Surrogate{Sigmoid{}}, 0.0), 1.0);
}

}  // namespace
}  // namespace volley

#include "spec/lif.hpp"

#include <gtest/gtest.h>

#include "spec/soft_lif.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;

constexpr std::size_t kT = 9;
constexpr std::size_t kF = 4;

struct Step {
  double h, s, v;
};

/// One step from v.
Step step(double v, double x, const LIFOptions& options = {}) {
  const spec::LIFNeuron<double> neuron(options);
  neuron.charge(&v, x);
  const double h = v;
  const double s = spec::spike_of(neuron, &v, {}, spec::Fire::hard);
  neuron.reset(&v, s, s);
  return {h, s, v};
}

// By hand: tau 2, x = 1.5 constant. h = 0.75, 1.125 (fires), then from 0 again.
TEST(LIFReference, ChargesFiresAndResetsAsByHand) {
  Step now = step(0, 1.5);
  EXPECT_EQ(now.h, 0.75);
  EXPECT_EQ(now.s, 0);
  now = step(now.v, 1.5);
  EXPECT_EQ(now.h, 1.125);
  EXPECT_EQ(now.s, 1);
  EXPECT_EQ(now.v, 0);
  EXPECT_EQ(step(now.v, 1.5, {.v_reset = std::nullopt}).v, 0.75);
}

TEST(LIFReference, FiresAtTheThresholdItself) {
  EXPECT_EQ(step(0, 2.0).h, 1.0);
  EXPECT_EQ(step(0, 2.0).s, 1);
  EXPECT_EQ(step(0, 2.0, {.fires_at_threshold = false}).s, 0);
}

TEST(LIFReference, SoftResetKeepsWhatIsAboveTheThreshold) {
  const Step now = step(0, 2.5, {.v_reset = std::nullopt});
  EXPECT_EQ(now.h, 1.25);
  EXPECT_EQ(now.v, 0.25);
}

TEST(LIFReference, WithoutInputDecayTheCurrentComesWhole) {
  EXPECT_EQ(step(0.5, 0.25, {.decay_input = false}).h, 0.5);
}

TEST(LIFReference, LeaksTowardVReset) { EXPECT_EQ(step(0.5, 0.0, {.v_reset = -0.5f}).h, 0.0); }

TEST(SoftLIFReference, LeaksTowardVReset) {
  const spec::SoftLIFParameters<double> q{.tau = 2, .v_threshold = 1, .v_reset = -0.5};
  const Values x{1.0, 0.0};
  Values p(2), h(2), v(1);
  spec::soft_lif_forward(p.data(), h.data(), v.data(), x.data(), q, 2, 1);
  EXPECT_EQ(h[0], 0.0);  // -0.5 + (1 - 0) / 2
  const double after = (1 - p[0]) * 0.0 - p[0] * 0.5;
  EXPECT_NEAR(h[1], after + (0 - (after + 0.5)) / 2, 1e-12);
}

TEST(SoftLIFReference, BackwardIsTheGradient) {
  const spec::SoftLIFParameters<double> q{.tau = 3, .v_threshold = 0.8, .v_reset = -0.2};
  const Values x = test::Random(3).values<double>(kT * kF, -0.5, 3);
  const Values dp = test::Random(4).values<double>(kT * kF);
  Values p(kT * kF), h(kT * kF), v(kF), dx(kT * kF);
  spec::soft_lif_forward(p.data(), h.data(), v.data(), x.data(), q, kT, kF);
  spec::soft_lif_backward(dx.data(), dp.data(), p.data(), h.data(), q, kT, kF);
  const auto loss = [&](const Values& at) {
    Values p2(kT * kF), h2(kT * kF), v2(kF);
    spec::soft_lif_forward(p2.data(), h2.data(), v2.data(), at.data(), q, kT, kF);
    return test::dot(dp, p2);
  };
  EXPECT_LT(test::gradient_error(loss, x, dx), 1e-7);
  spec::SoftLIFParameters<double> wrong = q;
  wrong.v_reset = 0.2;
  spec::soft_lif_backward(dx.data(), dp.data(), p.data(), h.data(), wrong, kT, kF);
  EXPECT_GT(test::gradient_error(loss, x, dx), 1e-4);
}

}  // namespace
}  // namespace volley

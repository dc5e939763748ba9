#include "reference/lif.hpp"

#include <gtest/gtest.h>

#include "reference/soft_lif.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using reference::Fire;
using reference::LIFParameters;
using Values = std::vector<double>;

constexpr std::size_t kT = 9;
constexpr std::size_t kF = 4;

struct Case {
  LIFParameters<double> p;
  Surrogate surrogate;
};

/// Every option crossed with every other, both surrogates, two of each number.
std::vector<Case> every_case() {
  std::vector<Case> all;
  for (const double tau : {2.0, 7.3}) {
    for (const double v_threshold : {1.0, 0.6}) {
      for (const std::optional<double> v_reset :
           {std::optional<double>{0.0}, std::optional<double>{-0.3}, std::optional<double>{}}) {
        for (const bool decay_input : {true, false}) {
          for (const bool detach_reset : {true, false}) {
            for (const Surrogate& surrogate : {Surrogate{ATan{}}, Surrogate{Sigmoid{3.0f}}}) {
              all.push_back({{tau, v_threshold, v_reset, decay_input, detach_reset}, surrogate});
            }
          }
        }
      }
    }
  }
  return all;
}

Values currents(std::uint32_t seed) { return test::Random(seed).values<double>(kT * kF, -0.5, 3); }

/// Error of `gradient`(ds, s, h) against finite differences of <ds, s(x)> on the smooth network.
template <class Backward>
double smooth_gradient_error(const Case& c, const Backward& backward) {
  const Values x = currents(1);
  const Values ds = test::Random(2).values<double>(kT * kF);
  Values s(kT * kF), h(kT * kF), dx(kT * kF);
  reference::lif_forward(s.data(), h.data(), x.data(), c.p, c.surrogate, Fire::smooth, kT, kF);
  backward(dx, ds, s, h);
  const Values base = s;  // what a detached reset sees, whatever x becomes
  return test::gradient_error(
      [&](const Values& at) {
        Values s2(kT * kF), h2(kT * kF);
        reference::lif_forward(s2.data(), h2.data(), at.data(), c.p, c.surrogate, Fire::smooth, kT, kF,
                               c.p.detach_reset ? base.data() : nullptr);
        return test::dot(ds, s2);
      },
      x, dx);
}

TEST(LIFReference, BackwardIsTheGradientWithEveryOption) {
  for (const Case& c : every_case()) {
    const double error =
        smooth_gradient_error(c, [&](Values& dx, const Values& ds, const Values& s, const Values& h) {
          reference::lif_backward(dx.data(), ds.data(), s.data(), h.data(), c.p, c.surrogate, kT, kF);
        });
    EXPECT_LT(error, 1e-7) << "tau " << c.p.tau << " v_threshold " << c.p.v_threshold << " v_reset "
                           << c.p.v_reset.value_or(-99) << " decay_input " << c.p.decay_input
                           << " detach_reset " << c.p.detach_reset;
  }
}

// The check above must be able to fail: backward of another neuron, in one detail, does not pass it.
TEST(LIFReference, GradientCheckCatchesMistakes) {
  const auto mutate = [](Case c, const std::function<void(LIFParameters<double>&)>& mistake) {
    const LIFParameters<double> right = c.p;
    return smooth_gradient_error(c, [&](Values& dx, const Values& ds, const Values& s, const Values& h) {
      LIFParameters<double> wrong = right;
      mistake(wrong);
      reference::lif_backward(dx.data(), ds.data(), s.data(), h.data(), wrong, c.surrogate, kT, kF);
    });
  };
  for (const Case& c : every_case()) {
    EXPECT_GT(mutate(c, [](auto& p) { p.detach_reset = !p.detach_reset; }), 1e-4)
        << "the reset's path through s";
    EXPECT_GT(mutate(c, [](auto& p) { p.tau += 0.1; }), 1e-4) << "the leak";
    EXPECT_GT(mutate(c, [](auto& p) { p.decay_input = !p.decay_input; }), 1e-4) << "dh/dx";
    EXPECT_GT(mutate(c, [](auto& p) { p.v_threshold += 0.05; }), 1e-4) << "where the surrogate is taken";
    EXPECT_GT(mutate(c,
                     [](auto& p) {
                       p.v_reset = p.v_reset.has_value() ? std::nullopt : std::optional<double>{0.0};
                     }),
              1e-4)
        << "the kind of reset";
  }
}

TEST(LIFReference, GradientCheckCatchesAStepTooEarly) {
  const Case c{{}, ATan{}};
  const double error =
      smooth_gradient_error(c, [&](Values& dx, const Values& ds, const Values& s, const Values& h) {
        reference::lif_backward(dx.data(), ds.data(), s.data(), h.data(), c.p, c.surrogate, kT, kF);
        std::rotate(dx.begin(), dx.begin() + kF, dx.end());
      });
  EXPECT_GT(error, 1e-2);
}

// By hand: tau 2, x = 1.5 constant. h = 0.75, 1.125 (fires), then from 0 again.
TEST(LIFReference, ChargesFiresAndResetsAsByHand) {
  const LIFParameters<double> p;
  double h = 0, s = 0, v = 0;
  reference::lif_step(h, s, v, 1.5, p);
  EXPECT_EQ(h, 0.75);
  EXPECT_EQ(s, 0);
  reference::lif_step(h, s, v, 1.5, p);
  EXPECT_EQ(h, 1.125);
  EXPECT_EQ(s, 1);
  EXPECT_EQ(v, 0);
  reference::lif_step(h, s, v, 1.5, {.v_reset = std::nullopt});
  EXPECT_EQ(v, 0.75);
}

TEST(LIFReference, FiresAtTheThresholdItself) {
  double h = 0, s = 0, v = 0;
  reference::lif_step(h, s, v, 2.0, LIFParameters<double>{});
  EXPECT_EQ(h, 1.0);
  EXPECT_EQ(s, 1);
}

TEST(LIFReference, SoftResetKeepsWhatIsAboveTheThreshold) {
  double h = 0, s = 0, v = 0;
  reference::lif_step(h, s, v, 2.5, LIFParameters<double>{.v_reset = std::nullopt});
  EXPECT_EQ(h, 1.25);
  EXPECT_EQ(v, 0.25);
}

TEST(LIFReference, WithoutInputDecayTheCurrentComesWhole) {
  double h = 0, s = 0, v = 0.5;
  reference::lif_step(h, s, v, 0.25, LIFParameters<double>{.decay_input = false});
  EXPECT_EQ(h, 0.5);
}

TEST(LIFReference, LeaksTowardVReset) {
  double h = 0, s = 0, v = 0.5;
  reference::lif_step(h, s, v, 0.0, LIFParameters<double>{.v_reset = -0.5});
  EXPECT_EQ(h, 0.0);
}

TEST(SoftLIFReference, BackwardIsTheGradient) {
  const reference::SoftLIFParameters<double> q{.tau = 3, .v_threshold = 0.8, .v_reset = -0.2};
  const Values x = currents(3);
  const Values dp = test::Random(4).values<double>(kT * kF);
  Values p(kT * kF), h(kT * kF), v(kF), dx(kT * kF);
  reference::soft_lif_forward(p.data(), h.data(), v.data(), x.data(), q, kT, kF);
  reference::soft_lif_backward(dx.data(), dp.data(), p.data(), h.data(), q, kT, kF);
  const auto loss = [&](const Values& at) {
    Values p2(kT * kF), h2(kT * kF), v2(kF);
    reference::soft_lif_forward(p2.data(), h2.data(), v2.data(), at.data(), q, kT, kF);
    return test::dot(dp, p2);
  };
  EXPECT_LT(test::gradient_error(loss, x, dx), 1e-7);
  reference::SoftLIFParameters<double> wrong = q;
  wrong.v_reset = 0.2;
  reference::soft_lif_backward(dx.data(), dp.data(), p.data(), h.data(), wrong, kT, kF);
  EXPECT_GT(test::gradient_error(loss, x, dx), 1e-4);
}

}  // namespace
}  // namespace volley

#include "spec/neurons.hpp"

#include <gtest/gtest.h>

#include "support/gradient_check.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using spec::Fire;
using Values = std::vector<double>;

constexpr std::size_t kT = 9;
constexpr std::size_t kF = 4;

/// s and z after a smooth forward.
struct Smooth {
  Values s, z;
};
template <class Neuron>
Smooth forward(const Neuron& neuron, const Surrogate& surrogate, const Values& x,
               const Values* reset_spikes = nullptr) {
  Smooth r{Values(kT * kF), Values(kT * kF * Neuron::kStates)};
  spec::neuron_forward(r.s.data(), r.z.data(), x.data(), spec::everywhere(neuron), surrogate, Fire::smooth,
                       kT, kF, reset_spikes != nullptr ? reset_spikes->data() : nullptr);
  return r;
}

template <class Neuron>
struct Checked {
  Neuron neuron;
  Surrogate surrogate;
  Values x = test::Random(1).values<double>(kT * kF, -0.5, 1.5);
  Values ds = test::Random(2).values<double>(kT * kF);

  /// Error of `wrong`'s backward against finite differences of <ds, s(x)> of `neuron`.
  double of_input(const Neuron& wrong) const {
    const Smooth base = forward(neuron, surrogate, x);
    Values dx(kT * kF), dp(kF * (Neuron::kParameters + 1));
    spec::neuron_backward(dx.data(), dp.data(), ds.data(), base.s.data(), base.z.data(), x.data(),
                          spec::everywhere(wrong), surrogate, kT, kF);
    const Values* seen = neuron.detach_reset ? &base.s : nullptr;
    return test::gradient_error(
        [&](const Values& at) { return test::dot(ds, forward(neuron, surrogate, at, seen).s); }, x, dx);
  }

  /// The same for parameter k of the neuron.
  double of_parameter(std::size_t k) const {
    const Smooth base = forward(neuron, surrogate, x);
    Values dx(kT * kF), dp(kF * Neuron::kParameters);
    spec::neuron_backward(dx.data(), dp.data(), ds.data(), base.s.data(), base.z.data(), x.data(),
                          spec::everywhere(neuron), surrogate, kT, kF);
    double sum = 0;
    for (std::size_t f = 0; f < kF; ++f) sum += dp[f * Neuron::kParameters + k];
    const Values* seen = neuron.detach_reset ? &base.s : nullptr;
    return test::gradient_error(
        [&](const Values& at) {
          Neuron moved = neuron;
          moved.parameter(k) = at[0];
          return test::dot(ds, forward(moved, surrogate, x, seen).s);
        },
        {Neuron(neuron).parameter(k)}, {sum});
  }
};

TEST(NeuronReference, BackwardIsTheGradientOfEveryNeuron) {
  for (const Surrogate& surrogate : {Surrogate{ATan{}}, Surrogate{Sigmoid{3.0f}}, Surrogate{Erf{1.0f}}}) {
    test::for_every_neuron(surrogate, [&](const auto& options, const std::string& name) {
      spec::with_neuron_of<double>(options, [&]<class Neuron>(const Neuron& neuron) {
        const Checked<Neuron> check{neuron, surrogate};
        EXPECT_LT(check.of_input(neuron), 1e-7) << name;
      });
    });
  }
}

// The check above must be able to fail: a backward of another neuron, in one detail, does not pass it.
TEST(NeuronReference, TheGradientCheckCatchesMistakes) {
  const auto expect_caught = []<class Neuron>(const Neuron& neuron, const std::string& name) {
    const Checked<Neuron> check{neuron, ATan{}};
    const auto mistake = [&](const auto& change) {
      Neuron wrong = neuron;
      change(wrong);
      return check.of_input(wrong);
    };
    EXPECT_GT(mistake([](Neuron& n) { n.detach_reset = !n.detach_reset; }), 1e-4) << name;
    EXPECT_GT(mistake([](Neuron& n) { n.v_threshold += 0.05; }), 1e-4) << name;
    if constexpr (requires { neuron.tau; }) {
      EXPECT_GT(mistake([](Neuron& n) { n.tau += 0.1; }), 1e-4) << name;
    }
    if constexpr (requires { neuron.b; }) {
      EXPECT_GT(mistake([](Neuron& n) { n.a += 0.05; }), 1e-4) << name;
      EXPECT_GT(mistake([](Neuron& n) { n.b += 0.05; }), 1e-4) << name;
    }
    if constexpr (requires { neuron.tau_a; }) {
      EXPECT_GT(mistake([](Neuron& n) { n.tau_a += 3; }), 1e-5) << name;
      EXPECT_GT(mistake([](Neuron& n) { n.beta += 0.05; }), 1e-5) << name;
    }
  };
  test::for_every_neuron(ATan{}, [&](const auto& options, const std::string& name) {
    spec::with_neuron_of<double>(options, [&](const auto& neuron) { expect_caught(neuron, name); });
  });
}

/// A neuron whose backward may forget that it is held.
template <class Neuron>
struct Forgetful : spec::Refractory<Neuron> {
  using Base = spec::Refractory<Neuron>;
  bool in_fire = false, in_charge = false;

  explicit Forgetful(const Base& neuron) : Base(neuron) {}
  void fire_adjoint(double* dz, double* dp, const double* z, double s, double g, double ds) const {
    in_fire ? Neuron::fire_adjoint(dz, dp, z, s, g, ds) : Base::fire_adjoint(dz, dp, z, s, g, ds);
  }
  double charge_adjoint(double* dz, double* dp, const double* before, const double* z, double x) const {
    return in_charge ? Neuron::charge_adjoint(dz, dp, before, z, x)
                     : Base::charge_adjoint(dz, dp, before, z, x);
  }
};

TEST(NeuronReference, TheGradientCheckCatchesAForgottenPeriod) {
  test::for_every_neuron(ATan{}, [&](const auto& options, const std::string& name) {
    if (options.refractory == 0) return;
    using Neuron = decltype(spec::neuron_of<double>(options));
    const Forgetful<Neuron> neuron(spec::Refractory(spec::neuron_of<double>(options), options.refractory));
    const Checked<Forgetful<Neuron>> check{neuron, ATan{}};
    EXPECT_LT(check.of_input(neuron), 1e-7) << name;
    Forgetful<Neuron> wrong = neuron;
    wrong.in_fire = true;
    EXPECT_GT(check.of_input(wrong), 1e-4) << name;
    wrong = neuron;
    wrong.in_charge = true;
    EXPECT_GT(check.of_input(wrong), 1e-4) << name;
  });
}

/// A neuron of no one's, whose charge sees both of its states before it: of the others' second state, no
/// charge is more than linear, so that its derivative does not need it.
struct Gated : spec::FiresAtThreshold<double> {
  static constexpr std::size_t kStates = 2;
  static constexpr std::size_t kParameters = 0;

  void start(double* z) const { z[0] = 0, z[1] = 0.5; }
  void charge(double* z, double x) const {
    z[0] = z[0] * z[1] + x;
    z[1] = 0.8 * z[1] * z[1] + 0.3 * x;
  }
  void reset(double* z, double s, double r) const {
    z[0] -= r * v_threshold;
    z[1] += 0.2 * s;
  }
  void fire_adjoint(double* dz, double*, const double*, double, double g, double ds) const {
    dz[0] += g * (ds + 0.2 * dz[1] - (detach_reset ? 0 : v_threshold * dz[0]));
  }
  double charge_adjoint(double* dz, double*, const double* before, const double*, double) const {
    const double dx = dz[0] + 0.3 * dz[1];
    dz[1] = before[0] * dz[0] + 1.6 * before[1] * dz[1];
    dz[0] = before[1] * dz[0];
    return dx;
  }
};

TEST(NeuronReference, AChargeSeesEveryStateBeforeIt) {
  const Gated neuron;
  EXPECT_LT((Checked<Gated>{neuron, ATan{}}.of_input(neuron)), 1e-7);
}

// Where its options put them, and away from there, where what is 1 or 0 at first shows.
TEST(NeuronReference, BackwardIsTheGradientOfEveryParameter) {
  std::size_t parameters = 0;
  test::for_every_neuron(ATan{}, [&](const auto& options, const std::string& name) {
    spec::with_neuron_of<double>(options, [&]<class Neuron>(Neuron neuron) {
      for (const double away : {0.0, 0.3}) {
        for (std::size_t k = 0; k < neuron.kParameters; ++k) neuron.parameter(k) += away;
        const Checked<Neuron> check{neuron, ATan{}};
        EXPECT_LT(check.of_input(neuron), 1e-7) << name;
        for (std::size_t k = 0; k < neuron.kParameters; ++k, ++parameters) {
          EXPECT_LT(check.of_parameter(k), 1e-6) << name << " parameter " << k;
        }
      }
    });
  });
  EXPECT_GE(parameters, 72u);
}

template <class Neuron>
std::vector<double> trace(const Neuron& neuron, const Values& x) {
  Values z(Neuron::kStates);
  Values h;
  neuron.start(z.data());
  for (const double current : x) {
    neuron.charge(z.data(), current);
    h.push_back(z[0]);
    const double s = spec::spike_of(neuron, z.data(), {}, Fire::hard);
    neuron.reset(z.data(), s, s);
  }
  return h;
}

// By hand, a few steps each.
TEST(NeuronReference, ChargesAsByHand) {
  EXPECT_EQ(trace(spec::IFNeuron<double>{}, {0.5, 0.25, 0.5, 0.5}), (Values{0.5, 0.75, 1.25, 0.5}));
  // v = -0.1: -0.1 + (1 + 0.1 * 0.9) / 2
  EXPECT_NEAR(trace(spec::QIFNeuron<double>(QIFOptions{}), {1.0})[0], 0.445, 1e-7);
  EXPECT_NEAR(trace(spec::EIFNeuron<double>(EIFOptions{}), {1.0})[0], -0.1 + (1.1 + std::exp(-0.9)) / 2,
              1e-7);
  // c = 1, 0.5; h = 1 (fires, back to 0), 0.5, fires at 0.5
  EXPECT_EQ(trace(spec::CUBALIFNeuron<double>(CUBALIFOptions{}), {1.0, 0.0, 0.0}), (Values{1.0, 0.5, 0.25}));
  // A spike raises the threshold from 1 to 1 + 2 / 4.
  const ALIFOptions adaptive{.tau_a = 4, .beta = 2, .decay_input = false};
  EXPECT_EQ(trace(spec::ALIFNeuron<double>(adaptive), {1.0, 1.25, 1.0}), (Values{1.0, 1.25, 1.625}));
  // w jumps by b at the first spike, and the next charge feels it.
  const IzhikevichOptions izhikevich{.v_c = 0.5f, .v_rest = 0, .tau_w = 2, .a = 0, .b = 1};
  EXPECT_EQ(trace(spec::IzhikevichNeuron<double>(izhikevich), {2.0, 2.0}), (Values{1.0, 0.5}));
}

// GLIF as SpikingJelly writes it: u before the reset and the spike are what goes from step to step.
TEST(NeuronReference, FollowsTheEquationsOfTheGatedNeuron) {
  const GLIFOptions o{.alpha = 0.7f, .beta = 0.4f, .gamma = 0.2f, .tau = 0.35f, .conduct = 0.8f};
  const auto neuron = spec::neuron_of<double>(o);
  const Values x = test::Random(3).values<double>(40, -0.5, 1.5);
  const double a = 0.7, b = 0.4, g = 0.2, tau = 0.35, c = 0.8;
  double u = 0, spike = 0;
  Values expected;
  for (const double current : x) {
    const double before = u;
    u = (1 - a * (1 - tau)) * before - (1 - a) * 0.0625 + current * (1 - b * (1 - c));
    u = u - (1 - a * (1 - tau)) * before * g * spike - (1 - g) * 0.5 * spike;
    spike = u >= 0.5;
    expected.push_back(u);
  }
  const Values h = trace(neuron, x);
  for (std::size_t t = 0; t < x.size(); ++t) EXPECT_NEAR(h[t], expected[t], 1e-6) << t;
}

/// The spikes, and v after each step.
struct Course {
  Values s, v;
};
template <class Options>
Course course(const Options& options, const Values& x) {
  Course course;
  spec::with_neuron_of<double>(options, [&]<class Neuron>(const Neuron& neuron) {
    Values z(Neuron::kStates);
    neuron.start(z.data());
    for (const double current : x) {
      neuron.charge(z.data(), current);
      const double s = spec::spike_of(neuron, z.data(), {}, Fire::hard);
      neuron.reset(z.data(), s, s);
      course.s.push_back(s);
      course.v.push_back(z[0]);
    }
  });
  return course;
}

// By hand: two steps after each spike nothing is charged. Under the soft reset v = 2.5 - 1 stays above the
// threshold, and fires when the period is over.
TEST(NeuronReference, IsSilentAndHeldAfterASpike) {
  const Values ones(7, 1.0);
  const Course hard = course(IFOptions{.refractory = 2}, ones);
  EXPECT_EQ(hard.s, (Values{1, 0, 0, 1, 0, 0, 1}));
  EXPECT_EQ(hard.v, (Values{0, 0, 0, 0, 0, 0, 0}));
  const Course soft = course(IFOptions{.v_reset = std::nullopt, .refractory = 1}, {2.5, 1, 0, 0, 0.25});
  EXPECT_EQ(soft.s, (Values{1, 0, 1, 0, 0}));
  EXPECT_EQ(soft.v, (Values{1.5, 1.5, 0.5, 0.5, 0.75}));
  EXPECT_EQ(course(IFOptions{}, ones).s, ones);
}

// By hand, with a period that outlasts the currents: what is no potential goes on.
TEST(NeuronReference, CurrentsAndAdaptationsGoOnInARefractoryPeriod) {
  const auto second = [](const auto& options, const Values& x) {
    const spec::Refractory neuron(spec::neuron_of<double>(options), 9);
    Values z(3), seconds;
    neuron.start(z.data());
    for (const double current : x) {
      neuron.charge(z.data(), current);
      const double s = spec::spike_of(neuron, z.data(), {}, Fire::hard);
      neuron.reset(z.data(), s, s);
      seconds.push_back(z[1]);
    }
    return seconds;
  };
  EXPECT_EQ(second(CUBALIFOptions{}, {1, 0, 0.25}), (Values{1, 0.5, 0.5}));
  EXPECT_EQ(second(ALIFOptions{.tau_a = 2}, {2, 9, 9}), (Values{0.5, 0.25, 0.125}));
  // v is reset to 1: w = 0.5 (0.5 * 2 - 0) + 1, then w + (0.5 * 1 - w) / 2.
  const IzhikevichOptions izhikevich{
      .v_c = 0, .v_reset = 1, .v_rest = 0, .tau_w = 2, .a = 0.5f, .b = 1, .v_init = 0.0f};
  EXPECT_EQ(second(izhikevich, {4, 9}), (Values{1.5, 1}));
}

TEST(NeuronReference, StartsAtItsInitialPotential) {
  EXPECT_EQ(course(IFOptions{.v_init = 0.75f}, {0, 0.25}).v, (Values{0.75, 0}));
  EXPECT_EQ(course(LIFOptions{.v_reset = -1, .v_init = 1.5f}, {0}).v, (Values{0.25}));
  EXPECT_EQ(course(LIFOptions{.v_reset = -1}, {0}).v, (Values{-1}));
}

TEST(NeuronReference, ChargesWithATimeConstantOfItsOwn) {
  // 0.5 + 1 / 4 - 0.5 / 2, then 0.5 - 2 / 4 - 0.5 / 2
  const LIFOptions own{.tau_charge = 4.0f, .v_init = 0.5f};
  EXPECT_EQ(course(own, {1, -2}).v, (Values{0.5, -0.25}));
  // With a tau_charge of 1, what there is without decay_input.
  const Values x = test::Random(4).values<double>(30, -0.5, 1.5);
  const LIFOptions whole{.tau = 3.0f, .decay_input = false}, one{.tau = 3.0f, .tau_charge = 1.0f};
  EXPECT_EQ(course(whole, x).v, course(one, x).v);
}

TEST(NeuronReference, FiresAtTheThresholdOrAboveIt) {
  spec::IFNeuron<double> n;
  const double at = 1.0;
  EXPECT_EQ(spec::spike_of(n, &at, {}, Fire::hard), 1);
  n.fires_at_threshold = false;
  EXPECT_EQ(spec::spike_of(n, &at, {}, Fire::hard), 0);
  const double above = std::nextafter(1.0, 2.0);
  EXPECT_EQ(spec::spike_of(n, &above, {}, Fire::hard), 1);
}

}  // namespace
}  // namespace volley

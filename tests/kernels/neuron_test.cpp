#include <gtest/gtest.h>

#include <cmath>

#include "support/every_target.hpp"
#include "support/neuron_pass.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"

// The kernels of every neuron against the reference in double, on every target.

namespace volley {
namespace {

using test::kMost;
using test::Pass;
using test::Result;
using test::run_kernel;
using Expected = test::Expected<double>;

template <class Options>
Expected run_reference(const Options& o, const std::vector<float>& x, const std::vector<float>& ds,
                       const Pass& p) {
  return test::run_reference<double>(o, x, ds, p);
}

/// How far rounding may carry a gradient: a charge that is not linear in v makes it grow from step to step.
template <class Options>
double tolerance_of(const Options& o) {
  return requires { o.v_rest; }
  ? 1e-3 : 3e-5;
}

/// Spikes wherever h is not within rounding of the threshold; gradients of neurons whose spikes all agree.
/// Returns how many neurons were too close.
std::size_t compare(const Result& r, const Expected& e, const Pass& p, double tolerance) {
  std::size_t close = 0;
  double scale = 1e-3, parameter_scale = 1e-3;
  for (const double dx : e.dx) scale = std::max(scale, std::abs(dx));
  for (const std::vector<double>& all : e.dp) {
    for (const double dp : all) parameter_scale = std::max(parameter_scale, std::abs(dp));
  }
  for (std::size_t neuron = 0; neuron < p.N * p.neurons(); ++neuron) {
    const std::size_t n = neuron / p.neurons(), f = neuron % p.neurons();
    double sum = 0;
    bool same = true;
    for (std::size_t t = 0; t < p.T && same; ++t) {
      const std::size_t i = (n * p.T + t) * p.neurons() + f;
      same = static_cast<double>(r.s[i]) == e.s[i];
      if (!same) {
        EXPECT_LT(std::abs(e.u[i]), 2e-5) << "a spike differs far from the threshold";
      }
      sum += e.dx[i];
    }
    close += !same;
    if (!same) continue;
    for (std::size_t t = 0; t < p.T && !p.constant; ++t) {
      const std::size_t i = (n * p.T + t) * p.neurons() + f;
      EXPECT_NEAR(static_cast<double>(r.dx[i]), e.dx[i], tolerance * scale);
    }
    if (p.constant) {
      EXPECT_NEAR(static_cast<double>(r.dx[neuron]), sum, tolerance * scale * 10);
    }
    for (std::size_t k = 0; k < kMost; ++k) {
      if (r.dp[k].empty()) continue;
      EXPECT_NEAR(static_cast<double>(r.dp[k][neuron]), e.dp[k][neuron], tolerance * parameter_scale * 10);
    }
  }
  return close;
}

/// Currents under which the neuron fires now and then.
template <class Options>
std::vector<float> currents(const Options& o, const Pass& p) {
  double high = 1.2;
  if constexpr (requires { o.decay_input; }) high = o.decay_input ? 4.0 : 1.5;
  if constexpr (requires { o.a0; }) high = 2.0;
  if constexpr (requires { o.delta_T; }) high = 2.0;
  return test::Random(static_cast<std::uint32_t>(p.F + p.T)).values<float>(p.currents(), -high / 4, high);
}

TEST(NeuronKernel, FollowsTheDoubleReferenceWithEveryOption) {
  test::on_every_target([] {
    std::size_t close = 0;
    for (const Surrogate& surrogate :
         {Surrogate{ATan{}}, Surrogate{Sigmoid{}}, Surrogate{SuperSpike{}}, Surrogate{QPseudoSpike{}}}) {
      test::for_every_neuron(surrogate, [&](const auto& o, const std::string& name) {
        SCOPED_TRACE(name);
        const Pass p{.N = 5, .T = 30, .P = 1, .F = 37};
        const std::vector<float> x = currents(o, p), ds = test::Random(9).values<float>(p.values());
        close += compare(run_kernel(o, x, ds, p), run_reference(o, x, ds, p), p, tolerance_of(o));
      });
    }
    EXPECT_LT(close, 200u) << "neurons too close to the threshold to compare";
  });
}

TEST(NeuronKernel, EverySizeAndForm) {
  test::on_every_target([] {
    for (const std::size_t F : test::kEdgeSizes) {
      for (const std::size_t T : {1u, 2u, 7u}) {
        for (const auto& [N, P] : {std::pair<std::size_t, std::size_t>{1, 1}, {3, 1}, {2, 3}, {1, 6}}) {
          for (const bool constant : {false, true}) {
            const Pass p{N, T, P, F, constant};
            const auto check = [&](const auto& o) {
              SCOPED_TRACE(testing::Message() << o.kKind << " N " << p.N << " T " << T << " P " << p.P
                                              << " F " << F << (constant ? " constant" : ""));
              const std::vector<float> x = currents(o, p), ds = test::Random(9).values<float>(p.values());
              compare(run_kernel(o, x, ds, p), run_reference(o, x, ds, p), p, tolerance_of(o));
            };
            check(LIFOptions{.v_reset = std::nullopt});
            check(PLIFOptions{.learn_threshold = true});
            check(IzhikevichOptions{.b = 0.3f});
            check(PLIFOptions{.v_threshold = 0.5f, .learn_threshold = true, .refractory = 1});
          }
        }
      }
    }
  });
}

// With tau 2, thresholds and currents that are multiples of 1/16 the first steps are exact in float, so
// spikes must agree without exception.
TEST(NeuronKernel, SpikesAreExactOnDyadicData) {
  test::on_every_target([] {
    for (const std::size_t F : test::kEdgeSizes) {
      const Pass p{.N = 3, .T = 7, .P = 1, .F = F};
      const std::vector<float> x = test::Random(static_cast<std::uint32_t>(F)).dyadic(p.values(), 40);
      const auto check = [&](const auto& o) {
        const std::vector<double> expected = run_reference(o, x, x, p).s;
        EXPECT_EQ(run_kernel(o, x, x, p).s, std::vector<float>(expected.begin(), expected.end()))
            << o.kKind << " F " << F << " at " << o.fires_at_threshold;
      };
      for (const bool at : {true, false}) {
        for (const std::optional<float> v_reset :
             {std::optional<float>{0.0f}, std::optional<float>{-0.25f}, std::optional<float>{}}) {
          check(IFOptions{.v_reset = v_reset, .fires_at_threshold = at});
          check(LIFOptions{.v_reset = v_reset, .fires_at_threshold = at});
          check(LIFOptions{.v_reset = v_reset, .decay_input = false, .fires_at_threshold = at});
          check(PLIFOptions{.v_reset = v_reset, .fires_at_threshold = at});
          check(CUBALIFOptions{.v_reset = v_reset, .fires_at_threshold = at});
          check(IFOptions{.v_reset = v_reset, .fires_at_threshold = at, .v_init = 0.5f, .refractory = 1});
          check(LIFOptions{.v_reset = v_reset,
                           .fires_at_threshold = at,
                           .tau_charge = 4.0f,
                           .v_init = 0.25f,
                           .refractory = 2});
          check(ALIFOptions{.tau_a = 2, .beta = 2, .v_reset = v_reset, .fires_at_threshold = at});
        }
      }
    }
  });
}

// What an option must not change: a refractory period after the last spike there is, a tau_charge of 1 and an
// initial potential at rest give the bits of the neuron without them.
TEST(NeuronKernel, OptionsThatChangeNothingChangeNoBit) {
  test::on_every_target([] {
    const Pass p{.N = 3, .T = 20, .P = 1, .F = 37};
    const LIFOptions plain{.tau = 3.0f, .decay_input = false};
    const std::vector<float> x = currents(plain, p), ds = test::Random(6).values<float>(p.values());
    LIFOptions same{.tau = 3.0f, .tau_charge = 1.0f, .v_init = 0.0f};
    const Result a = run_kernel(plain, x, ds, p), b = run_kernel(same, x, ds, p);
    EXPECT_EQ(a.words, b.words);
    EXPECT_EQ(a.dx, b.dx);
    LIFOptions silent{.v_threshold = 50.0f}, pausing = silent;
    pausing.refractory = 3;
    const Result c = run_kernel(silent, x, ds, p), d = run_kernel(pausing, x, ds, p);
    EXPECT_EQ(c.words, d.words);
    EXPECT_EQ(c.dx, d.dx);
  });
}

TEST(NeuronKernel, PaddingBitsAreNought) {
  test::on_every_target([] {
    const Pass p{.N = 3, .T = 4, .P = 2, .F = 70};
    const std::vector<float> x(p.values(), 5.0f);  // all fire at every step
    const Result r = run_kernel(LIFOptions{}, x, x, p);
    for (std::size_t i = 0; i < r.words.size(); i += 2) {
      EXPECT_EQ(r.words[i], ~std::uint64_t{0});
      EXPECT_EQ(r.words[i + 1], (std::uint64_t{1} << 6) - 1);
    }
  });
}

TEST(NeuronKernel, EveryTargetGivesTheSameBits) {
  for (const Surrogate& surrogate : {Surrogate{ATan{}}, Surrogate{Sigmoid{}}, Surrogate{Erf{}}}) {
    test::for_every_neuron(surrogate, [&](const auto& o, const std::string& name) {
      const Pass p{.N = 5, .T = 40, .P = 1, .F = 75};
      const std::vector<float> x = currents(o, p), ds = test::Random(6).values<float>(p.values());
      std::vector<Result> results;
      test::on_every_target([&] { results.push_back(run_kernel(o, x, ds, p)); });
      for (const Result& r : results) {
        EXPECT_EQ(r.words, results.front().words) << name;
        EXPECT_EQ(r.dx, results.front().dx) << name;
        for (std::size_t k = 0; k < kMost; ++k) EXPECT_EQ(r.dp[k], results.front().dp[k]) << name;
      }
    });
  }
}

// The derivatives by tile are those that are compiled in.
TEST(NeuronKernel, AUsersOwnSurrogateIsAsGoodAsOurs) {
  const Pass p{.N = 4, .T = 20, .P = 1, .F = 33};
  LIFOptions o;
  const std::vector<float> x = currents(o, p), ds = test::Random(6).values<float>(p.values());
  const Result ours = run_kernel(o, x, ds, p);
  o.surrogate = CustomSurrogate::of([](float* g, const float* u, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = spec::step_derivative(ATan{}, u[i]);
  });
  const Result own = run_kernel(o, x, ds, p);
  for (std::size_t i = 0; i < own.dx.size(); ++i) EXPECT_NEAR(own.dx[i], ours.dx[i], 1e-5f);
}

TEST(NeuronKernel, AGradientIsAddedUpInOneOrder) {
  std::vector<float> partial(6 * 3);
  for (std::size_t i = 0; i < partial.size(); ++i) partial[i] = static_cast<float>(i);
  for (const std::size_t samples : {1u, 2u, 6u}) {
    std::vector<float> each(3, 1.0f);
    float all = 1.0f;
    kernels::add_neuron_gradient(each.data(), partial.data(), samples, 6 / samples, 3, true);
    kernels::add_neuron_gradient(&all, partial.data(), samples, 6 / samples, 3, false);
    EXPECT_EQ(each, (std::vector<float>{46, 52, 58}));
    EXPECT_EQ(all, 154.0f);
  }
}

}  // namespace
}  // namespace volley

#include <gtest/gtest.h>

#include <limits>

#include "support/every_target.hpp"
#include "support/neuron_pass.hpp"
#include "support/random.hpp"

// The kernels have the bits of the specification in float, whatever the currents and the options:
// docs/math/lif.md, "NaN, infinity and the ends of the range".

namespace volley::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
constexpr float kExtremes[] = {kNaN,   kInf,      -kInf,      kMax,   -kMax, 1e20f,
                               -1e20f, kDenormal, -kDenormal, 1e-40f, 0.0f,  -0.0f};
constexpr std::size_t kCount = std::size(kExtremes);
constexpr std::size_t kSteps = 7;

/// Ordinary currents of which each feature has one extreme: at first, later, at last, at all steps, in
/// alternation with its negative, or any of them at any step.
std::vector<float> extreme_currents(const Pass& p) {
  Random random(7);
  std::vector<float> x = random.values<float>(p.currents(), -0.5, 2.5);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t f = i % p.F, t = i / p.F % p.T, kind = f / kCount;
    const float extreme = kExtremes[f % kCount];
    if (kind == 0 && t == 0) x[i] = extreme;
    if (kind == 1 && t == 2) x[i] = extreme;
    if (kind == 2 && t + 1 == p.T) x[i] = extreme;
    if (kind == 3) x[i] = extreme;
    if (kind == 4) x[i] = t % 2 == 0 ? extreme : -extreme;
    if (kind == 5 && random.below(2) == 0) x[i] = kExtremes[random.below(kCount)];
  }
  return x;
}
const Pass kPass{.N = 1, .T = kSteps, .P = 1, .F = 6 * kCount};

/// How many values are not the same float, NaN being NaN.
std::size_t differences(const std::vector<float>& a, const std::vector<float>& b) {
  std::size_t count = a.size() == b.size() ? 0 : a.size() + b.size();
  for (std::size_t i = 0; count == 0 && i < a.size(); ++i) {
    count += !(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])));
  }
  return count;
}

/// Runs both on the currents; some gradients of the spikes are 0, which counts where they meet infinity.
template <class Options>
void expect_same_bits(const Options& o, const std::vector<float>& x, const Pass& p) {
  std::vector<float> ds = Random(8).values<float>(p.values());
  for (std::size_t i = 0; i < ds.size(); i += 3) ds[i] = 0;
  const Result r = run_kernel(o, x, ds, p);
  const Expected<float> e = run_reference<float>(o, x, ds, p);
  EXPECT_EQ(r.s, e.s);
  EXPECT_EQ(differences(r.dx, e.dx), 0u);
  for (std::size_t k = 0; k < kMost; ++k) {
    if (r.dp[k].empty()) continue;
    EXPECT_EQ(differences(r.dp[k], e.dp[k]), 0u) << "parameter " << k;
  }
}

TEST(NeuronExtremes, TheKernelIsTheSpecificationForEveryNeuronResetAndSurrogate) {
  const std::vector<float> extreme = extreme_currents(kPass);
  const Pass ordinary{.N = 2, .T = 20, .P = 1, .F = 19};
  const std::vector<float> x = Random(3).values<float>(ordinary.currents(), -0.5, 2.0);
  on_every_target([&] {
    for (const Surrogate& surrogate : every_surrogate()) {
      for_every_neuron(surrogate, [&](const auto& o, const std::string& name) {
        if (testing::Test::HasFailure()) return;
        SCOPED_TRACE(name + ", surrogate " + std::to_string(surrogate.index()));
        expect_same_bits(o, extreme, kPass);
        expect_same_bits(o, x, ordinary);
      });
    }
  });
}

/// Calls body(options) for neurons at the ends of what their options may be.
template <class Body>
void for_extreme_options(const Body& body) {
  const float least = std::nextafter(1.0f, 2.0f);
  for (const float threshold : {0.0f, -1.0f, 1e30f, kMax, -kMax, kDenormal}) {
    for (const std::optional<float> v_reset :
         {std::optional<float>{}, std::optional<float>{5.0f}, std::optional<float>{-kMax}}) {
      for (const bool detached : {false, true}) {
        const auto with = [&](auto o) {
          o.v_threshold = threshold, o.v_reset = v_reset, o.detach_reset = detached;
          o.fires_at_threshold = !detached;
          body(o);
        };
        with(IFOptions{});
        for (const float tau : {least, kMax}) {
          with(LIFOptions{.tau = tau});
          with(LIFOptions{.tau = tau, .decay_input = false});
          with(LIFOptions{.tau = tau, .tau_charge = kDenormal, .refractory = 1});
          with(LIFOptions{.tau = tau, .tau_charge = kMax, .v_init = kMax});
          with(PLIFOptions{.init_tau = tau, .tau_charge = 1e-40f, .v_init = -kMax, .refractory = 1 << 24});
          with(IzhikevichOptions{.tau = tau, .tau_w = 1.0f, .a = -3.0f, .b = kMax, .refractory = 1});
          with(PLIFOptions{.init_tau = tau, .learn_threshold = true});
          with(QIFOptions{.tau = tau});
          with(QIFOptions{.tau = tau, .a0 = kMax});
          with(EIFOptions{.tau = tau});
          with(EIFOptions{.tau = tau, .delta_T = 1e-40f});
          with(EIFOptions{.tau = tau, .delta_T = kMax});
          with(IzhikevichOptions{.tau = tau, .tau_w = 1.0f, .a = -3.0f, .b = kMax});
          with(ALIFOptions{.tau = tau, .tau_a = 1.0f, .beta = kMax});
          with(KLIFOptions{.tau = tau, .scale_reset = true});
        }
        with(CUBALIFOptions{.c_decay = 0.0f, .v_decay = 1.0f});
      }
    }
  }
  body(GLIFOptions{
      .alpha = 1e-38f, .beta = 0.99999994f, .gamma = 1e-38f, .tau = 0.99999994f, .v_threshold = 1e-38f});
}

TEST(NeuronExtremes, TheKernelIsTheSpecificationAtTheEndsOfTheOptions) {
  const std::vector<float> extreme = extreme_currents(kPass);
  const Pass one{.N = 1, .T = 1, .P = 1, .F = kPass.F};
  on_every_target([&] {
    for (const Surrogate& surrogate :
         {Surrogate{ATan{kMax}}, Surrogate{Sigmoid{kMax}}, Surrogate{ATan{kDenormal}},
          Surrogate{QPseudoSpike{std::nextafter(1.0f, 2.0f)}}}) {
      for_extreme_options([&](auto o) {
        if (testing::Test::HasFailure()) return;
        o.surrogate = surrogate;
        SCOPED_TRACE(testing::Message() << o.kKind << ", surrogate " << surrogate.index());
        expect_same_bits(o, extreme, kPass);
        expect_same_bits(o, extreme, one);
      });
    }
  });
}

/// s and dx of one neuron.
struct Trace {
  std::vector<float> s, dx;
};
template <class Options>
Trace trace_of(const Options& o, const std::vector<float>& x) {
  const Pass p{.N = 1, .T = x.size(), .P = 1, .F = 1};
  const Result r = run_kernel(o, x, std::vector<float>(x.size(), 1.0f), p);
  return {r.s, r.dx};
}

// What the page says of all of them.
TEST(NeuronExtremes, ANaNComesThrough) {
  for (const Surrogate& surrogate : every_surrogate()) {
    for_every_neuron(surrogate, [&](const auto& o, const std::string& name) {
      SCOPED_TRACE(name + ", surrogate " + std::to_string(surrogate.index()));
      if (o.refractory > 0) return;  // does not charge after the first
      const Trace trace = trace_of(o, {2.0f, kNaN, 9.0f, 9.0f});
      for (std::size_t t = 1; t < 4; ++t) {
        EXPECT_EQ(trace.s[t], 0.0f) << t;
        EXPECT_TRUE(std::isnan(trace.dx[t])) << t;
      }
    });
  }
}

// A current that is not charged has no part in anything, whatever it is.
TEST(NeuronExtremes, ANaNInARefractoryPeriodIsNotSeen) {
  for_every_neuron(ATan{}, [&](const auto& o, const std::string& name) {
    using Options = std::remove_cvref_t<decltype(o)>;
    if (o.refractory == 0 || std::is_same_v<Options, CUBALIFOptions>) return;
    SCOPED_TRACE(name);
    const std::vector<float> dx = trace_of(o, {9.0f, kNaN, 0.5f, 0.5f}).dx;
    EXPECT_EQ(dx, trace_of(o, {9.0f, -7.0f, 0.5f, 0.5f}).dx);
    EXPECT_EQ(dx[1], 0.0f);
  });
}

TEST(NeuronExtremes, AnInfiniteCurrentFiresOnce) {
  for_every_neuron(ATan{}, [&](const auto& o, const std::string& name) {
    SCOPED_TRACE(name);
    const Trace up = trace_of(o, {kInf, 9.0f, 9.0f, 9.0f}), down = trace_of(o, {-kInf, 9.0f, 9.0f, 9.0f});
    EXPECT_EQ(up.s[0], 1.0f);
    if constexpr (requires { o.v_reset; }) {
      if (o.v_reset.has_value()) {
        EXPECT_EQ(up.s, (std::vector<float>{1, 0, 0, 0}));
      }
    }
    EXPECT_EQ(down.s[0], 0.0f);
  });
  // What IF keeps: infinity under a soft reset fires on.
  EXPECT_EQ(trace_of(IFOptions{.v_reset = std::nullopt}, {kInf, 0, 0}).s, (std::vector<float>{1, 1, 1}));
  // A detached reset leaves a finite gradient at -inf.
  const Trace detached = trace_of(IFOptions{.detach_reset = true}, {0.5f, -kInf, 0.5f});
  for (const float dx : detached.dx) EXPECT_TRUE(std::isfinite(dx));
}

TEST(NeuronExtremes, AnExplosionIsSeen) {
  for (const bool kernel : {true, false}) {
    const EIFOptions o{.v_reset = std::nullopt};
    const Pass p{.N = 1, .T = 8, .P = 1, .F = 1};
    const std::vector<float> x{7, 0, 0, 0, 0, 0, 0, 0}, ones(8, 1.0f), expected{1, 1, 1, 1, 1, 0, 0, 0};
    EXPECT_EQ(kernel ? run_kernel(o, x, ones, p).s : run_reference<float>(o, x, ones, p).s, expected);
  }
}

TEST(NeuronExtremes, ADetachedResetIsDetachedWhole) {
  const IzhikevichOptions o{.v_reset = 0.5f, .detach_reset = true};
  const Pass p{.N = 1, .T = 2, .P = 1, .F = 1};
  EXPECT_EQ(run_kernel(o, {2.0f, 0.3f}, {0.0f, 1.0f}, p).dx[0], 0.0f);
  EXPECT_EQ(run_reference<double>(o, {2.0f, 0.3f}, {0.0f, 1.0f}, p).dx[0], 0.0);
}

}  // namespace
}  // namespace volley::test

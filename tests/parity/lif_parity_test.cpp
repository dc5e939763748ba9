#include <gtest/gtest.h>

#include <set>

#include <volley/neuron.hpp>

#include "parity/agreement.hpp"
#include "parity/golden.hpp"
#include "spec/lif.hpp"
#include "support/every_target.hpp"

// Neurons against those of SpikingJelly, case by case of the manifest.

namespace volley::test {
namespace {

struct Case {
  LIFOptions options;
  std::string name;
  std::size_t N = 0, T = 0, F = 0;
  std::vector<float> x, ds;
  NeuronTraces theirs;
};

std::vector<Case> cases_of(const Golden& golden) {
  std::vector<Case> cases;
  for (const nlohmann::json& table : golden.manifest().at("lif")) {
    Case c;
    const std::string index = std::to_string(cases.size());
    const std::string steps = std::to_string(table.at("steps").get<std::size_t>());
    c.name = index + ": " + table.dump();
    c.options = lif_options(table);
    const Tensor& x = golden.tensor("x." + steps);
    c.N = x.shape()[0], c.T = x.shape()[1], c.F = x.shape()[2];
    for (const float value : x.values()) c.x.push_back(value * table.at("gain").get<float>());
    const std::span<const float> ds = golden.values("ds." + steps);
    c.ds.assign(ds.begin(), ds.end());
    c.theirs = {golden.values(index + ".s"), golden.values(index + ".h"), golden.values(index + ".dx")};
    cases.push_back(std::move(c));
  }
  return cases;
}

/// What is wrong with a backward, on purpose.
enum class Mistake { none, sign, no_reset_term, off_by_one, wrong_tau, detach_ignored, no_leak };

struct Traces {
  std::vector<float> s, h, dx;

  Agreement against(const Case& c) const {
    return compare_neurons({s, h, dx}, c.theirs, static_cast<double>(c.options.v_threshold), c.N, c.T, c.F);
  }
};

/// The backward of src/spec/lif.hpp with a mistake in it; one sample.
void mistaken_backward(float* dx, const float* ds, const float* s, const float* h, const LIFOptions& o,
                       Mistake mistake, std::size_t T, std::size_t F) {
  spec::LIFNeuron<float> p(o);
  if (mistake == Mistake::wrong_tau) p.tau *= 1.01f;
  if (mistake == Mistake::detach_ignored) p.detach_reset = !p.detach_reset;
  const float dh_dx = p.charged.dh_dx(1 / p.tau);
  const float dh_dv = mistake == Mistake::no_leak ? 1.0f : 1 - 1 / p.tau;
  for (std::size_t f = 0; f < F; ++f) {
    float dv = 0;
    for (std::size_t t = T; t-- > 0;) {
      const std::size_t i = t * F + f;
      const std::size_t at = mistake == Mistake::off_by_one && t > 0 ? i - F : i;
      const float g = spec::step_derivative(o.surrogate, h[at] - p.v_threshold);
      float dv_dh = mistake == Mistake::no_reset_term || !p.v_reset.has_value() ? 1.0f : 1 - s[i];
      const float through_spike = p.by_spike(&h[i]) * g;
      if (!p.detach_reset) dv_dh += mistake == Mistake::sign ? -through_spike : through_spike;
      const float dh = ds[i] * g + dv * dv_dh;
      dx[i] = dh * dh_dx;
      dv = dh * dh_dv;
    }
  }
}

Traces run_reference(const Case& c) {
  const std::size_t size = c.N * c.T * c.F;
  Traces r{std::vector<float>(size), std::vector<float>(size), std::vector<float>(size)};
  const auto p = spec::everywhere(spec::LIFNeuron<float>(c.options));
  for (std::size_t i = 0; i < size; i += c.T * c.F) {
    spec::neuron_forward(&r.s[i], &r.h[i], &c.x[i], p, c.options.surrogate, spec::Fire::hard, c.T, c.F);
    spec::neuron_backward<float>(&r.dx[i], nullptr, &c.ds[i], &r.s[i], &r.h[i], &c.x[i], p,
                                 c.options.surrogate, c.T, c.F);
  }
  return r;
}

/// The layer's spikes and dx. Its kernel writes h nowhere, and shows it by these two only; the given h stands
/// in.
Traces run_layer(const Case& c, std::vector<float> h) {
  const std::size_t size = c.N * c.T * c.F;
  Tensor x({c.N, c.T, c.F}), ds({c.N, c.T, c.F});
  std::ranges::copy(c.x, x.data());
  std::ranges::copy(c.ds, ds.data());
  Tape tape;
  LIF layer(c.options);
  const Signal s = layer.forward(x, tape);
  const Signal dx = layer.backward(tape, ds);
  std::vector<std::uint8_t> bytes(size);
  s.spikes().to_bytes(bytes);
  return {{bytes.begin(), bytes.end()}, std::move(h), {dx.values(), dx.values() + size}};
}

TEST(LifParity, TheCasesCoverEveryTwoOptionsTogether) {
  const Golden golden("lif.safetensors");
  const nlohmann::json& table = golden.manifest().at("lif");
  const std::vector<std::string> names{"surrogate", "v_reset",     "detach_reset", "decay_input",
                                       "tau",       "v_threshold", "steps"};
  for (const std::string& a : names) {
    for (const std::string& b : names) {
      if (a == b) continue;
      std::set<std::string> of_a, of_b, pairs;
      for (const nlohmann::json& c : table) {
        of_a.insert(c.at(a).dump());
        of_b.insert(c.at(b).dump());
        pairs.insert(c.at(a).dump() + " " + c.at(b).dump());
      }
      EXPECT_EQ(pairs.size(), of_a.size() * of_b.size()) << a << " with " << b;
      EXPECT_GE(of_a.size(), 2u) << a;
    }
  }
  std::set<std::size_t> steps;
  for (const nlohmann::json& c : table) steps.insert(c.at("steps").get<std::size_t>());
  EXPECT_EQ(steps, (std::set<std::size_t>{1, 2, 7, 64, 100, 129}));
}

TEST(LifParity, TheReferenceAgreesWithSpikingJelly) {
  const Golden golden("lif.safetensors");
  Agreement total;
  for (const Case& c : cases_of(golden)) {
    const Agreement a = run_reference(c).against(c);
    EXPECT_TRUE(a.agrees()) << c.name << "\n" << a;
    total.spikes += a.spikes, total.near_flips += a.near_flips, total.left_out += a.left_out;
    total.h_error = std::max(total.h_error, a.h_error);
    total.dx_error = std::max(total.dx_error, a.dx_error);
  }
  std::cout << "reference: " << total << "\n";
  EXPECT_GT(total.spikes, 15000u);
  EXPECT_LE(total.near_flips, total.spikes / 1000);
}

TEST(LifParity, TheLayerAgreesWithSpikingJellyOnEveryTarget) {
  const Golden golden("lif.safetensors");
  const std::vector<Case> cases = cases_of(golden);
  on_every_target([&] {
    Agreement total;
    for (const Case& c : cases) {
      const Agreement a = run_layer(c, run_reference(c).h).against(c);
      EXPECT_TRUE(a.agrees()) << c.name << "\n" << a;
      total.spikes += a.spikes, total.near_flips += a.near_flips, total.left_out += a.left_out;
      total.dx_error = std::max(total.dx_error, a.dx_error);
    }
    std::cout << "layer: " << total << "\n";
    EXPECT_LE(total.near_flips, total.spikes / 1000);
  });
}

// The test of the tests: what is wrong must not agree.

/// In how many cases of T >= 7 a backward with `mistake` is found out.
std::size_t found_out(const Golden& golden, Mistake mistake, std::size_t& asked) {
  std::size_t found = 0;
  asked = 0;
  for (const Case& c : cases_of(golden)) {
    if (c.T < 7) continue;
    ++asked;
    Traces r = run_reference(c);
    for (std::size_t i = 0; i < r.dx.size(); i += c.T * c.F) {
      mistaken_backward(&r.dx[i], &c.ds[i], &r.s[i], &r.h[i], c.options, mistake, c.T, c.F);
    }
    found += !r.against(c).agrees();
  }
  return found;
}

TEST(LifParity, AMistakeInTheBackwardIsFoundOut) {
  const Golden golden("lif.safetensors");
  std::size_t asked = 0;
  EXPECT_EQ(found_out(golden, Mistake::none, asked), 0u);
  ASSERT_GT(asked, 25u);
  std::size_t hard_or_soft_not_detached = 0;
  std::size_t hard = 0;
  for (const Case& c : cases_of(golden)) {
    if (c.T < 7) continue;
    hard_or_soft_not_detached += !c.options.detach_reset;
    hard += c.options.v_reset.has_value();
  }
  EXPECT_EQ(found_out(golden, Mistake::sign, asked), hard_or_soft_not_detached);
  EXPECT_EQ(found_out(golden, Mistake::no_reset_term, asked), hard);  // soft reset has dv/dh = 1 there
  EXPECT_EQ(found_out(golden, Mistake::off_by_one, asked), asked);
  EXPECT_EQ(found_out(golden, Mistake::wrong_tau, asked), asked);
  EXPECT_EQ(found_out(golden, Mistake::detach_ignored, asked), asked);
  EXPECT_EQ(found_out(golden, Mistake::no_leak, asked), asked);
}

TEST(LifParity, AMistakeInTheForwardIsFoundOut) {
  const Golden golden("lif.safetensors");
  for (Case c : cases_of(golden)) {
    if (c.T < 7) continue;
    const LIFOptions right = c.options;
    c.options.tau = right.tau + 0.01f;
    EXPECT_FALSE(run_reference(c).against(c).forward_agrees()) << "tau, " << c.name;
    c.options = right;
    c.options.decay_input = !right.decay_input;
    EXPECT_FALSE(run_reference(c).against(c).forward_agrees()) << "decay_input, " << c.name;
    c.options = right;
    c.options.v_reset = right.v_reset.has_value() ? std::nullopt : std::optional<float>(0.0f);
    EXPECT_FALSE(run_reference(c).against(c).forward_agrees()) << "v_reset, " << c.name;
  }
}

TEST(LifParity, AFlipNearTheThresholdIsCountedAndAnotherIsAnError) {
  const std::vector<float> h{0.5f, 1.000004f, 0.2f}, dx{1, 2, 3}, fires{0, 1, 0}, not_{0, 0, 0};
  const Agreement near = compare_neurons({not_, h, dx}, {fires, h, dx}, 1.0, 1, 3, 1);
  EXPECT_EQ(near.near_flips, 1u);
  EXPECT_EQ(near.left_out, 4u);
  EXPECT_TRUE(near.agrees());
  const std::vector<float> far{0.5f, 1.1f, 0.2f};
  const Agreement wrong = compare_neurons({not_, far, dx}, {fires, far, dx}, 1.0, 1, 3, 1);
  EXPECT_EQ(wrong.flips, 1u);
  EXPECT_FALSE(wrong.agrees());
  const std::vector<float> nan{NAN, NAN, NAN};
  EXPECT_FALSE(compare_neurons({fires, h, nan}, {fires, h, dx}, 1.0, 1, 3, 1).agrees());
}

}  // namespace
}  // namespace volley::test

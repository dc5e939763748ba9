#include <gtest/gtest.h>

#include <type_traits>

#include <volley/recipe.hpp>

#include "kernels/surrogate.hpp"
#include "parity/agreement.hpp"
#include "parity/golden.hpp"
#include "spec/neurons.hpp"
#include "support/every_target.hpp"

// The neurons beside LIF, and the surrogates, against those of SpikingJelly.

namespace volley::test {
namespace {

/// Gives the fields of `options` the values that a table of the manifest has for them.
template <class Options>
void read_options(Options& options, const nlohmann::json& table) {
  Options::fields(options, [&]<class T>(std::string_view name, T& value, const Range&) {
    if (!table.contains(std::string(name))) return;
    const nlohmann::json& given = table.at(std::string(name));
    if constexpr (std::is_same_v<T, std::optional<float>>) {
      value.reset();
      if (!given.is_string()) value = given.get<float>();
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = given.get<T>();
    }
  });
}

/// Calls body(options) with the options of the kind among the Variant's that the table names.
template <class Variant, class Body>
void with_options(const nlohmann::json& table, const Body& body) {
  bool found = false;
  const auto ask = [&]<class Options>(Options options) {
    if (table.at("kind").get<std::string>() != Options::kKind) return;
    read_options(options, table);
    body(options);
    found = true;
  };
  [&]<class... Options>(const std::variant<Options...>*) {
    (ask(Options{}), ...);
  }(static_cast<const Variant*>(nullptr));
  EXPECT_TRUE(found) << table.dump();
}

struct Case {
  std::size_t N, T, F;
  std::span<const float> x, ds;
  NeuronTraces theirs;
  std::vector<std::span<const float>> their_parameters;
};

/// The reference in float: s, h, dx.
template <class Neuron>
std::array<std::vector<float>, 3> run_reference(const Neuron& one, const Surrogate& surrogate,
                                                const Case& c) {
  const auto neuron = spec::everywhere(one);
  constexpr std::size_t kStates = decltype(neuron(0))::kStates;
  const std::size_t size = c.T * c.F;
  std::array<std::vector<float>, 3> r;
  for (std::size_t n = 0; n < c.N; ++n) {
    std::vector<float> s(size), z(size * kStates), dx(size);
    std::vector<float> dp(c.F * (decltype(neuron(0))::kParameters + 1));
    const float* x = &c.x[n * size];
    spec::neuron_forward(s.data(), z.data(), x, neuron, surrogate, spec::Fire::hard, c.T, c.F);
    spec::neuron_backward(dx.data(), dp.data(), &c.ds[n * size], s.data(), z.data(), x, neuron, surrogate,
                          c.T, c.F);
    r[0].insert(r[0].end(), s.begin(), s.end());
    for (std::size_t i = 0; i < size; ++i) r[1].push_back(z[i * kStates]);
    r[2].insert(r[2].end(), dx.begin(), dx.end());
  }
  return r;
}

/// The layer's s and dx, and whether its parameters' gradients are theirs.
template <class Options>
std::array<std::vector<float>, 2> run_layer(const Options& o, const Case& c, double& parameter_error) {
  Tensor x({c.N, c.T, c.F}), ds({c.N, c.T, c.F});
  std::ranges::copy(c.x, x.data());
  std::ranges::copy(c.ds, ds.data());
  Tape tape;
  Neuron<Options> layer(o);
  const Signal s = layer.forward(x, tape);
  const Signal dx = layer.backward(tape, ds);
  parameter_error = 0;
  std::size_t k = 0;
  for (const NamedParameter& p : layer.parameters()) {
    const float a = p.parameter->gradient.values()[0], b = c.their_parameters[k++][0];
    parameter_error = std::max(parameter_error, static_cast<double>(std::abs(a - b) / (1 + std::abs(b))));
  }
  std::vector<std::uint8_t> bytes(c.N * c.T * c.F);
  s.spikes().to_bytes(bytes);
  return {{{bytes.begin(), bytes.end()}, {dx.values(), dx.values() + bytes.size()}}};
}

/// Holds reference and layer, on every target, to the neurons of a golden file. Returns how many there are.
std::size_t expect_agreement(const Golden& golden) {
  const Tensor& x = golden.tensor("x");
  std::size_t index = 0;
  for (const nlohmann::json& table : golden.manifest().at("neurons")) {
    SCOPED_TRACE(table.dump());
    const std::string at = std::to_string(index++);
    Case c{x.shape()[0],
           x.shape()[1],
           x.shape()[2],
           x.values(),
           golden.values("ds"),
           {golden.values(at + ".s"), golden.values(at + ".h"), golden.values(at + ".dx")},
           {}};
    with_options<AnyNeuron>(table, [&](const auto& o) {
      {
        for (const NeuronParameter& p : parameters_of(o)) {
          c.their_parameters.push_back(golden.values(at + ".d" + p.name));
        }
        std::array<std::vector<float>, 3> ours;
        spec::with_neuron_of<float>(
            o, [&](const auto& neuron) { ours = run_reference(neuron, o.surrogate, c); });
        const auto& [s, h, dx] = ours;
        const double threshold = static_cast<double>(o.v_threshold);
        const Agreement a = compare_neurons({s, h, dx}, c.theirs, threshold, c.N, c.T, c.F);
        EXPECT_TRUE(a.agrees()) << a;
        on_every_target([&, h = h] {
          double parameter_error = 0;
          const auto [layer_s, layer_dx] = run_layer(o, c, parameter_error);
          const Agreement b = compare_neurons({layer_s, h, layer_dx}, c.theirs, threshold, c.N, c.T, c.F);
          EXPECT_TRUE(b.agrees()) << b;
          if (b.near_flips == 0) {
            EXPECT_LT(parameter_error, 1e-5);
          }
        });
      }
    });
  }
  return index;
}

TEST(NeuronParity, ReferenceAndLayerAgreeWithSpikingJellyOnEveryTarget) {
  EXPECT_GE(expect_agreement(Golden("neurons.safetensors")), 50u);
}

// What SpikingJelly has not: refractory, v_init and tau_charge, by PyTorch's autograd.
TEST(NeuronParity, TimingAgreesWithAutogradOnEveryTarget) {
  EXPECT_GE(expect_agreement(Golden("timing.safetensors", "timing.json")), 200u);
}

TEST(SurrogateParity, DerivativesAgreeWithSpikingJellyOnEveryTarget) {
  const Golden golden("neurons.safetensors");
  const std::span<const float> x = golden.values("surrogate.x");
  std::size_t index = 0;
  for (const nlohmann::json& table : golden.manifest().at("surrogates")) {
    SCOPED_TRACE(table.dump());
    const std::span<const float> theirs = golden.values("surrogate." + std::to_string(index++));
    with_options<Surrogate>(table, [&](const auto& f) {
      on_every_target([&] {
        std::vector<float> g(x.size());
        kernels::surrogate_derivatives(g.data(), x.data(), x.size(), ops::lower(f));
        EXPECT_LE(scaled_error(g, theirs), 2e-6);
      });
    });
  }
  EXPECT_GE(index, 24u);
}

}  // namespace
}  // namespace volley::test

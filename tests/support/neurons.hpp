#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <volley/neuron.hpp>

namespace volley::test {

// Every neuron, with options that give it something to do.

/// Every surrogate at its defaults, and some away from them.
inline std::vector<Surrogate> every_surrogate() {
  return {ATan{},
          ATan{0.5f},
          Sigmoid{},
          Sigmoid{25.0f},
          PiecewiseQuadratic{},
          PiecewiseQuadratic{2.5f},
          PiecewiseExp{},
          PiecewiseExp{3.0f},
          SoftSign{},
          SoftSign{0.7f},
          SuperSpike{},
          SuperSpike{2.0f},
          Erf{},
          Erf{0.6f},
          Rect{},
          Rect{0.4f},
          PiecewiseLeakyReLU{},
          PiecewiseLeakyReLU{0.5f, 0.1f},
          LeakyKReLU{},
          LeakyKReLU{0.2f, 0.7f},
          LogTailedReLU{},
          LogTailedReLU{0.1f},
          S2NN{},
          S2NN{2.0f, 0.5f},
          QPseudoSpike{},
          QPseudoSpike{1.5f},
          NonzeroSignLogAbs{},
          NonzeroSignLogAbs{2.0f},
          StraightThrough{}};
}

/// Calls body(options) for every neuron with a refractory period and an initial potential, and for those that
/// charge with a time constant of its own.
template <class Body>
void for_every_timing(const Body& body) {
  body(LIFOptions{.tau = 3.0f, .tau_charge = 1.7f});
  body(PLIFOptions{.init_tau = 2.5f, .learn_threshold = true, .tau_charge = 1.3f});
  body(ALIFOptions{.tau_a = 5.0f, .v_threshold = 0.6f, .tau_charge = 1.5f});
  body(KLIFOptions{.tau = 3.0f, .tau_charge = 1.2f});
  body(IFOptions{.v_threshold = 0.7f, .v_init = 0.4f, .refractory = 2});
  body(LIFOptions{.v_threshold = 0.3f, .refractory = 1});
  body(LIFOptions{.v_threshold = 0.5f, .decay_input = false, .v_init = -0.3f, .refractory = 2});
  body(PLIFOptions{
      .init_tau = 1.4f, .v_threshold = 0.5f, .learn_threshold = true, .v_init = 0.2f, .refractory = 1});
  body(QIFOptions{.v_threshold = 0.6f, .v_init = 0.3f, .refractory = 2});
  body(EIFOptions{
      .tau = 4.0f, .delta_T = 0.5f, .theta_rh = 0.9f, .v_threshold = 0.6f, .v_init = 0.3f, .refractory = 1});
  body(IzhikevichOptions{
      .v_threshold = 0.5f, .tau_w = 5.0f, .a = 0.4f, .b = 0.3f, .v_init = 0.2f, .refractory = 2});
  body(CUBALIFOptions{.c_decay = 0.8f, .v_decay = 0.6f, .v_init = 0.2f, .refractory = 2});
  body(ALIFOptions{.tau_a = 5.0f, .v_threshold = 0.4f, .tau_charge = 1.5f, .v_init = 0.2f, .refractory = 2});
  body(KLIFOptions{
      .v_threshold = 0.5f, .scale_reset = true, .tau_charge = 1.5f, .v_init = 0.2f, .refractory = 1});
  body(GLIFOptions{.v_threshold = 0.4f, .v_init = 0.3f, .refractory = 2});
}

/// Calls body(options, name) for every neuron, crossed with what happens at the threshold. `surrogate` stands
/// in for the neuron's own.
template <class Body>
void for_every_neuron(const Surrogate& surrogate, const Body& body) {
  const auto cross = [&]<class Options>(Options o) {
    o.surrogate = surrogate;
    for (const auto& [detach_reset, above] : {std::pair(false, false), {true, false}, {false, true}}) {
      o.detach_reset = detach_reset;
      o.fires_at_threshold = !above;
      const std::string timing = o.refractory > 0 ? " refractory" : "";
      const std::string name = Options::kKind + timing +
                               (detach_reset ? " detached"
                                : above      ? " above the threshold"
                                             : "");
      if constexpr (requires { o.v_reset; }) {
        for (const std::optional<float> v_reset :
             {std::optional<float>{0.0f}, std::optional<float>{-0.3f}, std::optional<float>{}}) {
          o.v_reset = v_reset;
          body(o, name + " v_reset " + (v_reset.has_value() ? std::to_string(*v_reset) : "none"));
        }
      } else {
        body(o, name);
      }
    }
  };
  cross(IFOptions{.v_threshold = 0.9f});
  cross(LIFOptions{});
  cross(LIFOptions{.tau = 7.3f, .v_threshold = 0.6f, .decay_input = false});
  cross(PLIFOptions{.init_tau = 3.1f, .v_threshold = 0.7f});
  cross(PLIFOptions{.init_tau = 1.4f, .decay_input = false, .learn_threshold = true});
  cross(QIFOptions{});
  cross(QIFOptions{.tau = 3.0f, .v_c = 0.5f, .a0 = 0.7f, .v_rest = -0.2f});
  cross(EIFOptions{});
  cross(EIFOptions{.tau = 4.0f, .delta_T = 0.5f, .theta_rh = 0.9f, .v_rest = -0.1f});
  cross(IzhikevichOptions{});
  cross(IzhikevichOptions{.tau = 3.0f, .a0 = 0.6f, .w_rest = 0.1f, .tau_w = 5.0f, .a = 0.4f, .b = 0.3f});
  cross(CUBALIFOptions{});
  cross(CUBALIFOptions{.c_decay = 0.8f, .v_decay = 0.6f, .v_threshold = 1.1f});
  cross(ALIFOptions{});
  cross(ALIFOptions{.tau = 3.0f, .tau_a = 5.0f, .beta = 0.7f, .v_threshold = 0.5f, .decay_input = false});
  cross(KLIFOptions{.v_threshold = 0.8f});
  cross(KLIFOptions{.tau = 3.0f, .decay_input = false, .scale_reset = true});
  cross(GLIFOptions{});
  cross(GLIFOptions{
      .alpha = 0.8f, .beta = 0.3f, .gamma = 0.9f, .tau = 0.6f, .v_threshold = 0.4f, .conduct = 0.7f});
  for_every_timing(cross);
}

}  // namespace volley::test

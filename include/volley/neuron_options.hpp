#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <volley/fields.hpp>
#include <volley/surrogate.hpp>
#include <volley/type_list.hpp>

namespace volley {

// The neurons that fire, by their options. Names, equations and defaults are SpikingJelly's where it has the
// neuron. All of them take currents x (N, T, features...), start every pass from rest, and give spikes of the
// same shape. What they share:
//
//     fire    s = 1 if h >= v_threshold else 0       fires_at_threshold; otherwise h > v_threshold
//     reset   v = v_reset where s = 1                hard
//             v = h - v_threshold where s = 1        soft: v_reset none, which counts as 0 elsewhere
//     start   v = v_init; none: v_reset, or 0
//     pause   after a spike v is held and s = 0 for `refractory` steps
//
// and each says how it charges: how h comes from v and x. tau is in steps. In a pause the neuron does not
// charge; a synaptic current, a recovery or an adaptation goes on (docs/math/refractory.md). Backward is the
// exact gradient of the unrolled recursion with the surrogate for the step's derivative; detach_reset leaves
// out the spike's part in the reset. A NaN potential never fires, and its gradients are NaN; infinite ones
// follow IEEE arithmetic (docs/math/lif.md). Derivations: docs/math.
//
// Each has kKind, its name in recipes and on the command line, kName, its class in Python, and kDoc, which
// says there and here what it computes. kSecondState is what a State calls a second state variable, which
// begins at second_start(), or at 0.
// The members that all share stand in each, and not in a base, so that LIFOptions{.tau = 3, .v_reset =
// std::nullopt} can name them.

namespace detail {
/// The fields that all of them have, after their own.
template <class Self, class Visit>
void visit_firing(Self& self, Visit&& visit) {
  visit("v_threshold", self.v_threshold, any());
  visit("v_reset", self.v_reset, any());
  visit("detach_reset", self.detach_reset, any());
  visit("surrogate", self.surrogate, any());
  visit("fires_at_threshold", self.fires_at_threshold, any());
}
/// The last fields of all of them.
template <class Self, class Visit>
void visit_timing(Self& self, Visit&& visit) {
  visit("v_init", self.v_init, any());
  visit("refractory", self.refractory, between(0, 1 << 24));
}
}  // namespace detail

/// A number that a neuron has in a tensor, one for all or one for each channel, and where it begins.
struct NeuronParameter {
  const char* name;
  float initial;
  bool learned = true;  // else it is a buffer of the layer: it stays as it is set
};

struct IFOptions {
  static constexpr const char* kKind = "if";
  static constexpr const char* kName = "IF";
  static constexpr const char* kDoc = R"(Integrate-and-fire neurons.

charge  h = v + x)";

  float v_threshold = 1.0f;
  std::optional<float> v_reset = 0.0f;  // potential after a spike (hard reset); none: h - v_threshold (soft)
  bool detach_reset = false;            // whether backward ignores the spike's part in the reset
  Surrogate surrogate{};                // atan
  bool fires_at_threshold = true;       // whether h = v_threshold fires
  std::optional<float> v_init;          // potential before the first step; none: v_reset, or 0
  std::size_t refractory = 0;           // steps after a spike in which it neither charges nor fires

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    detail::visit_firing(self, visit);
    detail::visit_timing(self, visit);
  }
};

struct LIFOptions {
  static constexpr const char* kKind = "lif";
  static constexpr const char* kName = "LIF";
  static constexpr const char* kDoc = R"(Leaky integrate-and-fire neurons.

charge  h = v + (x - (v - v_reset)) / tau         decay_input
        h = v - (v - v_reset) / tau + x           otherwise
        h = v - (v - v_reset) / tau + x / tau_charge      with a tau_charge)";

  float tau = 2.0f;  // membrane time constant in steps, > 1
  float v_threshold = 1.0f;
  std::optional<float> v_reset = 0.0f;  // potential after a spike (hard reset); none: h - v_threshold (soft)
  bool decay_input = true;              // whether the input current is divided by tau too
  bool detach_reset = false;            // whether backward ignores the spike's part in the reset
  Surrogate surrogate{};                // atan
  bool fires_at_threshold = true;       // whether h = v_threshold fires
  std::optional<float> tau_charge;  // time constant of the charge, > 0; none: tau, or 1 without decay_input
  std::optional<float> v_init;      // potential before the first step; none: v_reset, or 0
  std::size_t refractory = 0;       // steps after a spike in which it neither charges nor fires

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("decay_input", self.decay_input, any());
    detail::visit_firing(self, visit);
    visit("tau_charge", self.tau_charge, above(0));
    detail::visit_timing(self, visit);
  }
};

struct PLIFOptions {
  static constexpr const char* kKind = "plif";
  static constexpr const char* kName = "PLIF";
  static constexpr const char* kDoc = R"(LIF neurons with a learned tau, and if wanted a learned threshold.

charge  as LIF, with 1 / tau = sigmoid(w)

w, at first -ln(init_tau - 1), and v_threshold: one number each, or one for each of so many channels, or for each
neuron if there are so many. What is learned is a parameter; what is not, a buffer.)";

  float init_tau = 2.0f;  // > 1
  float v_threshold = 1.0f;
  std::optional<float> v_reset = 0.0f;
  bool decay_input = true;
  bool detach_reset = false;
  Surrogate surrogate{};  // atan
  bool fires_at_threshold = true;
  bool learn_tau = true;
  bool learn_threshold = false;
  std::size_t channels = 0;  // or neurons, in row-major order; 0: one number for all
  std::optional<float> tau_charge;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("init_tau", self.init_tau, above(1));
    visit("decay_input", self.decay_input, any());
    detail::visit_firing(self, visit);
    visit("learn_tau", self.learn_tau, any());
    visit("learn_threshold", self.learn_threshold, any());
    visit("channels", self.channels, between(0, 1 << 24));
    visit("tau_charge", self.tau_charge, above(0));
    detail::visit_timing(self, visit);
  }

  std::vector<NeuronParameter> parameters() const;
};

struct QIFOptions {
  static constexpr const char* kKind = "qif";
  static constexpr const char* kName = "QIF";
  static constexpr const char* kDoc = R"(Quadratic integrate-and-fire neurons.

charge  h = v + (x + a0 (v - v_rest) (v - v_c)) / tau)";

  float tau = 2.0f;  // > 1
  float v_c = 0.8f;  // the potential beyond which v grows by itself
  float a0 = 1.0f;   // > 0
  float v_threshold = 1.0f;
  float v_rest = 0.0f;
  std::optional<float> v_reset = -0.1f;
  bool detach_reset = false;
  Surrogate surrogate{};  // atan
  bool fires_at_threshold = true;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("v_c", self.v_c, any());
    visit("a0", self.a0, above(0));
    visit("v_rest", self.v_rest, any());
    detail::visit_firing(self, visit);
    detail::visit_timing(self, visit);
  }
};

struct EIFOptions {
  static constexpr const char* kKind = "eif";
  static constexpr const char* kName = "EIF";
  static constexpr const char* kDoc = R"(Exponential integrate-and-fire neurons.

charge  h = v + (x + v_rest - v + delta_T exp((v - theta_rh) / delta_T)) / tau)";

  float tau = 2.0f;       // > 1
  float delta_T = 1.0f;   // sharpness of the rise, > 0
  float theta_rh = 0.8f;  // rheobase threshold
  float v_threshold = 1.0f;
  float v_rest = 0.0f;
  std::optional<float> v_reset = -0.1f;
  bool detach_reset = false;
  Surrogate surrogate{};  // atan
  bool fires_at_threshold = true;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("delta_T", self.delta_T, above(0));
    visit("theta_rh", self.theta_rh, any());
    visit("v_rest", self.v_rest, any());
    detail::visit_firing(self, visit);
    detail::visit_timing(self, visit);
  }
};

struct IzhikevichOptions {
  static constexpr const char* kKind = "izhikevich";
  static constexpr const char* kName = "Izhikevich";
  static constexpr const char* kSecondState = "w";
  static constexpr const char* kDoc = R"(Izhikevich's neurons, with a recovery current w.

charge  h = v + (x + a0 (v - v_rest) (v - v_c) - w) / tau
        w = w + (a (h - v_rest) - w) / tau_w
fire    w = w + b where s = 1
start   w = w_rest

detach_reset holds for the reset of v, not for the b s.)";

  float tau = 2.0f;  // > 1
  float v_c = 0.8f;
  float a0 = 1.0f;  // > 0
  float v_threshold = 1.0f;
  std::optional<float> v_reset = 0.0f;
  float v_rest = -0.1f;
  float w_rest = 0.0f;
  float tau_w = 2.0f;  // time constant of the recovery in steps, >= 1
  float a = 0.0f;      // how the recovery follows the potential
  float b = 0.0f;      // how much a spike adds to it
  bool detach_reset = false;
  Surrogate surrogate{};  // atan
  bool fires_at_threshold = true;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  float second_start() const { return w_rest; }

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("v_c", self.v_c, any());
    visit("a0", self.a0, above(0));
    visit("v_rest", self.v_rest, any());
    visit("w_rest", self.w_rest, any());
    visit("tau_w", self.tau_w, at_least(1));
    visit("a", self.a, any());
    visit("b", self.b, any());
    detail::visit_firing(self, visit);
    detail::visit_timing(self, visit);
  }
};

struct CUBALIFOptions {
  static constexpr const char* kKind = "cuba_lif";
  static constexpr const char* kName = "CUBALIF";
  static constexpr const char* kSecondState = "c";
  static constexpr const char* kDoc = R"(LIF neurons with a synaptic current c.

charge  c = c_decay c + x
        h = v_decay v + c
start   c = 0)";

  float c_decay = 0.5f;   // >= 0 and <= 1
  float v_decay = 0.75f;  // >= 0 and <= 1
  float v_threshold = 0.5f;
  std::optional<float> v_reset = 0.0f;
  bool detach_reset = false;
  Surrogate surrogate = Rect{};
  bool fires_at_threshold = true;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("c_decay", self.c_decay, between(0, 1));
    visit("v_decay", self.v_decay, between(0, 1));
    detail::visit_firing(self, visit);
    detail::visit_timing(self, visit);
  }
};

struct ALIFOptions {
  static constexpr const char* kKind = "alif";
  static constexpr const char* kName = "ALIF";
  static constexpr const char* kSecondState = "a";
  static constexpr const char* kDoc =
      R"(LIF neurons with an adaptive threshold, after Yin, Corradi and Bohte (2021).

charge  as LIF
fire    s = 1 if h >= theta, theta = v_threshold + beta a
reset   soft: v = h - theta where s = 1
        a = a + (s - a) / tau_a
start   a = 0

detach_reset holds for the reset of v, not for the adaptation.)";

  float tau = 2.0f;          // > 1
  float tau_a = 100.0f;      // time constant of the adaptation in steps, >= 1
  float beta = 1.8f;         // how much a spike train raises the threshold
  float v_threshold = 1.0f;  // at rest
  std::optional<float> v_reset = 0.0f;
  bool decay_input = true;
  bool detach_reset = false;
  Surrogate surrogate{};  // atan
  bool fires_at_threshold = true;
  std::optional<float> tau_charge;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("tau_a", self.tau_a, at_least(1));
    visit("beta", self.beta, any());
    visit("decay_input", self.decay_input, any());
    detail::visit_firing(self, visit);
    visit("tau_charge", self.tau_charge, above(0));
    detail::visit_timing(self, visit);
  }
};

struct KLIFOptions {
  static constexpr const char* kKind = "klif";
  static constexpr const char* kName = "KLIF";
  static constexpr const char* kDoc =
      R"(LIF neurons whose potential is scaled by a learned k, and cut off at 0.

charge  h = k h where k h > 0, else 0, with the h of LIF
reset   under scale_reset, of h / k, with v_threshold / k to subtract

Parameter k, at first 1.)";

  float tau = 2.0f;  // > 1
  float v_threshold = 1.0f;
  std::optional<float> v_reset = 0.0f;
  bool decay_input = true;
  bool detach_reset = false;
  Surrogate surrogate{};  // atan
  bool fires_at_threshold = true;
  bool scale_reset = false;
  std::optional<float> tau_charge;
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("decay_input", self.decay_input, any());
    detail::visit_firing(self, visit);
    visit("scale_reset", self.scale_reset, any());
    visit("tau_charge", self.tau_charge, above(0));
    detail::visit_timing(self, visit);
  }

  std::vector<NeuronParameter> parameters() const { return {{"k", 1.0f}}; }
};

struct GLIFOptions {
  static constexpr const char* kKind = "glif";
  static constexpr const char* kName = "GLIF";
  static constexpr const char* kDoc = R"(Gated LIF neurons, after Yao, Li, Mo and Cheng (2022).

charge  h = v + (1 - beta (1 - conduct)) x - (1 - alpha) linear_decay
reset   v = (1 - alpha (1 - tau)) (1 - gamma s) h - (1 - gamma) v_subreset s
start   v = 0

Parameters alpha, beta, gamma, tau, v_threshold, linear_decay, v_subreset and conduct, whose sigmoids are the
numbers above, at first the options: one each, or one for each of so many channels, or for each neuron if there are
so many.)";

  float alpha = 0.5f;  // all of them > 0 and < 1
  float beta = 0.5f;
  float gamma = 0.5f;
  float tau = 0.25f;  // here what the potential is multiplied by, no time
  float v_threshold = 0.5f;
  float linear_decay = 0.0625f;
  float v_subreset = 0.5f;
  float conduct = 0.5f;
  bool detach_reset = false;
  Surrogate surrogate = Sigmoid{};
  bool fires_at_threshold = true;
  std::size_t channels = 0;  // or neurons, in row-major order; 0: one number for all
  std::optional<float> v_init;
  std::size_t refractory = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit_values(self, [&](const char* name, auto& value) { visit(name, value, inside(0, 1)); });
    visit("detach_reset", self.detach_reset, any());
    visit("surrogate", self.surrogate, any());
    visit("fires_at_threshold", self.fires_at_threshold, any());
    visit("channels", self.channels, between(0, 1 << 24));
    detail::visit_timing(self, visit);
  }

  std::vector<NeuronParameter> parameters() const;

 private:
  template <class Self, class Visit>
  static void visit_values(Self& self, const Visit& visit) {
    visit("alpha", self.alpha);
    visit("beta", self.beta);
    visit("gamma", self.gamma);
    visit("tau", self.tau);
    visit("v_threshold", self.v_threshold);
    visit("linear_decay", self.linear_decay);
    visit("v_subreset", self.v_subreset);
    visit("conduct", self.conduct);
  }
};

/// Every neuron that fires. Layers, recipes, the Python module, `volley neuron` and the tests run over this
/// list.
using Neurons = TypeList<IFOptions, LIFOptions, PLIFOptions, QIFOptions, EIFOptions, IzhikevichOptions,
                         CUBALIFOptions, ALIFOptions, KLIFOptions, GLIFOptions>;
using AnyNeuron = VariantOf<Neurons>;
template <class Options>
concept NeuronOptions = IsIn<Options, Neurons>;

template <NeuronOptions Options>
class Neuron;  // the layer: neuron.hpp
using IF = Neuron<IFOptions>;
using LIF = Neuron<LIFOptions>;
using PLIF = Neuron<PLIFOptions>;
using QIF = Neuron<QIFOptions>;
using EIF = Neuron<EIFOptions>;
using Izhikevich = Neuron<IzhikevichOptions>;
using CUBALIF = Neuron<CUBALIFOptions>;
using ALIF = Neuron<ALIFOptions>;
using KLIF = Neuron<KLIFOptions>;
using GLIF = Neuron<GLIFOptions>;

}  // namespace volley

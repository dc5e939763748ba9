#include "ops/neurons.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace volley::ops {

float number(double value) {
  const double most = static_cast<double>(std::numeric_limits<float>::max());
  return static_cast<float>(std::clamp(value, -most, most));
}

namespace {

float inverse(float tau) { return number(1 / static_cast<double>(tau)); }
/// 1 - 1 / tau: near tau = 1 a difference of floats would have no digits.
float kept(float tau) { return number(1 - 1 / static_cast<double>(tau)); }

template <class Options>
Firing firing_of(const Options& o) {
  // In floats, h > a is h >= the number after a.
  const float above = std::nextafter(o.v_threshold, std::numeric_limits<float>::infinity());
  return {.v_threshold = o.v_threshold,
          .fire_from = o.fires_at_threshold ? o.v_threshold : above,
          .kappa = o.v_reset.has_value() ? 0.0f : 1.0f,
          .c = o.v_reset.value_or(-o.v_threshold),
          .v_rest = o.v_reset.value_or(0.0f),
          .v_start = o.v_init.value_or(o.v_reset.value_or(0.0f)),
          .detached = o.detach_reset,
          .strict = !o.fires_at_threshold,
          .refractory = o.refractory};
}

template <class Options>
Leak leak_of(const Options& o, float tau) {
  if (o.tau_charge.has_value())
    return {Leak::Taken::by_tau_charge, inverse(tau), inverse(*o.tau_charge), kept(tau)};
  if (!o.decay_input) return {Leak::Taken::whole, inverse(tau), 1, kept(tau)};
  return {Leak::Taken::decayed, inverse(tau), inverse(tau), kept(tau)};
}

}  // namespace

LIF lower(const IFOptions& o) { return {firing_of(o), {Leak::Taken::whole, 0, 1, 1}}; }
LIF lower(const LIFOptions& o) { return {firing_of(o), leak_of(o, o.tau)}; }
PLIF lower(const PLIFOptions& o) { return {firing_of(o), leak_of(o, 1)}; }
KLIF lower(const KLIFOptions& o) { return {firing_of(o), leak_of(o, o.tau), o.scale_reset}; }
ALIF lower(const ALIFOptions& o) {
  return {firing_of(o), leak_of(o, o.tau), inverse(o.tau_a), kept(o.tau_a), o.beta};
}
GLIF lower(const GLIFOptions& o) {
  return {.firing = {.v_start = o.v_init.value_or(0),
                     .detached = o.detach_reset,
                     .strict = !o.fires_at_threshold,
                     .refractory = o.refractory}};
}
QIF lower(const QIFOptions& o) { return {firing_of(o), inverse(o.tau), o.a0, o.v_rest, o.v_c}; }
EIF lower(const EIFOptions& o) {
  return {firing_of(o), inverse(o.tau), o.v_rest, o.delta_T, inverse(o.delta_T), o.theta_rh};
}
Izhikevich lower(const IzhikevichOptions& o) {
  return {.firing = firing_of(o),
          .inv_tau = inverse(o.tau),
          .a0 = o.a0,
          .v_rest = o.v_rest,
          .v_c = o.v_c,
          .w_rest = o.w_rest,
          .inv_tau_w = inverse(o.tau_w),
          .dw_dw = kept(o.tau_w),
          .a = o.a,
          .b = o.b};
}
CUBALIF lower(const CUBALIFOptions& o) { return {firing_of(o), o.c_decay, o.v_decay}; }

Neuron lower(const AnyNeuron& options) {
  return std::visit(
      []<class Options>(const Options& o) -> Neuron {
        static_assert(decltype(lower(o))::kStates == 1 + (requires { Options::kSecondState; } ? 1 : 0),
                      "the options of a neuron name its second state: kSecondState");
        return lower(o);
      },
      options);
}

}  // namespace volley::ops

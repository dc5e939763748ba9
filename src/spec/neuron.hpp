#pragma once

#include <cmath>
#include <cstddef>
#include <optional>

#include <volley/neuron_options.hpp>

#include "spec/scalar.hpp"
#include "spec/surrogate.hpp"

namespace volley::spec {

// The time loops that every neuron shares, forward and backward: what kernels/neuron-inl.h must compute, in
// float to the bit, NaN and infinity included (docs/math/lif.md). So std::fma stands where the kernels round
// once, and 1 / tau is a number that is multiplied by. A neuron is a struct with
//
//   kStates                          what goes from step to step; z[0] is the potential
//   kParameters                      how many numbers are trained
//   parameter(k)                     the k-th of them, in the order of the options' parameters()
//   start(z)                         z before the first step
//   charge(z, x)                     z after charge, (v, ...) -> (h, ...)
//   above(z)                         how far h is above the threshold: what the step is taken of
//   reset(z, s, r)                   z after the step; r is the spike that a detached reset sees, in value s
//   hold(z, x)                       z after a step of a refractory period, (v, ...) -> (v, ...)
//
// and the adjoints, from the end of a step to its beginning. dz is the gradient of z, dp of the parameters:
//
//   fire_adjoint(dz, dp, z, s, g, ds)             from after the step to after charge; g is the surrogate's
//   derivative charge_adjoint(dz, dp, before, z, x) -> dx    from after charge to before the step
//   hold_adjoint(dz) -> dx                        of hold

/// How the step is taken. `smooth` is the surrogate's own step, for gradient checks.
enum class Fire { hard, smooth };

/// (L1), (L2), (L14): h of v and x.
template <class Real>
struct LeakyCharge {
  bool decay_input = true;  // (L1); otherwise x is multiplied by gain
  Real gain = 1;

  LeakyCharge() = default;
  template <class Options>
  explicit LeakyCharge(const Options& o) : decay_input(o.decay_input && !o.tau_charge.has_value()) {
    if (o.tau_charge.has_value()) gain = constant<Real>(1 / static_cast<double>(*o.tau_charge));
  }

  Real operator()(Real v, Real x, Real rest, Real inv_tau) const {
    const Real leak = v - rest;
    return decay_input ? std::fma(x - leak, inv_tau, v) : std::fma(x, gain, std::fma(-leak, inv_tau, v));
  }
  Real dh_dx(Real inv_tau) const { return decay_input ? inv_tau : gain; }  // (L9)
};

/// What most neurons do at the threshold: equations (L3) to (L8) of docs/math/lif.md.
template <class Real>
struct FiresAtThreshold {
  static constexpr std::size_t kStates = 1;
  static constexpr std::size_t kParameters = 0;

  Real v_threshold = 1;
  std::optional<Real> v_reset = Real(0);
  std::optional<Real> v_init;
  bool detach_reset = false;
  bool fires_at_threshold = true;

  FiresAtThreshold() = default;
  template <class Options>
  explicit FiresAtThreshold(const Options& o)
      : v_threshold(static_cast<Real>(o.v_threshold)),
        detach_reset(o.detach_reset),
        fires_at_threshold(o.fires_at_threshold) {
    v_reset.reset();
    if (o.v_reset.has_value()) v_reset = static_cast<Real>(*o.v_reset);
    if (o.v_init.has_value()) v_init = static_cast<Real>(*o.v_init);
  }

  Real& parameter(std::size_t) { return v_threshold; }  // never asked for: there is none

  /// The potential that a leak pulls to, and at the start of a pass unless the options say another.
  Real rest() const { return v_reset.value_or(Real(0)); }
  void start(Real* z) const { z[0] = v_init.value_or(rest()); }
  Real above(const Real* z) const { return z[0] - v_threshold; }
  void reset(Real* z, Real, Real r) const {
    z[0] = v_reset.has_value() ? (1 - r) * z[0] + r * *v_reset : z[0] - r * v_threshold;  // (L4), (L5)
  }

  /// How v changes with the spike.
  Real by_spike(const Real* z) const { return v_reset.has_value() ? *v_reset - z[0] : -v_threshold; }
  void fire_adjoint(Real* dz, Real*, const Real* z, Real s, Real g, Real ds) const {
    Real dv_dh = v_reset.has_value() ? 1 - s : Real(1);
    if (!detach_reset) dv_dh += by_spike(z) * g;  // (L7)
    dz[0] = std::fma(dz[0], dv_dh, ds * g);       // (L8)
  }

  void hold(Real*, Real) const {}
  Real hold_adjoint(Real*) const { return 0; }
};

/// Whether the neuron is in a refractory period, z being its state before a step or after charge.
template <class Real, class Neuron>
bool is_held(const Neuron& neuron, const Real* z) {
  if constexpr (requires { neuron.held(z); }) return neuron.held(z);
  return false;
}

/// (L3), (L16)
template <class Real, class Neuron>
Real spike_of(const Neuron& neuron, const Real* z, const Surrogate& surrogate, Fire fire) {
  if (is_held(neuron, z)) return 0;
  const Real u = neuron.above(z);
  if (fire == Fire::smooth) return smooth_step(surrogate, u);
  return neuron.fires_at_threshold ? Real(u >= 0) : Real(u > 0);
}

/// The same neuron for every feature.
template <class Neuron>
auto everywhere(const Neuron& neuron) {
  return [neuron](std::size_t) { return neuron; };
}

/// s (T, F) and z after charge (T, F, kStates) from x (T, F), one sample. neuron(f) is the neuron of feature
/// f. With `reset_spikes` (T, F), a detached reset sees those: what detach_reset means to a finite
/// difference.
template <class Real, class NeuronOf>
void neuron_forward(Real* s, Real* z, const Real* x, const NeuronOf& neuron, const Surrogate& surrogate,
                    Fire fire, std::size_t T, std::size_t F, const Real* reset_spikes = nullptr) {
  for (std::size_t f = 0; f < F; ++f) {
    const auto n = neuron(f);
    constexpr std::size_t kStates = decltype(n)::kStates;
    Real now[kStates];
    n.start(now);
    for (std::size_t t = 0; t < T; ++t) {
      const std::size_t i = t * F + f;
      n.charge(now, x[i]);
      for (std::size_t k = 0; k < kStates; ++k) z[i * kStates + k] = now[k];
      s[i] = spike_of(n, now, surrogate, fire);
      n.reset(now, s[i], reset_spikes != nullptr ? reset_spikes[i] : s[i]);
    }
  }
}

/// One step from its end to its beginning: dx from ds, what comes to the spike s by what follows, and dz,
/// which is brought from after the step to before it. z is after charge, `before` before it.
template <class Real, class Neuron>
Real step_adjoint(const Neuron& n, Real* dz, Real* dp, Real ds, Real s, const Real* z, const Real* before,
                  Real x, const Surrogate& surrogate) {
  n.fire_adjoint(dz, dp, z, s, step_derivative(surrogate, n.above(z)), ds);
  return n.charge_adjoint(dz, dp, before, z, x);
}

/// dx (T, F), and dp (F, kParameters), the sums over t, from ds (T, F), with s and z as forward left them.
template <class Real, class NeuronOf>
void neuron_backward(Real* dx, Real* dp, const Real* ds, const Real* s, const Real* z, const Real* x,
                     const NeuronOf& neuron, const Surrogate& surrogate, std::size_t T, std::size_t F) {
  for (std::size_t f = 0; f < F; ++f) {
    const auto n = neuron(f);
    constexpr std::size_t kStates = decltype(n)::kStates;
    constexpr std::size_t kParameters = decltype(n)::kParameters;
    Real dz[kStates] = {};
    Real* dp_f = kParameters > 0 ? dp + f * kParameters : nullptr;
    for (std::size_t k = 0; k < kParameters; ++k) dp_f[k] = 0;
    for (std::size_t t = T; t-- > 0;) {
      const std::size_t i = t * F + f;
      Real before[kStates];
      n.start(before);
      if (t > 0) {
        for (std::size_t k = 0; k < kStates; ++k) before[k] = z[(i - F) * kStates + k];
        n.reset(before, s[i - F], s[i - F]);
      }
      dx[i] = step_adjoint(n, dz, dp_f, ds[i], s[i], z + i * kStates, before, x[i], surrogate);
    }
  }
}

}  // namespace volley::spec

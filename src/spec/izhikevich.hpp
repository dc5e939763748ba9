#pragma once

#include "spec/neuron.hpp"

namespace volley::spec {

/// What kernels/izhikevich.cpp must compute; z is (v, w). Equation numbers are those of
/// docs/math/izhikevich.md.
template <class Real>
struct IzhikevichNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kStates = 2;

  Real tau = 2;
  Real v_c = Real(0.8);
  Real a0 = 1;
  Real v_rest = Real(-0.1);
  Real w_rest = 0;
  Real tau_w = 2;
  Real a = 0;
  Real b = 0;

  IzhikevichNeuron() = default;
  explicit IzhikevichNeuron(const IzhikevichOptions& o)
      : FiresAtThreshold<Real>(o),
        tau(static_cast<Real>(o.tau)),
        v_c(static_cast<Real>(o.v_c)),
        a0(static_cast<Real>(o.a0)),
        v_rest(static_cast<Real>(o.v_rest)),
        w_rest(static_cast<Real>(o.w_rest)),
        tau_w(static_cast<Real>(o.tau_w)),
        a(static_cast<Real>(o.a)),
        b(static_cast<Real>(o.b)) {}

  void start(Real* z) const {
    FiresAtThreshold<Real>::start(z);
    z[1] = w_rest;
  }
  void charge(Real* z, Real x) const {
    const Real v = z[0];
    z[0] = v + (x + a0 * (v - v_rest) * (v - v_c) - z[1]) * (1 / tau);  // (I1)
    z[1] += (a * (z[0] - v_rest) - z[1]) * (1 / tau_w);                 // (I2)
  }
  /// (I3): a detached reset does not detach b s.
  void reset(Real* z, Real s, Real r) const {
    FiresAtThreshold<Real>::reset(z, s, r);
    z[1] += b * s;
  }
  void fire_adjoint(Real* dz, Real* dp, const Real* z, Real s, Real g, Real ds) const {
    FiresAtThreshold<Real>::fire_adjoint(dz, dp, z, s, g, ds + dz[1] * b);  // (I4)
  }
  Real charge_adjoint(Real* dz, Real*, const Real* before, const Real*, Real) const {
    const Real dh = dz[0] + dz[1] * (a * (1 / tau_w));
    const Real dx = dh * (1 / tau);
    dz[0] = dh + dx * (a0 * (2 * before[0] - v_rest - v_c));  // (I5)
    dz[1] = dz[1] * leak_factor(tau_w) - dx;                  // (I6)
    return dx;
  }

  /// (L19): the recovery follows the potential that is held.
  void hold(Real* z, Real) const { z[1] += (a * (z[0] - v_rest) - z[1]) * (1 / tau_w); }
  Real hold_adjoint(Real* dz) const {
    dz[0] += dz[1] * (a * (1 / tau_w));
    dz[1] *= leak_factor(tau_w);
    return 0;
  }
};

template <class Real>
IzhikevichNeuron<Real> neuron_of(const IzhikevichOptions& o) {
  return IzhikevichNeuron<Real>(o);
}

}  // namespace volley::spec

#pragma once

#include "spec/neuron.hpp"

namespace volley::spec {

/// What kernels/alif.cpp must compute; z is (v, a). Equation numbers are those of docs/math/alif.md.
template <class Real>
struct ALIFNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kStates = 2;

  Real tau = 2;
  Real tau_a = 100;
  Real beta = Real(1.8);
  LeakyCharge<Real> charged;

  ALIFNeuron() = default;
  explicit ALIFNeuron(const ALIFOptions& o)
      : FiresAtThreshold<Real>(o),
        tau(static_cast<Real>(o.tau)),
        tau_a(static_cast<Real>(o.tau_a)),
        beta(static_cast<Real>(o.beta)),
        charged(o) {}

  Real theta(const Real* z) const { return this->v_threshold + beta * z[1]; }  // (D1)

  void start(Real* z) const {
    FiresAtThreshold<Real>::start(z);
    z[1] = 0;
  }
  void charge(Real* z, Real x) const { z[0] = charged(z[0], x, this->rest(), 1 / tau); }
  Real above(const Real* z) const { return z[0] - theta(z); }
  void reset(Real* z, Real s, Real r) const {
    z[0] = this->v_reset.has_value() ? (1 - r) * z[0] + r * *this->v_reset : z[0] - r * theta(z);  // (D2)
    z[1] += (s - z[1]) * (1 / tau_a);                                                              // (D3)
  }

  void fire_adjoint(Real* dz, Real*, const Real* z, Real s, Real g, Real ds) const {
    const bool hard = this->v_reset.has_value();
    const Real by_spike = hard ? *this->v_reset - z[0] : -theta(z);
    const Real by_reset = this->detach_reset ? Real(0) : dz[0] * by_spike;
    const Real du = g * (ds + by_reset + dz[1] * (1 / tau_a));  // (D4)
    const Real by_theta = hard ? Real(0) : beta * (s * dz[0]);
    dz[0] = dz[0] * (hard ? 1 - s : Real(1)) + du;              // (D5)
    dz[1] = dz[1] * leak_factor(tau_a) - by_theta - beta * du;  // (D6)
  }
  Real charge_adjoint(Real* dz, Real*, const Real*, const Real*, Real) const {
    const Real dx = dz[0] * charged.dh_dx(1 / tau);
    dz[0] *= leak_factor(tau);
    return dx;
  }

  /// (L18): the adaptation goes on as (D3) with s = 0.
  void hold(Real* z, Real) const { z[1] -= z[1] * (1 / tau_a); }
  Real hold_adjoint(Real* dz) const {
    dz[1] *= leak_factor(tau_a);
    return 0;
  }
};

template <class Real>
ALIFNeuron<Real> neuron_of(const ALIFOptions& o) {
  return ALIFNeuron<Real>(o);
}

}  // namespace volley::spec

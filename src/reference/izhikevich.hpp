#pragma once

#include "reference/neuron.hpp"

namespace volley::reference {

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
    z[0] = this->rest();
    z[1] = w_rest;
  }
  void charge(Real* z, Real x) const {
    const Real v = z[0];
    z[0] = v + (x + a0 * (v - v_rest) * (v - v_c) - z[1]) / tau;  // (I1)
    z[1] += (a * (z[0] - v_rest) - z[1]) / tau_w;                 // (I2)
  }
  /// (I3): s v_reset and b s see the spike even where the reset is detached, as in SpikingJelly.
  void reset(Real* z, Real s, Real r) const {
    z[0] = this->v_reset.has_value() ? (1 - r) * z[0] + s * *this->v_reset : z[0] - r * this->v_threshold;
    z[1] += b * s;
  }
  /// (I4)
  Real reset_adjoint(Real* dz, Real*, const Real* z, Real s) const {
    const bool hard = this->v_reset.has_value();
    Real ds = b * dz[1] + (hard ? *this->v_reset * dz[0] : Real(0));
    if (!this->detach_reset) ds -= (hard ? z[0] : this->v_threshold) * dz[0];
    if (hard) dz[0] *= 1 - s;
    return ds;
  }
  Real charge_adjoint(Real* dz, Real*, const Real* before, const Real*, Real) const {
    const Real dh = dz[0] + dz[1] * a / tau_w;
    const Real dx = dh / tau;
    dz[0] = dh + dx * a0 * (2 * before[0] - v_rest - v_c);  // (I5)
    dz[1] = dz[1] * (1 - 1 / tau_w) - dx;                   // (I6)
    return dx;
  }
};

template <class Real>
IzhikevichNeuron<Real> neuron_of(const IzhikevichOptions& o) {
  return IzhikevichNeuron<Real>(o);
}

}  // namespace volley::reference

#pragma once

#include "spec/neuron.hpp"

namespace volley::spec {

// Neurons whose charge is not linear in v: what kernels/qif.cpp must compute. Equation numbers are those of
// docs/math/qif.md.

template <class Real>
struct QIFNeuron : FiresAtThreshold<Real> {
  Real tau = 2;
  Real v_c = Real(0.8);
  Real a0 = 1;
  Real v_rest = 0;

  QIFNeuron() = default;
  explicit QIFNeuron(const QIFOptions& o)
      : FiresAtThreshold<Real>(o),
        tau(static_cast<Real>(o.tau)),
        v_c(static_cast<Real>(o.v_c)),
        a0(static_cast<Real>(o.a0)),
        v_rest(static_cast<Real>(o.v_rest)) {}

  /// (Q1)
  void charge(Real* z, Real x) const { z[0] += (x + a0 * (z[0] - v_rest) * (z[0] - v_c)) * (1 / tau); }
  /// (Q2)
  Real charge_adjoint(Real* dz, Real*, const Real* before, const Real*, Real) const {
    const Real dx = dz[0] * (1 / tau);
    dz[0] += dx * (a0 * (2 * before[0] - v_rest - v_c));
    return dx;
  }
};

template <class Real>
struct EIFNeuron : FiresAtThreshold<Real> {
  Real tau = 2;
  Real delta_T = 1;
  Real theta_rh = Real(0.8);
  Real v_rest = 0;

  EIFNeuron() = default;
  explicit EIFNeuron(const EIFOptions& o)
      : FiresAtThreshold<Real>(o),
        tau(static_cast<Real>(o.tau)),
        delta_T(static_cast<Real>(o.delta_T)),
        theta_rh(static_cast<Real>(o.theta_rh)),
        v_rest(static_cast<Real>(o.v_rest)) {}

  Real rise(Real v) const {
    return exp_of((v - theta_rh) * constant<Real>(1 / static_cast<double>(delta_T)));
  }
  /// (Q3)
  void charge(Real* z, Real x) const { z[0] += (x + v_rest - z[0] + delta_T * rise(z[0])) * (1 / tau); }
  /// (Q4)
  Real charge_adjoint(Real* dz, Real*, const Real* before, const Real*, Real) const {
    const Real dx = dz[0] * (1 / tau);
    dz[0] += dx * (rise(before[0]) - 1);
    return dx;
  }
};

template <class Real>
QIFNeuron<Real> neuron_of(const QIFOptions& o) {
  return QIFNeuron<Real>(o);
}
template <class Real>
EIFNeuron<Real> neuron_of(const EIFOptions& o) {
  return EIFNeuron<Real>(o);
}

}  // namespace volley::spec

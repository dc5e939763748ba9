#pragma once

#include <cmath>

#include "spec/neuron.hpp"

namespace volley::spec {

// IF, LIF and PLIF: what kernels/lif.cpp must compute. Equation numbers are those of docs/math/lif.md.

/// h = v + x
template <class Real>
struct IFNeuron : FiresAtThreshold<Real> {
  IFNeuron() = default;
  explicit IFNeuron(const IFOptions& o) : FiresAtThreshold<Real>(o) {}

  void charge(Real* z, Real x) const { z[0] += x; }
  Real charge_adjoint(Real* dz, Real*, const Real*, const Real*, Real) const { return dz[0]; }
};

template <class Real>
struct LIFNeuron : FiresAtThreshold<Real> {
  Real tau = 2;
  LeakyCharge<Real> charged;

  LIFNeuron() = default;
  explicit LIFNeuron(const LIFOptions& o)
      : FiresAtThreshold<Real>(o), tau(static_cast<Real>(o.tau)), charged(o) {}

  void charge(Real* z, Real x) const { z[0] = charged(z[0], x, this->rest(), 1 / tau); }
  Real charge_adjoint(Real* dz, Real*, const Real*, const Real*, Real) const {
    const Real dx = dz[0] * charged.dh_dx(1 / tau);  // (L9)
    dz[0] *= leak_factor(tau);                       // (L10)
    return dx;
  }
};

/// Its parameters are w and the threshold.
template <class Real>
struct PLIFNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kParameters = 2;

  Real w = 0;
  LeakyCharge<Real> charged;

  PLIFNeuron() = default;
  explicit PLIFNeuron(const PLIFOptions& o)
      : FiresAtThreshold<Real>(o), w(static_cast<Real>(o.parameters()[0].initial)), charged(o) {}

  Real& parameter(std::size_t k) { return k == 0 ? w : this->v_threshold; }

  SigmoidAt<Real> inv_tau() const { return SigmoidAt<Real>(w); }  // (L11)

  void charge(Real* z, Real x) const { z[0] = charged(z[0], x, this->rest(), inv_tau().value); }
  Real charge_adjoint(Real* dz, Real* dp, const Real* before, const Real*, Real x) const {
    const Real leak = before[0] - this->rest();
    const Real dh_dinv_tau = charged.decay_input ? x - leak : -leak;
    dp[0] = std::fma(dz[0] * dh_dinv_tau, inv_tau().slope, dp[0]);  // (L12)
    const Real dx = dz[0] * charged.dh_dx(inv_tau().value);
    dz[0] *= inv_tau().complement;
    return dx;
  }
  void fire_adjoint(Real* dz, Real* dp, const Real* z, Real s, Real g, Real ds) const {
    const Real by_reset = this->detach_reset ? Real(0) : dz[0] * this->by_spike(z);
    dp[1] = std::fma(-(ds + by_reset), g, dp[1]);        // (L13), at the step
    if (!this->v_reset.has_value()) dp[1] -= s * dz[0];  // and by itself
    FiresAtThreshold<Real>::fire_adjoint(dz, dp, z, s, g, ds);
  }
};

template <class Real>
IFNeuron<Real> neuron_of(const IFOptions& o) {
  return IFNeuron<Real>(o);
}
template <class Real>
LIFNeuron<Real> neuron_of(const LIFOptions& o) {
  return LIFNeuron<Real>(o);
}
template <class Real>
PLIFNeuron<Real> neuron_of(const PLIFOptions& o) {
  return PLIFNeuron<Real>(o);
}

}  // namespace volley::spec

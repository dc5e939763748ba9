#pragma once

#include "spec/neuron.hpp"

namespace volley::spec {

/// What kernels/klif.cpp must compute; z is the scaled potential after charge, v before. Equation numbers are
/// those of docs/math/klif.md.
template <class Real>
struct KLIFNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kParameters = 1;

  Real k = 1;
  Real tau = 2;
  LeakyCharge<Real> leaky;
  bool scale_reset = false;

  KLIFNeuron() = default;
  explicit KLIFNeuron(const KLIFOptions& o)
      : FiresAtThreshold<Real>(o), tau(static_cast<Real>(o.tau)), leaky(o), scale_reset(o.scale_reset) {}

  Real& parameter(std::size_t) { return k; }

  /// What the reset multiplies the potential by.
  Real back() const { return scale_reset ? 1 / k : Real(1); }
  /// (K1)
  Real charged(Real v, Real x) const { return leaky(v, x, this->rest(), 1 / tau); }

  /// (K2): NaN is not below 0.
  void charge(Real* z, Real x) const {
    const Real scaled = k * charged(z[0], x);
    z[0] = scaled < 0 ? Real(0) : scaled;
  }

  /// (K3)
  void reset(Real* z, Real, Real r) const {
    z[0] = this->v_reset.has_value() ? (1 - r) * z[0] * back() + r * *this->v_reset
                                     : (z[0] - r * this->v_threshold) * back();
  }
  void fire_adjoint(Real* dz, Real* dp, const Real* z, Real s, Real g, Real ds) const {
    const bool hard = this->v_reset.has_value();
    const Real dv = dz[0];
    const Real by_spike = hard ? *this->v_reset - z[0] * back() : -this->v_threshold * back();
    const Real by_reset = this->detach_reset ? Real(0) : dv * by_spike;  // (K4)
    const Real kept = hard ? (1 - s) * z[0] : z[0] - s * this->v_threshold;
    if (scale_reset) dp[0] -= dv * kept * (back() * back());  // (K5)
    dz[0] = dv * (hard ? 1 - s : Real(1)) * back() + g * (ds + by_reset);
  }
  Real charge_adjoint(Real* dz, Real* dp, const Real* before, const Real* z, Real x) const {
    const Real open = z[0] <= 0 ? Real(0) : dz[0];
    dp[0] += open * charged(before[0], x);  // (K6)
    const Real dh = open * k;               // (K7)
    dz[0] = dh * leak_factor(tau);
    return dh * leaky.dh_dx(1 / tau);
  }
};

template <class Real>
KLIFNeuron<Real> neuron_of(const KLIFOptions& o) {
  return KLIFNeuron<Real>(o);
}

}  // namespace volley::spec

#pragma once

#include "reference/neuron.hpp"

namespace volley::reference {

/// What kernels/glif.cpp must compute. Equation numbers are those of docs/math/glif.md. Its parameters are
/// raw: what is used of each is its sigmoid.
template <class Real>
struct GLIFNeuron {
  static constexpr std::size_t kStates = 1;
  static constexpr std::size_t kParameters = 8;

  Real alpha, beta, gamma, tau, v_threshold, linear_decay, v_subreset,
      conduct;  // in the order of the options
  bool detach_reset = false;
  bool fires_at_threshold = true;

  explicit GLIFNeuron(const GLIFOptions& o)
      : detach_reset(o.detach_reset), fires_at_threshold(o.fires_at_threshold) {
    std::size_t k = 0;
    for (const NeuronParameter& p : o.parameters()) parameter(k++) = static_cast<Real>(p.initial);
  }

  Real& parameter(std::size_t k) {
    Real* const all[] = {&alpha, &beta, &gamma, &tau, &v_threshold, &linear_decay, &v_subreset, &conduct};
    return *all[k];  // cppcheck-suppress returnReference  // a member
  }

  static Real of(Real raw) { return smooth_step(Sigmoid{1.0f}, raw); }  // (T1)
  static Real slope(Real raw) { return of(raw) * (1 - of(raw)); }
  Real leak() const { return 1 - of(alpha) * (1 - of(tau)); }     // (T2)
  Real gain() const { return 1 - of(beta) * (1 - of(conduct)); }  // (T3)
  Real subtracted() const { return (1 - of(gamma)) * of(v_subreset); }

  void start(Real* z) const { z[0] = 0; }
  void charge(Real* z, Real x) const { z[0] += gain() * x - (1 - of(alpha)) * of(linear_decay); }  // (T4)
  Real above(const Real* z) const { return z[0] - of(v_threshold); }
  void reset(Real* z, Real, Real r) const {  // (T5)
    z[0] = leak() * z[0] * (1 - of(gamma) * r) - subtracted() * r;
  }

  /// (T6), (T8)
  Real reset_adjoint(Real* dz, Real* dp, const Real* z, Real s) const {
    const Real dv = dz[0];
    const Real dleak = dv * z[0] * (1 - of(gamma) * s);
    dp[0] -= dleak * (1 - of(tau)) * slope(alpha);
    dp[3] += dleak * of(alpha) * slope(tau);
    dp[2] += dv * s * (of(v_subreset) - leak() * z[0]) * slope(gamma);
    dp[6] -= dv * s * (1 - of(gamma)) * slope(v_subreset);
    dz[0] = dv * leak() * (1 - of(gamma) * s);
    return detach_reset ? Real(0) : -dv * (of(gamma) * leak() * z[0] + subtracted());
  }
  /// (T7)
  void above_adjoint(Real* dz, Real* dp, Real du) const {
    dz[0] += du;
    dp[4] -= du * slope(v_threshold);
  }
  /// (T9)
  Real charge_adjoint(Real* dz, Real* dp, const Real*, const Real*, Real x) const {
    const Real dh = dz[0];
    dp[0] += dh * of(linear_decay) * slope(alpha);
    dp[1] -= dh * x * (1 - of(conduct)) * slope(beta);
    dp[5] -= dh * (1 - of(alpha)) * slope(linear_decay);
    dp[7] += dh * x * of(beta) * slope(conduct);
    return dh * gain();
  }
};

template <class Real>
GLIFNeuron<Real> neuron_of(const GLIFOptions& o) {
  return GLIFNeuron<Real>(o);
}

}  // namespace volley::reference

#pragma once

#include "spec/neuron.hpp"

namespace volley::spec {

/// What kernels/glif.cpp must compute. Equation numbers are those of docs/math/glif.md. Its parameters are
/// raw: what is used of each is its sigmoid.
template <class Real>
struct GLIFNeuron {
  static constexpr std::size_t kStates = 1;
  static constexpr std::size_t kParameters = 8;

  Real alpha, beta, gamma, tau, v_threshold, linear_decay, v_subreset,
      conduct;  // in the order of the options
  Real v_init = 0;
  bool detach_reset = false;
  bool fires_at_threshold = true;

  explicit GLIFNeuron(const GLIFOptions& o)
      : v_init(static_cast<Real>(o.v_init.value_or(0))),
        detach_reset(o.detach_reset),
        fires_at_threshold(o.fires_at_threshold) {
    std::size_t k = 0;
    for (const NeuronParameter& p : o.parameters()) parameter(k++) = static_cast<Real>(p.initial);
  }

  Real& parameter(std::size_t k) {
    Real* const all[] = {&alpha, &beta, &gamma, &tau, &v_threshold, &linear_decay, &v_subreset, &conduct};
    return *all[k];  // cppcheck-suppress returnReference  // a member
  }

  using Of = SigmoidAt<Real>;                                                // (T1)
  Real leak() const { return 1 - Of(alpha).value * Of(tau).complement; }     // (T2)
  Real gain() const { return 1 - Of(beta).value * Of(conduct).complement; }  // (T3)
  Real subtracted() const { return Of(gamma).complement * Of(v_subreset).value; }
  /// 1 - gamma s
  Real kept(Real s) const { return 1 - s + s * Of(gamma).complement; }

  void start(Real* z) const { z[0] = v_init; }
  void charge(Real* z, Real x) const {
    z[0] = z[0] + gain() * x - Of(alpha).complement * Of(linear_decay).value;  // (T4)
  }
  Real above(const Real* z) const { return z[0] - Of(v_threshold).value; }
  void reset(Real* z, Real, Real r) const { z[0] = leak() * z[0] * kept(r) - r * subtracted(); }  // (T5)

  void fire_adjoint(Real* dz, Real* dp, const Real* z, Real s, Real g, Real ds) const {
    const Real dv = dz[0], leaked = leak() * z[0];
    const Real by_reset = detach_reset ? Real(0) : dv * (Of(gamma).value * leaked + subtracted());
    const Real du = g * (ds - by_reset);     // (T6)
    const Real dleak = dv * kept(s) * z[0];  // (T8)
    dp[0] -= dleak * Of(tau).complement * Of(alpha).slope;
    dp[2] += s * dv * (Of(v_subreset).value - leaked) * Of(gamma).slope;
    dp[3] += dleak * Of(alpha).value * Of(tau).slope;
    dp[4] -= du * Of(v_threshold).slope;  // (T7)
    dp[6] -= s * dv * Of(gamma).complement * Of(v_subreset).slope;
    dz[0] = dv * kept(s) * leak() + du;
  }
  /// (T9)
  Real charge_adjoint(Real* dz, Real* dp, const Real*, const Real*, Real x) const {
    const Real dh = dz[0];
    dp[0] += dh * Of(linear_decay).value * Of(alpha).slope;
    dp[1] -= dh * x * Of(conduct).complement * Of(beta).slope;
    dp[5] -= dh * Of(alpha).complement * Of(linear_decay).slope;
    dp[7] += dh * x * Of(beta).value * Of(conduct).slope;
    return dh * gain();
  }

  void hold(Real*, Real) const {}
  Real hold_adjoint(Real*) const { return 0; }
};

template <class Real>
GLIFNeuron<Real> neuron_of(const GLIFOptions& o) {
  return GLIFNeuron<Real>(o);
}

}  // namespace volley::spec

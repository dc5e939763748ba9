#pragma once

#include <cmath>

#include "reference/neuron.hpp"

namespace volley::reference {

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
  bool decay_input = true;

  LIFNeuron() = default;
  explicit LIFNeuron(const LIFOptions& o)
      : FiresAtThreshold<Real>(o), tau(static_cast<Real>(o.tau)), decay_input(o.decay_input) {}

  /// (L1), (L2)
  void charge(Real* z, Real x) const {
    const Real leak = z[0] - this->rest();
    z[0] = decay_input ? z[0] + (x - leak) / tau : z[0] - leak / tau + x;
  }
  Real charge_adjoint(Real* dz, Real*, const Real*, const Real*, Real) const {
    const Real dx = decay_input ? dz[0] / tau : dz[0];  // (L9)
    dz[0] *= 1 - 1 / tau;                               // (L10)
    return dx;
  }
};

/// Its parameters are w and the threshold.
template <class Real>
struct PLIFNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kParameters = 2;

  Real w = 0;
  bool decay_input = true;

  PLIFNeuron() = default;
  explicit PLIFNeuron(const PLIFOptions& o)
      : FiresAtThreshold<Real>(o),
        w(-std::log(static_cast<Real>(o.init_tau) - 1)),
        decay_input(o.decay_input) {}

  Real& parameter(std::size_t k) { return k == 0 ? w : this->v_threshold; }

  Real inv_tau() const { return smooth_step(Sigmoid{1.0f}, w); }  // (L11)

  void charge(Real* z, Real x) const {
    const Real leak = z[0] - this->rest();
    z[0] = decay_input ? z[0] + (x - leak) * inv_tau() : z[0] - leak * inv_tau() + x;
  }
  Real charge_adjoint(Real* dz, Real* dp, const Real* before, const Real*, Real x) const {
    const Real leak = before[0] - this->rest();
    dp[0] += dz[0] * ((decay_input ? x : Real(0)) - leak) * inv_tau() * (1 - inv_tau());  // (L12)
    const Real dx = decay_input ? dz[0] * inv_tau() : dz[0];
    dz[0] *= 1 - inv_tau();
    return dx;
  }
  Real reset_adjoint(Real* dz, Real* dp, const Real* z, Real s) const {
    if (!this->v_reset.has_value()) dp[1] -= s * dz[0];  // (L13), by itself
    return FiresAtThreshold<Real>::reset_adjoint(dz, dp, z, s);
  }
  void above_adjoint(Real* dz, Real* dp, Real du) const {
    dz[0] += du;
    dp[1] -= du;  // (L13), at the step
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

}  // namespace volley::reference

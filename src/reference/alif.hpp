#pragma once

#include "reference/neuron.hpp"

namespace volley::reference {

/// What kernels/alif.cpp must compute; z is (v, a). Equation numbers are those of docs/math/alif.md.
template <class Real>
struct ALIFNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kStates = 2;

  Real tau = 2;
  Real tau_a = 100;
  Real beta = Real(1.8);
  bool decay_input = true;

  ALIFNeuron() = default;
  explicit ALIFNeuron(const ALIFOptions& o)
      : FiresAtThreshold<Real>(o),
        tau(static_cast<Real>(o.tau)),
        tau_a(static_cast<Real>(o.tau_a)),
        beta(static_cast<Real>(o.beta)),
        decay_input(o.decay_input) {}

  Real theta(const Real* z) const { return this->v_threshold + beta * z[1]; }  // (D1)

  void start(Real* z) const {
    z[0] = this->rest();
    z[1] = 0;
  }
  void charge(Real* z, Real x) const { z[0] += (this->rest() - z[0]) / tau + (decay_input ? x / tau : x); }
  Real above(const Real* z) const { return z[0] - theta(z); }
  void reset(Real* z, Real s, Real r) const {
    const Real fired = this->v_reset.has_value() ? *this->v_reset : z[0] - theta(z);
    z[0] = (1 - r) * z[0] + r * fired;  // (D2)
    z[1] += (s - z[1]) / tau_a;         // (D3)
  }

  Real reset_adjoint(Real* dz, Real*, const Real* z, Real s) const {
    const bool hard = this->v_reset.has_value();
    Real ds = dz[1] / tau_a;  // (D4)
    if (!this->detach_reset) ds += dz[0] * (hard ? *this->v_reset - z[0] : -theta(z));
    dz[1] *= 1 - 1 / tau_a;
    if (hard) {
      dz[0] *= 1 - s;
    } else {
      dz[1] -= beta * s * dz[0];
    }
    return ds;
  }
  /// (D5), (D6)
  void above_adjoint(Real* dz, Real*, Real du) const {
    dz[0] += du;
    dz[1] -= beta * du;
  }
  Real charge_adjoint(Real* dz, Real*, const Real*, const Real*, Real) const {
    const Real dx = decay_input ? dz[0] / tau : dz[0];
    dz[0] *= 1 - 1 / tau;
    return dx;
  }
};

template <class Real>
ALIFNeuron<Real> neuron_of(const ALIFOptions& o) {
  return ALIFNeuron<Real>(o);
}

}  // namespace volley::reference

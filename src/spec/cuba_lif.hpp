#pragma once

#include "spec/neuron.hpp"

namespace volley::spec {

/// What kernels/cuba_lif.cpp must compute; z is (v, c). Equation numbers are those of docs/math/cuba_lif.md.
template <class Real>
struct CUBALIFNeuron : FiresAtThreshold<Real> {
  static constexpr std::size_t kStates = 2;

  Real c_decay = Real(0.5);
  Real v_decay = Real(0.75);

  CUBALIFNeuron() = default;
  explicit CUBALIFNeuron(const CUBALIFOptions& o)
      : FiresAtThreshold<Real>(o),
        c_decay(static_cast<Real>(o.c_decay)),
        v_decay(static_cast<Real>(o.v_decay)) {}

  void start(Real* z) const {
    FiresAtThreshold<Real>::start(z);
    z[1] = 0;
  }
  void charge(Real* z, Real x) const {
    z[1] = z[1] * c_decay + x;     // (U1)
    z[0] = z[0] * v_decay + z[1];  // (U2)
  }
  Real charge_adjoint(Real* dz, Real*, const Real*, const Real*, Real) const {
    const Real dx = dz[1] + dz[0];  // (U3)
    dz[0] *= v_decay;               // (U4)
    dz[1] = dx * c_decay;           // (U5)
    return dx;
  }

  /// (L17): the synaptic current goes on, (U1).
  void hold(Real* z, Real x) const { z[1] = z[1] * c_decay + x; }
  Real hold_adjoint(Real* dz) const {
    const Real dx = dz[1];
    dz[1] = dx * c_decay;
    return dx;
  }
};

template <class Real>
CUBALIFNeuron<Real> neuron_of(const CUBALIFOptions& o) {
  return CUBALIFNeuron<Real>(o);
}

}  // namespace volley::spec

#pragma once

#include <algorithm>
#include <cstddef>

#include <volley/neuron_options.hpp>

#include "spec/neuron.hpp"

namespace volley::spec {

/// A Neuron with a refractory period: what kernels/refractory-inl.h must compute. Its last state is the
/// number of steps that it is still held for. Equation numbers are those of docs/math/refractory.md.
template <class Neuron>
struct Refractory : Neuron {
  using Real = decltype(Neuron::v_threshold);
  static constexpr std::size_t kCount = Neuron::kStates;
  static constexpr std::size_t kStates = kCount + 1;

  Real steps;

  Refractory(const Neuron& neuron, std::size_t refractory)
      : Neuron(neuron), steps(static_cast<Real>(refractory)) {}

  bool held(const Real* z) const { return z[kCount] > 0; }

  void start(Real* z) const {
    Neuron::start(z);
    z[kCount] = 0;
  }
  void charge(Real* z, Real x) const { held(z) ? Neuron::hold(z, x) : Neuron::charge(z, x); }  // (L15)
  /// The count is a function of the hard spike, whatever s is.
  void reset(Real* z, Real s, Real r) const {
    const bool fired = spike_of(*this, z, {}, Fire::hard) != 0;
    if (!held(z)) Neuron::reset(z, s, r);
    z[kCount] = fired ? steps : std::max(z[kCount] - 1, Real(0));  // (L16)
  }

  /// (L20), (L21)
  void fire_adjoint(Real* dz, Real* dp, const Real* z, Real s, Real g, Real ds) const {
    if (!held(z)) Neuron::fire_adjoint(dz, dp, z, s, g, ds);
  }
  Real charge_adjoint(Real* dz, Real* dp, const Real* before, const Real* z, Real x) const {
    return held(z) ? Neuron::hold_adjoint(dz) : Neuron::charge_adjoint(dz, dp, before, z, x);
  }
};

}  // namespace volley::spec

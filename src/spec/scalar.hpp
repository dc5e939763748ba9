#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/exp_log.hpp"

namespace volley::spec {

/// A constant that is computed in double; one beyond the largest Real counts as that, so that 0 times it is
/// 0.
template <class Real>
Real constant(double x) {
  const double most = static_cast<double>(std::numeric_limits<Real>::max());
  return static_cast<Real>(std::clamp(x, -most, most));
}

/// 1 - 1 / tau, rounded once: near tau = 1 a difference of floats would have no digits.
template <class Real>
Real leak_factor(Real tau) {
  return static_cast<Real>(1 - 1 / static_cast<double>(tau));
}

/// The sigmoid at x, 1 minus it, and its derivative, each without cancellation and without overflow.
template <class Real>
struct SigmoidAt {
  Real value, complement, slope;

  explicit SigmoidAt(Real x) {
    const Real e = exp_of(-std::abs(x));
    const Real large = 1 / (1 + e);
    const Real small = e * large;
    value = x < 0 ? small : large;
    complement = x < 0 ? large : small;
    slope = small * large;
  }
};

}  // namespace volley::spec

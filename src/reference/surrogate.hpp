#pragma once

#include <cmath>
#include <numbers>

#include <volley/surrogate.hpp>

namespace volley::reference {

// A surrogate is a pair: a smooth step and its derivative. Backward uses the derivative; the smooth step, put
// in place of the Heaviside step, gives a network whose gradients finite differences can check exactly.
// Equation numbers are those of docs/math/surrogates.md.

/// (S1) 1/2 + atan(pi alpha x / 2) / pi
template <class Real>
Real smooth_step(const ATan& f, Real x) {
  const Real pi = std::numbers::pi_v<Real>;
  return std::atan(pi / 2 * static_cast<Real>(f.alpha) * x) / pi + Real(0.5);
}
/// (S2) (alpha / 2) / (1 + (pi alpha x / 2)^2)
template <class Real>
Real step_derivative(const ATan& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  const Real u = std::numbers::pi_v<Real> / 2 * alpha * x;
  return alpha / 2 / (1 + u * u);
}

/// (S3) s = 1 / (1 + exp(-alpha x))
template <class Real>
Real smooth_step(const Sigmoid& f, Real x) {
  return 1 / (1 + std::exp(-static_cast<Real>(f.alpha) * x));
}
/// (S4) alpha s (1 - s)
template <class Real>
Real step_derivative(const Sigmoid& f, Real x) {
  const Real s = smooth_step(f, x);
  return static_cast<Real>(f.alpha) * s * (1 - s);
}

template <class Real>
Real smooth_step(const Surrogate& surrogate, Real x) {
  return std::visit([x](const auto& f) { return smooth_step(f, x); }, surrogate);
}
template <class Real>
Real step_derivative(const Surrogate& surrogate, Real x) {
  return std::visit([x](const auto& f) { return step_derivative(f, x); }, surrogate);
}

}  // namespace volley::reference

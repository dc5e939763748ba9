#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <volley/surrogate.hpp>

#include "spec/scalar.hpp"

namespace volley::spec {

// A surrogate is a pair: a smooth step and its derivative. Backward uses the derivative; the smooth step, put
// in place of the Heaviside step, gives a network whose gradients finite differences can check exactly.
// Equation numbers are those of docs/math/surrogates.md. In float the derivatives are
// kernels/surrogate-inl.h's, to the bit: they are finite for every x but NaN, and NaN there.

/// g, but NaN where x is: for derivatives that do not compute with x.
template <class Real>
Real nan_or(Real x, Real g) {
  return std::isnan(x) ? x : g;
}

/// (S1) 1/2 + atan(pi alpha x / 2) / pi
template <class Real>
Real smooth_step(const ATan& f, Real x) {
  const Real pi = std::numbers::pi_v<Real>;
  return std::atan(pi / 2 * static_cast<Real>(f.alpha) * x) / pi + Real(0.5);
}
/// (S2) (alpha / 2) / (1 + (pi alpha x / 2)^2)
template <class Real>
Real step_derivative(const ATan& f, Real x) {
  const Real u = constant<Real>(std::numbers::pi / 2 * static_cast<double>(f.alpha)) * x;
  return static_cast<Real>(f.alpha) / 2 / std::fma(u, u, Real(1));
}

/// (S3) s = 1 / (1 + exp(-alpha x))
template <class Real>
Real smooth_step(const Sigmoid& f, Real x) {
  return SigmoidAt<Real>(static_cast<Real>(f.alpha) * x).value;
}
/// (S4) alpha s (1 - s) = alpha e / (1 + e)^2 with e = exp(-|alpha x|)
template <class Real>
Real step_derivative(const Sigmoid& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  const Real e = exp_of(-std::abs(alpha * x));
  return alpha * e / ((1 + e) * (1 + e));
}

/// (S5)
template <class Real>
Real smooth_step(const PiecewiseQuadratic& f, Real x) {
  const Real u = static_cast<Real>(f.alpha) * x;
  if (std::abs(u) > 1) return u > 0 ? Real(1) : Real(0);
  return Real(0.5) + u - u * std::abs(u) / 2;
}
/// (S6)
template <class Real>
Real step_derivative(const PiecewiseQuadratic& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  const Real q = std::fma(-alpha, std::abs(x), Real(1));
  return q < 0 ? Real(0) : alpha * q;
}

/// (S7)
template <class Real>
Real smooth_step(const PiecewiseExp& f, Real x) {
  const Real half = exp_of(-static_cast<Real>(f.alpha) * std::abs(x)) / 2;
  return x < 0 ? half : 1 - half;
}
/// (S8)
template <class Real>
Real step_derivative(const PiecewiseExp& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  return alpha / 2 * exp_of(-alpha * std::abs(x));
}

/// (S9)
template <class Real>
Real smooth_step(const SoftSign& f, Real x) {
  const Real u = static_cast<Real>(f.alpha) * x;
  return (u / (1 + std::abs(u)) + 1) / 2;
}
/// (S10)
template <class Real>
Real step_derivative(const SoftSign& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  const Real q = std::fma(alpha, std::abs(x), Real(1));
  return alpha / 2 / (q * q);
}

/// (S11)
template <class Real>
Real smooth_step(const SuperSpike& f, Real x) {
  return static_cast<Real>(f.alpha) * x / (1 + std::abs(x)) + Real(0.5);
}
/// (S12)
template <class Real>
Real step_derivative(const SuperSpike& f, Real x) {
  const Real q = 1 + std::abs(x);
  return static_cast<Real>(f.alpha) / (q * q);
}

/// (S13)
template <class Real>
Real smooth_step(const Erf& f, Real x) {
  return std::erfc(-static_cast<Real>(f.alpha) * x) / 2;
}
/// (S14)
template <class Real>
Real step_derivative(const Erf& f, Real x) {
  const Real u = static_cast<Real>(f.alpha) * x;
  return constant<Real>(static_cast<double>(f.alpha) * std::numbers::inv_sqrtpi) * exp_of(-(u * u));
}

/// (S15)
template <class Real>
Real smooth_step(const Rect& f, Real x) {
  return std::min(Real(1), std::max(Real(0), static_cast<Real>(f.alpha) * x + Real(0.5)));
}
/// (S16)
template <class Real>
Real step_derivative(const Rect& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  return nan_or(x, std::abs(x) < 1 / (2 * alpha) ? alpha : Real(0));
}

/// (S17)
template <class Real>
Real smooth_step(const PiecewiseLeakyReLU& f, Real x) {
  const Real w = static_cast<Real>(f.w);
  const Real c = static_cast<Real>(f.c);
  if (x < -w) return c * (x + w);
  return x > w ? c * (x - w) + 1 : x / (2 * w) + Real(0.5);
}
/// (S18)
template <class Real>
Real step_derivative(const PiecewiseLeakyReLU& f, Real x) {
  const Real w = static_cast<Real>(f.w);
  return nan_or(x, std::abs(x) < w ? 1 / (2 * w) : static_cast<Real>(f.c));
}

/// (S19)
template <class Real>
Real smooth_step(const LeakyKReLU& f, Real x) {
  return static_cast<Real>(x >= 0 ? f.k : f.leak) * x;
}
/// (S20)
template <class Real>
Real step_derivative(const LeakyKReLU& f, Real x) {
  return nan_or(x, static_cast<Real>(x >= 0 ? f.k : f.leak));
}

/// (S21)
template <class Real>
Real smooth_step(const LogTailedReLU& f, Real x) {
  if (x <= 0) return static_cast<Real>(f.alpha) * x;
  return x <= 1 ? x : log_of(x) + 1;
}
/// (S22)
template <class Real>
Real step_derivative(const LogTailedReLU& f, Real x) {
  if (x <= 0) return static_cast<Real>(f.alpha);
  return x <= 1 ? Real(1) : 1 / x;
}

/// (S23)
template <class Real>
Real smooth_step(const S2NN& f, Real x) {
  if (x < 0) return smooth_step(Sigmoid{f.alpha}, x);
  return static_cast<Real>(f.beta) * log1p_of(x) + Real(0.5);
}
/// (S24)
template <class Real>
Real step_derivative(const S2NN& f, Real x) {
  return x < 0 ? step_derivative(Sigmoid{f.alpha}, x) : static_cast<Real>(f.beta) / (x + 1);
}

/// (S25)
template <class Real>
Real smooth_step(const QPseudoSpike& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  const Real half = exp_of((1 - alpha) * log1p_of(2 / (alpha - 1) * std::abs(x))) / 2;
  return x < 0 ? half : 1 - half;
}
/// (S26)
template <class Real>
Real step_derivative(const QPseudoSpike& f, Real x) {
  const Real slope = constant<Real>(2 / (static_cast<double>(f.alpha) - 1));
  return exp_of(-static_cast<Real>(f.alpha) * log1p_of(slope * std::abs(x)));
}

/// (S27)
template <class Real>
Real smooth_step(const NonzeroSignLogAbs& f, Real x) {
  return std::copysign(log1p_of(static_cast<Real>(f.alpha) * std::abs(x)), x);
}
/// (S28)
template <class Real>
Real step_derivative(const NonzeroSignLogAbs& f, Real x) {
  const Real alpha = static_cast<Real>(f.alpha);
  return alpha / std::fma(alpha, std::abs(x), Real(1));
}

/// (S29)
template <class Real>
Real smooth_step(const StraightThrough&, Real x) {
  return x;
}
/// (S30)
template <class Real>
Real step_derivative(const StraightThrough&, Real x) {
  return nan_or(x, Real(1));
}

/// What a user's own is the derivative of is not known.
template <class Real>
Real smooth_step(const CustomSurrogate&, Real) {
  return std::numeric_limits<Real>::quiet_NaN();
}
template <class Real>
Real step_derivative(const CustomSurrogate& f, Real x) {
  const float at = static_cast<float>(x);
  float g = 0;
  f.derivative(f.context.get(), &g, &at, 1);
  return static_cast<Real>(g);
}

template <class Real>
Real smooth_step(const Surrogate& surrogate, Real x) {
  return std::visit([x](const auto& f) { return smooth_step(f, x); }, surrogate);
}
template <class Real>
Real step_derivative(const Surrogate& surrogate, Real x) {
  return std::visit([x](const auto& f) { return step_derivative(f, x); }, surrogate);
}

}  // namespace volley::spec

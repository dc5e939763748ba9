#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace volley::spec {

// One update of n weights, as PyTorch computes it: what kernels/update.cpp must compute
// (docs/math/optimizers.md).

template <class Real>
struct SgdCoefficients {
  Real lr;
  Real momentum;
  Real weight_decay;
  bool nesterov;
  bool first;  // the first step, at which the momentum is the gradient itself
};

template <class Real>
void sgd_step(Real* w, Real* momentum, const Real* gradient, const SgdCoefficients<Real>& c, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    Real g = gradient[i] + c.weight_decay * w[i];
    if (c.momentum != Real(0)) {
      momentum[i] = c.first ? g : c.momentum * momentum[i] + g;
      g = c.nesterov ? g + c.momentum * momentum[i] : momentum[i];
    }
    w[i] -= c.lr * g;
  }
}

template <class Real>
struct AdamCoefficients {
  Real beta1;
  Real beta2;
  Real eps;
  Real weight_decay;
  Real step_size;           // lr / (1 - beta1^k)
  Real inverse_sqrt_bias2;  // 1 / sqrt(1 - beta2^k)
  Real keep = 1;            // the weight's factor before the step: 1, but for AdamW
};

/// The coefficients of step k = 1, 2, ...
template <class Real>
AdamCoefficients<Real> adam_coefficients(double lr, double beta1, double beta2, double eps,
                                         double weight_decay, double k) {
  return {static_cast<Real>(beta1),
          static_cast<Real>(beta2),
          static_cast<Real>(eps),
          static_cast<Real>(weight_decay),
          static_cast<Real>(lr / (1 - std::pow(beta1, k))),
          static_cast<Real>(1 / std::sqrt(1 - std::pow(beta2, k)))};
}

/// (O7) What AdamW leaves of a weight, before Adam's step.
template <class Real>
Real decoupled_keep(double lr, double weight_decay) {
  return static_cast<Real>(1 - lr * weight_decay);
}

template <class Real>
void adam_step(Real* w, Real* m, Real* v, const Real* gradient, const AdamCoefficients<Real>& c,
               std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const Real g = gradient[i] + c.weight_decay * w[i];
    m[i] = c.beta1 * m[i] + (1 - c.beta1) * g;
    v[i] = c.beta2 * v[i] + (1 - c.beta2) * g * g;
    w[i] = c.keep * w[i] - c.step_size * m[i] / (std::sqrt(v[i]) * c.inverse_sqrt_bias2 + c.eps);
  }
}

/// (O8) The factor of every gradient; NaN stays NaN.
template <class Real>
Real clip_norm_factor(double max_norm, double norm) {
  return static_cast<Real>(std::min(max_norm / (norm + 1e-6), 1.0));
}

/// (O9) NaN stays NaN.
template <class Real>
Real clip_value(Real g, Real most) {
  return std::min(std::max(g, -most), most);
}

}  // namespace volley::spec

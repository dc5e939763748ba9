#pragma once

#include <cstddef>

#include "spec/scalar.hpp"

namespace volley::spec {

// The soft LIF neuron of docs/math/article_rule.md: it passes on the probability of a spike in place of the
// spike.

template <class Real>
struct SoftLIFParameters {
  Real tau = 2;
  Real v_threshold = 1;
  Real v_reset = 0;
};

template <class Real>
Real sigmoid_derivative(Real u) {
  return SigmoidAt<Real>(u).slope;
}

/// p, h (T, F) and v_last (F), the potential after the last step, from x (T, F); one sample. Begins
/// at `start` (F), or null: at v_reset.
template <class Real>
void soft_lif_forward(Real* p, Real* h, Real* v_last, const Real* x, const SoftLIFParameters<Real>& q,
                      std::size_t T, std::size_t F, const Real* start = nullptr) {
  for (std::size_t f = 0; f < F; ++f) {
    Real v = start != nullptr ? start[f] : q.v_reset;
    for (std::size_t t = 0; t < T; ++t) {
      const std::size_t i = t * F + f;
      h[i] = v + (x[i] - (v - q.v_reset)) / q.tau;
      const SigmoidAt<Real> fires(h[i] - q.v_threshold);
      p[i] = fires.value;
      v = fires.complement * h[i] + p[i] * q.v_reset;
    }
    v_last[f] = v;
  }
}

/// dx (T, F) from dp (T, F), with h (T, F) as forward left it; p is not read. `carry`
/// (F), or null, comes as the gradient of the potential after the pass and leaves as that before it.
template <class Real>
void soft_lif_backward(Real* dx, const Real* dp, const Real*, const Real* h, const SoftLIFParameters<Real>& q,
                       std::size_t T, std::size_t F, Real* carry = nullptr) {
  for (std::size_t f = 0; f < F; ++f) {
    Real dv = carry != nullptr ? carry[f] : Real(0);
    for (std::size_t t = T; t-- > 0;) {
      const std::size_t i = t * F + f;
      const SigmoidAt<Real> fires(h[i] - q.v_threshold);
      const Real dh = dp[i] * fires.slope + dv * (fires.complement + (q.v_reset - h[i]) * fires.slope);
      dx[i] = dh / q.tau;
      dv = dh * leak_factor(q.tau);
    }
    if (carry != nullptr) carry[f] = dv;
  }
}

}  // namespace volley::spec

#pragma once

#include <cstddef>

#include <volley/parallel_neuron.hpp>

#include "spec/neuron.hpp"

namespace volley::spec {

// The parallel spiking neurons: what kernels/psn.cpp must compute. Equation numbers are those of
// docs/math/psn.md. The matrix is (T, T), the bias (T).

/// (Y3) The factor of W[t, t'].
template <class Real>
Real psn_factor(const PSNOptions&, std::size_t, std::size_t) {
  return 1;
}
template <class Real>
Real psn_factor(const MaskedPSNOptions& o, std::size_t t, std::size_t from) {
  const bool seen = from <= t && t - from < o.k;
  return seen ? Real(1) : 1 - static_cast<Real>(o.lambda_init);
}

/// The matrix and the bias of T steps from the parameters.
template <class Real, class Options>
void psn_expand(Real* matrix, Real* bias_of, const Real* weight, const Real* bias, const Options& o,
                std::size_t T) {
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t from = 0; from < T; ++from) {
      matrix[t * T + from] = psn_factor<Real>(o, t, from) * weight[t * T + from];
    }
    bias_of[t] = bias[t];
  }
}
/// (Y4)
template <class Real>
void psn_expand(Real* matrix, Real* bias_of, const Real* weight, const Real* bias, const SlidingPSNOptions& o,
                std::size_t T) {
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t from = 0; from < T; ++from) {
      const bool seen = from <= t && t - from < o.k;
      matrix[t * T + from] = seen ? weight[o.k - 1 - (t - from)] : Real(0);
    }
    bias_of[t] = bias[0];
  }
}

/// Its backward: adds to the gradients of the parameters.
template <class Real, class Options>
void psn_fold(Real* dweight, Real* dbias, const Real* dmatrix, const Real* dbias_of, const Options& o,
              std::size_t T) {
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t from = 0; from < T; ++from) {
      dweight[t * T + from] += psn_factor<Real>(o, t, from) * dmatrix[t * T + from];
    }
    dbias[t] += dbias_of[t];
  }
}
template <class Real>
void psn_fold(Real* dweight, Real* dbias, const Real* dmatrix, const Real* dbias_of,
              const SlidingPSNOptions& o, std::size_t T) {
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t from = 0; from <= t; ++from) {
      if (t - from < o.k) dweight[o.k - 1 - (t - from)] += dmatrix[t * T + from];
    }
    dbias[0] += dbias_of[t];
  }
}

/// (Y1), (Y2): s, h (T, F) from x (T, F), one sample.
template <class Real>
void psn_forward(Real* s, Real* h, const Real* x, const Real* matrix, const Real* bias,
                 const Surrogate& surrogate, Fire fire, std::size_t T, std::size_t F) {
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t f = 0; f < F; ++f) {
      Real sum = bias[t];
      for (std::size_t from = 0; from < T; ++from) sum += matrix[t * T + from] * x[from * F + f];
      h[t * F + f] = sum;
      s[t * F + f] = fire == Fire::smooth ? smooth_step(surrogate, sum) : Real(sum >= 0);
    }
  }
}

/// (Y5) to (Y7): dx (T, F) from ds (T, F); dmatrix (T, T) and dbias (T) of this sample.
template <class Real>
void psn_backward(Real* dx, Real* dmatrix, Real* dbias, const Real* ds, const Real* h, const Real* x,
                  const Real* matrix, const Surrogate& surrogate, std::size_t T, std::size_t F) {
  for (std::size_t i = 0; i < T * F; ++i) dx[i] = 0;
  for (std::size_t i = 0; i < T * T; ++i) dmatrix[i] = 0;
  for (std::size_t t = 0; t < T; ++t) {
    dbias[t] = 0;
    for (std::size_t f = 0; f < F; ++f) {
      const Real dh = ds[t * F + f] * step_derivative(surrogate, h[t * F + f]);
      dbias[t] += dh;
      for (std::size_t from = 0; from < T; ++from) {
        dx[from * F + f] += matrix[t * T + from] * dh;
        dmatrix[t * T + from] += dh * x[from * F + f];
      }
    }
  }
}

}  // namespace volley::spec

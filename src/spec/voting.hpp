#pragma once

#include <cstddef>

namespace volley::spec {

// The mean of each group of V neighbouring features, over rows. Equation numbers are those of
// docs/math/dropout.md.

/// y (rows, K) from x (rows, K V), (F3). Sums run over the group, ascending.
template <class Real>
void voting_forward(Real* y, const Real* x, std::size_t rows, std::size_t K, std::size_t V) {
  for (std::size_t i = 0; i < rows * K; ++i) {
    Real sum = 0;
    for (std::size_t v = 0; v < V; ++v) sum += x[i * V + v];
    y[i] = sum / static_cast<Real>(V);
  }
}

/// dx (rows, K V) from dy (rows, K), (F4).
template <class Real>
void voting_backward(Real* dx, const Real* dy, std::size_t rows, std::size_t K, std::size_t V) {
  for (std::size_t i = 0; i < rows * K * V; ++i) dx[i] = dy[i / V] / static_cast<Real>(V);
}

}  // namespace volley::spec

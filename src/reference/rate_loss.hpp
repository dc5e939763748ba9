#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace volley::reference {

// Losses of firing rates r (N, K) against labels (N). So small beside the rest that there is no faster twin:
// the library computes with these. Equation numbers are those of docs/math/rate_loss.md.

/// (R2) scale times the mean over batch and classes of (r - y)^2, y one-hot.
template <class Real>
Real rate_mse_forward(const Real* r, const std::uint8_t* labels, Real scale, std::size_t N, std::size_t K) {
  Real sum = 0;
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t k = 0; k < K; ++k) {
      const Real e = r[n * K + k] - Real(labels[n] == k);
      sum += e * e;
    }
  }
  return scale * sum / static_cast<Real>(N * K);
}
/// (R3) dr (N, K)
template <class Real>
void rate_mse_backward(Real* dr, const Real* r, const std::uint8_t* labels, Real scale, std::size_t N,
                       std::size_t K) {
  const Real factor = 2 * scale / static_cast<Real>(N * K);
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t k = 0; k < K; ++k) dr[n * K + k] = factor * (r[n * K + k] - Real(labels[n] == k));
  }
}

/// (R4) Mean over the batch of -log softmax(r)[label].
template <class Real>
Real rate_cross_entropy_forward(const Real* r, const std::uint8_t* labels, std::size_t N, std::size_t K) {
  Real sum = 0;
  for (std::size_t n = 0; n < N; ++n) {
    const Real* row = r + n * K;
    const Real top = *std::max_element(row, row + K);
    Real total = 0;
    for (std::size_t k = 0; k < K; ++k) total += std::exp(row[k] - top);
    sum += std::log(total) + top - row[labels[n]];
  }
  return sum / static_cast<Real>(N);
}
/// (R5) dr (N, K)
template <class Real>
void rate_cross_entropy_backward(Real* dr, const Real* r, const std::uint8_t* labels, std::size_t N,
                                 std::size_t K) {
  for (std::size_t n = 0; n < N; ++n) {
    const Real* row = r + n * K;
    const Real top = *std::max_element(row, row + K);
    Real total = 0;
    for (std::size_t k = 0; k < K; ++k) total += std::exp(row[k] - top);
    for (std::size_t k = 0; k < K; ++k) {
      dr[n * K + k] = (std::exp(row[k] - top) / total - Real(labels[n] == k)) / static_cast<Real>(N);
    }
  }
}

}  // namespace volley::reference

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace volley::reference {

// Losses against labels (N). So small beside the rest that there is no faster twin: the library computes with
// these. Equation numbers are those of docs/math/losses.md.

/// (R2) scale times the mean over batch and classes of (z - target)^2 for scores z (N, K); the target is `on`
/// for the label, `off` for the others.
template <class Real, class Label>
Real mse_forward(const Real* z, const Label* labels, Real scale, Real on, Real off, std::size_t N,
                 std::size_t K) {
  Real sum = 0;
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t k = 0; k < K; ++k) {
      const Real e = z[n * K + k] - (labels[n] == k ? on : off);
      sum += e * e;
    }
  }
  return scale * sum / static_cast<Real>(N * K);
}
/// (R3) dz (N, K)
template <class Real, class Label>
void mse_backward(Real* dz, const Real* z, const Label* labels, Real scale, Real on, Real off,
                  std::size_t N, std::size_t K) {
  const Real factor = 2 * scale / static_cast<Real>(N * K);
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t k = 0; k < K; ++k) dz[n * K + k] = factor * (z[n * K + k] - (labels[n] == k ? on : off));
  }
}

/// sum over k of exp(z[k] - top), and top, the largest z (K).
template <class Real>
struct Exponentials {
  Real top;
  Real sum = 0;

  Exponentials(const Real* z, std::size_t K) : top(*std::max_element(z, z + K)) {
    for (std::size_t k = 0; k < K; ++k) sum += std::exp(z[k] - top);
  }
};

/// (R4) The cross-entropy of softmax(z), z (K), with the label, which has 1 - smoothing of the target while
/// the rest is shared by all classes.
template <class Real, class Label>
Real cross_entropy_forward(const Real* z, Label label, Real smoothing, std::size_t K) {
  const Exponentials<Real> e(z, K);
  Real shared = 0;
  for (std::size_t k = 0; k < K; ++k) shared += z[k];
  return std::log(e.sum) + e.top - (1 - smoothing) * z[label] - smoothing / static_cast<Real>(K) * shared;
}
/// (R5) dz (K), times `factor`
template <class Real, class Label>
void cross_entropy_backward(Real* dz, const Real* z, Label label, Real smoothing, Real factor,
                            std::size_t K) {
  const Exponentials<Real> e(z, K);
  for (std::size_t k = 0; k < K; ++k) {
    const Real target = (1 - smoothing) * Real(label == k) + smoothing / static_cast<Real>(K);
    dz[k] = (std::exp(z[k] - e.top) / e.sum - target) * factor;
  }
}

/// The mean over a batch of scores z (N, K), and its gradient dz (N, K).
template <class Real, class Label>
Real mean_cross_entropy_forward(const Real* z, const Label* labels, Real smoothing, std::size_t N,
                                std::size_t K) {
  Real sum = 0;
  for (std::size_t n = 0; n < N; ++n) sum += cross_entropy_forward(z + n * K, labels[n], smoothing, K);
  return sum / static_cast<Real>(N);
}
template <class Real, class Label>
void mean_cross_entropy_backward(Real* dz, const Real* z, const Label* labels, Real smoothing,
                                 std::size_t N, std::size_t K) {
  const Real share = 1 / static_cast<Real>(N);
  for (std::size_t n = 0; n < N; ++n) {
    cross_entropy_backward(dz + n * K, z + n * K, labels[n], smoothing, share, K);
  }
}

template <class Real>
struct TetParameters {
  Real lamb;       // the share of the regulariser
  Real means;      // what it draws every output to
  Real smoothing;  // of the labels
};

/// (R8) TET of one sample, y (T, K): (1 - lamb) times the mean over T of the cross-entropies, and lamb times
/// the mean of (y - means)^2.
template <class Real, class Label>
Real tet_forward(const Real* y, Label label, const TetParameters<Real>& p, std::size_t T,
                 std::size_t K) {
  Real cross_entropies = 0;
  Real squares = 0;
  for (std::size_t t = 0; t < T; ++t) {
    cross_entropies += cross_entropy_forward(y + t * K, label, p.smoothing, K);
    for (std::size_t k = 0; k < K; ++k) squares += (y[t * K + k] - p.means) * (y[t * K + k] - p.means);
  }
  return (1 - p.lamb) * cross_entropies / static_cast<Real>(T) + p.lamb * squares / static_cast<Real>(T * K);
}
/// (R9) dy (T, K) of the mean over N samples
template <class Real, class Label>
void tet_backward(Real* dy, const Real* y, Label label, const TetParameters<Real>& p, std::size_t N,
                  std::size_t T, std::size_t K) {
  const Real entropy_share = (1 - p.lamb) / static_cast<Real>(N * T);
  const Real square_share = 2 * p.lamb / static_cast<Real>(N * T * K);
  for (std::size_t t = 0; t < T; ++t) {
    cross_entropy_backward(dy + t * K, y + t * K, label, p.smoothing, entropy_share, K);
    for (std::size_t k = 0; k < K; ++k) dy[t * K + k] += square_share * (y[t * K + k] - p.means);
  }
}

}  // namespace volley::reference

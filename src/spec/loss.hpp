#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/exp_log.hpp"
#include "core/tree_sum.hpp"

namespace volley::spec {

// Losses against labels (N). Equation numbers are those of docs/math/losses.md. Every sum is in double: over
// the classes and steps of one sample ascending, over the samples by core/tree_sum.hpp.

/// (R10) How much each sample of a batch counts.
struct SampleWeights {
  const float* of_class = nullptr;  // (K) w; null: all classes count alike
  const std::uint32_t* labels = nullptr;
  double total = 0;                  // the sum of s w[label], where there are weights
  const float* of_sample = nullptr;  // (N) s; null: all samples count alike

  double of(std::size_t n) const {
    const double w = of_class == nullptr ? 1 : static_cast<double>(of_class[labels[n]]);
    return of_sample == nullptr ? w : w * static_cast<double>(of_sample[n]);
  }
  /// What the sum of s w[label] l is divided by.
  double sum(std::size_t N) const {
    return of_class == nullptr && of_sample == nullptr ? static_cast<double>(N) : total;
  }
  /// (R11) How many samples there would be, did all count alike, for sample n to have the share that it has.
  double count(std::size_t n, std::size_t N) const { return sum(N) / of(n); }
};

/// (R2) scale times the mean over batch and classes of (z - target)^2 for scores z (N, K); the target is `on`
/// for the label, `off` for the others; with `units` (N), these times the sample's.
template <class Real>
Real mse_forward(const Real* z, const std::uint32_t* labels, Real scale, Real on, Real off, std::size_t N,
                 std::size_t K, const SampleWeights& weights = {}, const Real* units = nullptr) {
  const double sum = tree_sum(N, [&](std::size_t n) {
    const Real unit = units == nullptr ? 1 : units[n];
    double squares = 0;
    for (std::size_t k = 0; k < K; ++k) {
      const double e =
          static_cast<double>(z[n * K + k]) - static_cast<double>((labels[n] == k ? on : off) * unit);
      squares += e * e;
    }
    return weights.of(n) * squares;
  });
  return static_cast<Real>(static_cast<double>(scale) * sum / (weights.sum(N) * static_cast<double>(K)));
}
/// (R3) dz (N, K)
template <class Real>
void mse_backward(Real* dz, const Real* z, const std::uint32_t* labels, Real scale, Real on, Real off,
                  std::size_t N, std::size_t K, const SampleWeights& weights = {},
                  const Real* units = nullptr) {
  for (std::size_t n = 0; n < N; ++n) {
    const Real unit = units == nullptr ? 1 : units[n];
    const Real factor = 2 * scale / static_cast<Real>(weights.count(n, N) * static_cast<double>(K));
    for (std::size_t k = 0; k < K; ++k)
      dz[n * K + k] = factor * (z[n * K + k] - (labels[n] == k ? on : off) * unit);
  }
}

/// The softmax of z (K): with z[top] the largest, tail is the sum over the others of exp(z[k] - z[top]).
template <class Real>
struct Softmax {
  const Real* z;
  std::size_t top;
  double tail = 0;

  Softmax(const Real* scores, std::size_t K)
      : z(scores), top(static_cast<std::size_t>(std::max_element(scores, scores + K) - scores)) {
    for (std::size_t k = 0; k < K; ++k) tail += k == top ? 0.0 : exponential(k);
  }
  double exponential(std::size_t k) const { return static_cast<double>(exp_of(z[k] - z[top])); }
  double probability(std::size_t k) const { return exponential(k) / (1 + tail); }
  double below_top(std::size_t k) const { return static_cast<double>(z[top]) - static_cast<double>(z[k]); }
};

/// (R4) The cross-entropy of softmax(z), z (K), with the label, which has 1 - smoothing of the target while
/// the rest is shared by all classes.
template <class Real>
double cross_entropy_forward(const Real* z, std::uint32_t label, Real smoothing, std::size_t K) {
  const Softmax<Real> p(z, K);
  double shared = 0;
  for (std::size_t k = 0; k < K; ++k) shared += p.below_top(k);
  const double share = static_cast<double>(smoothing);
  const double log_sum = static_cast<double>(log1p_of(static_cast<Real>(p.tail)));
  return log_sum + (1 - share) * p.below_top(label) + share / static_cast<double>(K) * shared;
}
/// (R5) dz (K), times `factor`
template <class Real>
void cross_entropy_backward(Real* dz, const Real* z, std::uint32_t label, Real smoothing, Real factor,
                            std::size_t K) {
  const Softmax<Real> p(z, K);
  const double share = static_cast<double>(smoothing);
  for (std::size_t k = 0; k < K; ++k) {
    const double target = (label == k ? 1 - share : 0) + share / static_cast<double>(K);
    dz[k] = static_cast<Real>((p.probability(k) - target) * static_cast<double>(factor));
  }
}

/// The mean over a batch of scores z (N, K), and its gradient dz (N, K).
template <class Real>
Real mean_cross_entropy_forward(const Real* z, const std::uint32_t* labels, Real smoothing, std::size_t N,
                                std::size_t K, const SampleWeights& weights = {}) {
  const double sum = tree_sum(N, [&](std::size_t n) {
    return weights.of(n) * cross_entropy_forward(z + n * K, labels[n], smoothing, K);
  });
  return static_cast<Real>(sum / weights.sum(N));
}
template <class Real>
void mean_cross_entropy_backward(Real* dz, const Real* z, const std::uint32_t* labels, Real smoothing,
                                 std::size_t N, std::size_t K, const SampleWeights& weights = {}) {
  for (std::size_t n = 0; n < N; ++n) {
    const Real share = 1 / static_cast<Real>(weights.count(n, N));
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
template <class Real>
Real tet_forward(const Real* y, std::uint32_t label, const TetParameters<Real>& p, std::size_t T,
                 std::size_t K) {
  double cross_entropies = 0;
  double squares = 0;
  for (std::size_t t = 0; t < T; ++t) {
    cross_entropies += cross_entropy_forward(y + t * K, label, p.smoothing, K);
    for (std::size_t k = 0; k < K; ++k) {
      const double e = static_cast<double>(y[t * K + k]) - static_cast<double>(p.means);
      squares += e * e;
    }
  }
  const double lamb = static_cast<double>(p.lamb);
  return static_cast<Real>((1 - lamb) * cross_entropies / static_cast<double>(T) +
                           lamb * squares / static_cast<double>(T * K));
}
/// (R9) dy (T, K) of the mean over `count` samples, (R11)
template <class Real>
void tet_backward(Real* dy, const Real* y, std::uint32_t label, const TetParameters<Real>& p, double count,
                  std::size_t T, std::size_t K) {
  const Real entropy_share = (1 - p.lamb) / static_cast<Real>(count * static_cast<double>(T));
  const Real square_share = 2 * p.lamb / static_cast<Real>(count * static_cast<double>(T * K));
  for (std::size_t t = 0; t < T; ++t) {
    cross_entropy_backward(dy + t * K, y + t * K, label, p.smoothing, entropy_share, K);
    for (std::size_t k = 0; k < K; ++k) dy[t * K + k] += square_share * (y[t * K + k] - p.means);
  }
}

// (R13) What an error e of a real output is worth, and the slope of that.

struct SquaredError {
  double value(double e) const { return e * e; }
  double slope(double e) const { return 2 * e; }
};

struct AbsoluteError {
  double value(double e) const { return e < 0 ? -e : e; }
  double slope(double e) const { return e < 0 ? -1 : e > 0 ? 1 : 0 * e; }  // NaN stays NaN
};

/// e^2 / 2 up to delta, and from there on straight (Huber, Annals of Mathematical Statistics 35, 1964).
struct HuberError {
  double delta;
  double value(double e) const {
    const double size = e < 0 ? -e : e;
    return size <= delta ? 0.5 * e * e : delta * (size - 0.5 * delta);
  }
  double slope(double e) const { return e < -delta ? -delta : e > delta ? delta : e; }
};

/// (R14) The mean over `count` outputs z and their targets of what their errors are worth.
template <class Real, class Worth>
double regression_forward(const Real* z, const Real* targets, const Worth& worth, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i)
    sum += worth.value(static_cast<double>(z[i]) - static_cast<double>(targets[i]));
  return sum / static_cast<double>(count);
}
/// (R14) dz (count), times `factor`
template <class Real, class Worth>
void regression_backward(Real* dz, const Real* z, const Real* targets, const Worth& worth, double factor,
                         std::size_t count) {
  const double share = factor / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) {
    dz[i] =
        static_cast<Real>(worth.slope(static_cast<double>(z[i]) - static_cast<double>(targets[i])) * share);
  }
}

/// (R16) The step of the first spike of each output of y (T, K), 0 and 1; that of the last step where there
/// is none.
template <class Real>
void first_spikes(Real* times, const Real* y, std::size_t T, std::size_t K) {
  for (std::size_t k = 0; k < K; ++k) {
    std::size_t t = 0;
    while (t + 1 < T && y[t * K + k] == 0) ++t;
    times[k] = static_cast<Real>(t);
  }
}
/// (R17) dy (T, K) for the gradient of these times: a spike there would have been earlier, -1.
template <class Real>
void first_spikes_backward(Real* dy, const Real* dtimes, const Real* times, std::size_t T, std::size_t K) {
  std::fill_n(dy, T * K, Real{0});
  for (std::size_t k = 0; k < K; ++k) dy[static_cast<std::size_t>(times[k]) * K + k] = -dtimes[k];
}

}  // namespace volley::spec

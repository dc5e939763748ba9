#pragma once

#include <cmath>
#include <cstddef>

namespace volley::spec {

// Batch normalisation of C channels over rows, a row being one position of one step of one sample: what
// kernels/batch_norm.cpp must compute. Sums are in double, whatever Real is. Equation numbers are those of
// docs/math/batch_norm.md.

/// sum (C) of y and dot (C) of x y over the rows, ascending; x, y (rows, C). (B1)
template <class Real>
void channel_sums(double* sum, double* dot, const Real* x, const Real* y, std::size_t rows, std::size_t C) {
  for (std::size_t c = 0; c < C; ++c) {
    sum[c] = dot[c] = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      const double dy = static_cast<double>(y[r * C + c]);
      sum[c] += dy;
      dot[c] += static_cast<double>(x[r * C + c]) * dy;
    }
  }
}

/// What normalises a channel, in training that of the batch, in evaluation the running ones.
struct ChannelStatistics {
  double mean;
  double variance;  // biased
  double inv_std;   // 1 / sqrt(variance + eps)
};

inline ChannelStatistics channel_statistics(double mean, double variance, double eps) {
  return {mean, variance, 1 / std::sqrt(variance + eps)};
}
/// (B2) from the sums of x and of x^2 over `rows` rows.
inline ChannelStatistics batch_statistics(double sum, double squares, double rows, double eps) {
  const double mean = sum / rows;
  const double variance = squares / rows - mean * mean;
  return channel_statistics(mean, variance < 0 ? 0 : variance, eps);  // by rounding; NaN stays NaN
}

/// The running statistics after a batch of n values a channel, (B7).
template <class Real>
void update_running(Real& running_mean, Real& running_var, const ChannelStatistics& s, double n,
                    double momentum) {
  const auto towards = [momentum](Real& running, double value) {
    running = static_cast<Real>((1 - momentum) * static_cast<double>(running) + momentum * value);
  };
  towards(running_mean, s.mean);
  towards(running_var, s.variance * n / (n - 1));
}

/// y = scale x + offset, the normalisation as one multiply-add. (B3)
template <class Real>
struct BatchNormForward {
  Real scale;
  Real offset;
};
template <class Real>
BatchNormForward<Real> batch_norm_forward_coefficients(const ChannelStatistics& s, Real weight, Real bias) {
  const double scale = static_cast<double>(weight) * s.inv_std;
  return {static_cast<Real>(scale), static_cast<Real>(static_cast<double>(bias) - s.mean * scale)};
}

/// dx = scale dy + slope x + offset. (B6)
template <class Real>
struct BatchNormBackward {
  Real scale;
  Real slope;
  Real offset;
};
/// Adds to dweight and dbias, (B4) and (B5), given the sums of dy and of x dy over `rows` rows. In evaluation
/// the statistics do not depend on x: rows is 0, and slope and offset are.
template <class Real>
BatchNormBackward<Real> batch_norm_backward_coefficients(Real& dweight, Real& dbias, double sum, double dot,
                                                         const ChannelStatistics& s, Real weight,
                                                         double rows) {
  const double dot_normalised = (dot - s.mean * sum) * s.inv_std;
  dweight += static_cast<Real>(dot_normalised);
  dbias += static_cast<Real>(sum);
  const double scale = static_cast<double>(weight) * s.inv_std;
  if (rows == 0) return {static_cast<Real>(scale), 0, 0};
  const double slope = -scale * s.inv_std * dot_normalised / rows;
  return {static_cast<Real>(scale), static_cast<Real>(slope),
          static_cast<Real>(-scale * sum / rows - slope * s.mean)};
}

/// y (rows, C) from x (rows, C).
template <class Real>
void batch_norm_forward(Real* y, const Real* x, const BatchNormForward<Real>* channels, std::size_t rows,
                        std::size_t C) {
  for (std::size_t i = 0; i < rows * C; ++i) y[i] = channels[i % C].scale * x[i] + channels[i % C].offset;
}

/// dx (rows, C) from dy (rows, C) and the x of the forward pass.
template <class Real>
void batch_norm_backward(Real* dx, const Real* dy, const Real* x, const BatchNormBackward<Real>* channels,
                         std::size_t rows, std::size_t C) {
  for (std::size_t i = 0; i < rows * C; ++i) {
    const BatchNormBackward<Real>& k = channels[i % C];
    dx[i] = k.scale * dy[i] + (k.slope * x[i] + k.offset);
  }
}

}  // namespace volley::spec

#pragma once

#include <cstddef>

#include "spec/batch_norm.hpp"

namespace volley::spec {

// Normalisation of one step of one sample, x (rows, C), a row being one position: G groups of C / G channels,
// each with all rows, by themselves. Sums and statistics are in double, whatever Real is. Layer normalisation
// is one group and one row. Equation numbers are those of docs/math/group_norm.md. A null weight is 1, a null
// bias 0.

/// (B9) the statistics of each group, s (G), from the sums (C) of x and of x^2 over the rows.
inline void group_statistics(ChannelStatistics* s, const double* sum, const double* squares, std::size_t rows,
                             std::size_t C, std::size_t G, double eps) {
  const std::size_t size = C / G;
  for (std::size_t g = 0; g < G; ++g) {
    double all = 0, all_squares = 0;
    for (std::size_t c = g * size; c < (g + 1) * size; ++c) {
      all += sum[c];
      all_squares += squares[c];
    }
    s[g] = batch_statistics(all, all_squares, static_cast<double>(rows * size), eps);
  }
}

/// (B10) y = scale x + offset, for each channel.
template <class Real>
void group_norm_forward_coefficients(Real* scale, Real* offset, const ChannelStatistics* s,
                                     const Real* weight, const Real* bias, std::size_t C, std::size_t G) {
  for (std::size_t c = 0; c < C; ++c) {
    const auto k = batch_norm_forward_coefficients(s[c / (C / G)], weight != nullptr ? weight[c] : Real(1),
                                                   bias != nullptr ? bias[c] : Real(0));
    scale[c] = k.scale;
    offset[c] = k.offset;
  }
}

/// (B13) dx = scale dy + slope x + offset, for each channel, from the sums (C) of dy and of x dy over the
/// rows. Adds (B11) to dbias and dweight, (C).
template <class Real>
void group_norm_backward_coefficients(Real* scale, Real* slope, Real* offset, double* dweight, double* dbias,
                                      const double* sum, const double* dot, const ChannelStatistics* s,
                                      const Real* weight, std::size_t rows, std::size_t C, std::size_t G) {
  const std::size_t size = C / G;
  const double m = static_cast<double>(rows * size);
  for (std::size_t g = 0; g < G; ++g) {
    const double r = s[g].inv_std;
    double all = 0, all_normalised = 0;  // (B12)
    for (std::size_t c = g * size; c < (g + 1) * size; ++c) {
      const double w = weight != nullptr ? static_cast<double>(weight[c]) : 1;
      const double dot_normalised = (dot[c] - s[g].mean * sum[c]) * r;
      dbias[c] += sum[c];
      dweight[c] += dot_normalised;
      all += w * sum[c];
      all_normalised += w * dot_normalised;
      scale[c] = static_cast<Real>(w * r);
    }
    const double p = -r * r * all_normalised / m;
    const double q = -r * all / m - p * s[g].mean;
    for (std::size_t c = g * size; c < (g + 1) * size; ++c) {
      slope[c] = static_cast<Real>(p);
      offset[c] = static_cast<Real>(q);
    }
  }
}

/// y (rows, C) from x (rows, C).
template <class Real>
void group_norm_forward(Real* y, const Real* x, const Real* scale, const Real* offset, std::size_t rows,
                        std::size_t C) {
  for (std::size_t i = 0; i < rows * C; ++i) y[i] = scale[i % C] * x[i] + offset[i % C];
}

/// dx (rows, C) from dy and x.
template <class Real>
void group_norm_backward(Real* dx, const Real* dy, const Real* x, const Real* scale, const Real* slope,
                         const Real* offset, std::size_t rows, std::size_t C) {
  for (std::size_t i = 0; i < rows * C; ++i) {
    dx[i] = scale[i % C] * dy[i] + (slope[i % C] * x[i] + offset[i % C]);
  }
}

}  // namespace volley::spec

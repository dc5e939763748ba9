#pragma once

#include <cmath>

#include "ops/norm.hpp"

namespace volley::cpu {

// Normalisation as a multiply-add. Equation numbers are those of docs/math/batch_norm.md.

inline ops::ChannelStatistics channel_statistics(double mean, double variance, double eps) {
  return {mean, variance, 1 / std::sqrt(variance + eps)};
}
/// (B2) from the sums of x and of x^2 over `rows` rows.
inline ops::ChannelStatistics batch_statistics(double sum, double squares, double rows, double eps) {
  const double mean = sum / rows;
  const double variance = squares / rows - mean * mean;
  return channel_statistics(mean, variance < 0 ? 0 : variance, eps);  // by rounding; NaN stays NaN
}

/// y = scale x + offset. (B3)
struct NormForward {
  float scale, offset;

  NormForward(const ops::ChannelStatistics& s, float weight, float bias) {
    const double by = static_cast<double>(weight) * s.inv_std;
    scale = static_cast<float>(by);
    offset = static_cast<float>(static_cast<double>(bias) - s.mean * by);
  }
};

}  // namespace volley::cpu

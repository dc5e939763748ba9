#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/views.hpp"
#include "ops/workspace.hpp"

namespace volley::ops {

// Normalisation. Equation numbers are those of docs/math/batch_norm.md and group_norm.md.

/// What normalises a channel or a group of them.
struct ChannelStatistics {
  double mean;
  double variance;  // biased
  double inv_std;   // 1 / sqrt(variance + eps)
};

/// Channels-last values: N samples of S stored steps of P positions of C channels.
struct BatchNormShape {
  std::size_t N, S, P, C;
  const std::uint32_t* lengths = nullptr;  // (N) the steps of each that count; none: all
  double rows;                             // that count

  std::size_t sample_rows() const { return S * P; }
  std::size_t sample_size() const { return S * P * C; }
};

/// y = scale x + offset, (B3), by the statistics of the batch or the running ones.
struct BatchNormForward {
  BatchNormShape shape;
  Values x;
  float* kept_x = nullptr;  // where the values of a source are kept for backward
  bool batch;
  double eps;
  const float *weight, *bias;               // (C)
  const float *running_mean, *running_var;  // (C)
  ChannelStatistics* statistics;            // (C), what was used
  float* y = nullptr;
  Slot* slot;
};

/// Adds (B4) and (B5), and writes dx, (B6).
struct BatchNormBackward {
  BatchNormShape shape;
  const float* x;
  Values dy;
  float* kept_dy = nullptr;  // where the values of a source are kept; may be dx
  bool batch;
  const ChannelStatistics* statistics;
  const float* weight;
  float *dweight, *dbias;
  float* dx = nullptr;  // may be where dy is; or none
  Slot* slot;           // that of the forward
};

/// The running statistics after a batch of `values` values a channel, (B7).
struct BatchNormUpdate {
  const ChannelStatistics* statistics;
  std::size_t C;
  double values;
  bool cumulative;  // whether momentum is one over the batches so far
  float momentum;
  float *running_mean, *running_var;
  float* tracked;          // (1) the batches so far, as a file has them
  std::uint64_t* batches;  // (1) the same, exact
};

/// Each of `parts` parts (rows, C) of a sample by itself, in groups of channels. A null weight is 1, a null
/// bias 0.
struct SampleNormShape {
  std::size_t N, parts, rows, C, groups;

  std::size_t part_size() const { return rows * C; }
};

/// (B9), (B10)
struct SampleNormForward {
  SampleNormShape shape;
  const float* x;
  const float *weight, *bias;
  double eps;
  ChannelStatistics* statistics;  // (N, parts, groups)
  float* y;
};

/// Adds (B11) where there are gradients, and writes dx, (B13), or not.
struct SampleNormBackward {
  SampleNormShape shape;
  const float *x, *dy;
  const float* weight;
  const ChannelStatistics* statistics;
  float *dweight, *dbias;
  float* dx;
  Slot* slot;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_NORM_OPERATION(X) \
  X(BatchNormForward) X(BatchNormBackward) X(BatchNormUpdate) X(SampleNormForward) X(SampleNormBackward)

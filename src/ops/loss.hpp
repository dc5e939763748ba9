#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/views.hpp"

namespace volley::ops {

// Losses that look at one score a class. Equation numbers are those of docs/math/losses.md; K classes.

enum class ReadOver { mean, sum, last };  // of a sample's steps

/// scores (N, K) of a plain y (N, T, K): (R1), (R6).
struct ReadScores {
  SignalView y;
  const std::uint32_t* lengths = nullptr;  // (N) the steps of each sample; none: all have y.S
  ReadOver over;
  float* scores;
};

/// dy (N, T, K) of the gradient of these scores: (R7).
struct SpreadScores {
  const float* dscores;  // (N, K)
  std::size_t N, T, K;
  const std::uint32_t* lengths = nullptr;
  ReadOver over;
  float* dy;
};

/// (R10) How much each sample counts: s_n w[label_n], of which `total` is the sum.
struct SampleWeights {
  const float* of_class = nullptr;   // (K) w; none: 1
  const float* of_sample = nullptr;  // (N) s; none: 1
  double total = 0;
};

/// (R2) and (R3): scale times the mean of (z - target)^2, the target being `on` for the label and `off` for
/// the others, times unit, and times the sample's unit where there are any. Writes `loss` (1), or `dz` (N,
/// K).
struct ScoreMse {
  const float* z;
  const std::uint32_t* labels;  // (N)
  std::size_t N, K;
  SampleWeights weights;
  float scale, on, off, unit;
  const std::uint32_t* units = nullptr;  // (N)
  double* loss = nullptr;
  float* dz = nullptr;
};

/// (R4) and (R5): the mean cross-entropy. Writes `loss` (1), or `dz` (N, K).
struct ScoreCrossEntropy {
  const float* z;
  const std::uint32_t* labels;
  std::size_t N, K;
  SampleWeights weights;
  float smoothing;
  double* loss = nullptr;
  float* dz = nullptr;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_LOSS_OPERATION(X) \
  X(ReadScores)                           \
  X(SpreadScores)                         \
  X(ScoreMse)                             \
  X(ScoreCrossEntropy)

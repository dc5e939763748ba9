#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ops/views.hpp"

namespace volley::ops {

// Losses. Equation numbers are those of docs/math/losses.md; N samples, T steps, K outputs. A loss writes the
// losses of the batch or of its samples, or a gradient: the pointer that is given says which.

/// What the outputs of a batch should be, and how much each sample counts.
struct TargetsView {
  const std::uint32_t* labels = nullptr;   // (N), or (N, T)
  const float* values = nullptr;           // (N, K), or (N, T, K)
  bool of_steps = false;                   // the latter: one for each step
  const std::uint32_t* lengths = nullptr;  // (N) the steps of each sample; none: all have T
  const double* weights = nullptr;         // (N) (R10) s_n w[label_n]; none: 1
  double total_weight = 0;                 // the sum of these
};

// Scores.

enum class ReadOver { mean, sum, last, each_step };  // of a sample's steps

/// scores (N, K), or (N, T, K) of each step, of a plain y (N, T, K): (R1), (R6). Real values where they are
/// those of the last step or of each.
struct ReadScores {
  SignalView y;
  const std::uint32_t* lengths = nullptr;  // (N) as those of the targets
  ReadOver over;
  float* scores;
};

/// dy (N, T, K) of the gradient of these scores (N, K): (R7).
struct SpreadScores {
  const float* dscores;
  std::size_t N, T, K;
  const std::uint32_t* lengths = nullptr;
  ReadOver over;
  float* dy;
};

/// (R2) and (R3): scale times the mean of (z - target)^2, the target being `on` for the label and `off` for
/// the others, as many times as the sample has steps where `per_step`.
struct ScoreMse {
  const float* z;  // (N, K)
  std::size_t N, T, K;
  TargetsView targets;
  float scale, on, off;
  bool per_step = false;
  double* loss = nullptr;  // (1)
  float* dz = nullptr;     // (N, K)
};

/// (R4) and (R5): the mean cross-entropy.
struct ScoreCrossEntropy {
  const float* z;  // (N, K)
  std::size_t N, K;
  TargetsView targets;
  float smoothing;
  double* loss = nullptr;  // (1)
  float* dz = nullptr;     // (N, K)
};

// Losses (N) of the samples, and dy (N, T, K) of the mean of these over the batch.

/// loss (1) = scale times the mean over the batch of the losses (N) of its samples: (R10).
struct MeanOfSamples {
  const float* losses;
  std::size_t N;
  TargetsView targets;
  float scale = 1;
  double* loss;
};

/// (R8) and (R9)
struct Tet {
  SignalView y;
  TargetsView targets;
  float lamb, means, smoothing;
  float* losses = nullptr;
  float* dy = nullptr;
};

/// (R4) and (R5) of each step.
struct StepCrossEntropy {
  const float* y;
  std::size_t N, T, K;
  TargetsView targets;
  const float* class_weights = nullptr;  // (K) of the labels of the steps of a sample; none: 1
  float smoothing;
  float* losses = nullptr;
  float* dy = nullptr;
};

enum class ErrorWorth { square, size, huber };

/// (R13) to (R15): scale times the mean of what the errors of the scores are worth. `losses` are without the
/// scale.
struct Regression {
  const float* z;  // (N, K), or (N, T, K) of each step
  std::size_t N, T, K;
  TargetsView targets;
  ReadOver over;
  ErrorWorth worth;
  float delta;  // of huber
  float scale;
  float* losses = nullptr;
  float* dy = nullptr;
};

/// (R16) and (R17): what the losses of first spikes share. Throws ArgumentError, of the loss `kind`, unless y
/// is 0 and 1.
struct FirstSpikes {
  std::string_view kind;
  const float* y;
  std::size_t N, T, K;
  TargetsView targets;
  float* scores = nullptr;  // (N, K) the steps, negated; written with the losses
  float* losses = nullptr;
  float* dy = nullptr;
};

struct FirstSpikeCrossEntropy {
  FirstSpikes at;
  float smoothing;
};

/// The target is `on` for the label, and `off` or the sample's last step for the others; or the value, where
/// the targets have no labels.
struct FirstSpikeMse {
  FirstSpikes at;
  float scale, on, off;
  bool off_at_last;
};

/// to[n] = from[numbers[n]]: the labels of the samples of a batch.
struct Gather {
  const std::uint32_t* from;
  const std::uint32_t* numbers;  // (N)
  std::size_t N;
  std::uint32_t* to;
};

// Parts of a signal.

/// `count` outputs of y from `first` on, at all steps or at some: row u of sample n is that of step steps[n,
/// u], or 0 where that is T.
struct PickOutputs {
  SignalView y;
  std::size_t first = 0, count;
  const std::uint32_t* steps = nullptr;  // (N, U); none: U is T, and all are taken
  std::size_t U;
  float* values = nullptr;         // (N, U, count); where y is spikes,
  std::uint64_t* words = nullptr;  // (N, U, words of `count` bits)
};

/// The other way: factor times `from` (N, U, count) to its place in `to` (N, T, K), 0 at other steps; other
/// outputs are left as they are.
struct PutOutputs {
  const float* from;
  std::size_t N, U, count;
  const std::uint32_t* steps = nullptr;
  float factor = 1;
  float* to;
  std::size_t T, K, first = 0;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_LOSS_OPERATION(X) \
  X(ReadScores)                           \
  X(SpreadScores)                         \
  X(ScoreMse)                             \
  X(ScoreCrossEntropy)                    \
  X(MeanOfSamples)                        \
  X(Tet)                                  \
  X(StepCrossEntropy)                     \
  X(Regression)                           \
  X(FirstSpikeCrossEntropy)               \
  X(FirstSpikeMse)                        \
  X(Gather)                               \
  X(PickOutputs)                          \
  X(PutOutputs)

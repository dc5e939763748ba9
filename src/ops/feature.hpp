#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/views.hpp"
#include "ops/workspace.hpp"

namespace volley::ops {

// What treats each feature by itself, or with its neighbours.

/// mask (N, F) = 0 or 1 / (1 - p), (F1) of docs/math/dropout.md; drawn in row-major order.
struct DropoutMask {
  float* mask;
  double p;
  std::array<std::uint32_t, 2> key;
  std::uint64_t place;             // of the layer
  const std::uint32_t* addresses;  // (N), of the random numbers of each sample
  std::size_t N, F;
  std::size_t channels = 0;  // of a mask that lies channels-last; 0: row-major
};
/// y (N, S, F) = mask (N, F) times x: (F1), (F2)
struct ApplyMask {
  const float* mask;
  const float* x;
  float* y;
  std::size_t N, S, F;
};

/// y (rows, K) = the mean of V neighbours of x (rows, K V): (F3)
struct Voting {
  const float* x;
  float* y;
  std::size_t rows, K, V;
};
/// dx (rows, K V) from dy (rows, K): (F4)
struct VotingBackward {
  const float* dy;
  float* dx;
  std::size_t rows, K, V;
};

/// rates (F), as the features lie in x: the mean of each over all rows that count. (G1) of
/// docs/math/rate_penalty.md
struct Rates {
  SignalView x;
  std::size_t channels = 0;                // where x lies channels-last; 0: row-major
  const std::uint32_t* lengths = nullptr;  // (N) the stored steps of each that count; none: all
  std::size_t rows;                        // that count
  float* rates;
  Slot* slot;
};
/// penalty (1) = weight times the mean of |r - target|, or of (r - target)^2: (G2)
struct RatePenalty {
  const float* rates;
  float weight, target;
  bool squared;
  std::size_t F;
  float* penalty;
};
/// dx (N, S, F) = dy and, at the rows that count, the penalty's gradient: (G3), (G4)
struct RatePenaltyBackward {
  const float* rates;
  float weight, target;  // weight: of one row
  bool squared;
  std::size_t N, S, F;
  const std::uint32_t* lengths = nullptr;
  const float* dy;
  float* dr;  // (F)
  float* dx;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_FEATURE_OPERATION(X) \
  X(DropoutMask)                             \
  X(ApplyMask)                               \
  X(Voting)                                  \
  X(VotingBackward)                          \
  X(Rates)                                   \
  X(RatePenalty)                             \
  X(RatePenaltyBackward)

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/views.hpp"

namespace volley::ops {

/// The pictures of a batch.
struct Pictures {
  const std::uint8_t* pixels = nullptr;    // (any number, F), of which
  const std::uint32_t* numbers = nullptr;  // (N) are the batch; null: the first N
  std::size_t N = 0, F = 0;

  /// The pixels of the n-th.
  const std::uint8_t* of(std::size_t n) const { return pixels + (numbers != nullptr ? numbers[n] : n) * F; }
};

// Encoders. Equation numbers are those of docs/math/encoders.md. Spikes in step order are row-major.

/// Poisson spike trains (N, T, F), as docs/math/poisson.md has them: of pictures whose pixels k fire with
/// probability k / 255, or of probabilities. Writes the active features, and trains of these alone.
struct PoissonEncode {
  Pictures pictures = {};                // or
  const float* probabilities = nullptr;  // (N, F)
  const std::uint32_t* addresses;        // (N), of the random numbers of each sample
  std::array<std::uint32_t, 2> key;
  std::size_t N, T, F;
  std::uint64_t* trains;
  std::uint32_t *active, *active_count;
};

/// Real values (N, T, C M, W) that are looked up: of pictures (C, T, W), whose row t is step t, in a table
/// (C M, 256), where each channel becomes M.
struct LookUp {
  Pictures pictures;
  std::size_t C, T, W, M;
  const float* table;
  float* out;
};

/// (E1) out = (x - mean) / deviation of values x (rows, C, P), with one mean and deviation for each channel.
struct Standardize {
  const float* x;
  std::size_t rows, C, P;
  const float *mean, *deviation;  // (C)
  float* out;
};

/// Spikes (N, T, C M P) in step order: each pixel of pictures (C, P) becomes M trains, neuron m of channel c
/// being channel c M + m, which are looked up in a table (256, M, ceil(T / 64)): bit t % 64 of word t / 64 is
/// step t.
struct TableEncode {
  Pictures pictures;
  std::size_t C, P, M, T;
  const std::uint64_t* table;
  std::uint64_t* words;
};

/// (E7) Spikes (N, T, C W) in step order, or (N, T, 2 C W) with off_spikes, of pictures (C, T, W): where row
/// t is brighter than the one before by `least` or more.
struct DeltaEncode {
  Pictures pictures;
  std::size_t C, T, W;
  int least;
  bool padding;     // whether row 0 is silent
  bool off_spikes;  // whether falls fire too, behind the rises
  std::uint64_t* words;
};

/// Spikes over T steps, in step order: step t is step t mod period.T of `period`, row-major in either order.
struct RepeatSpikes {
  SpikesView period;
  std::size_t T;
  std::uint64_t* words;
};

// What else is done with pictures and spikes.

/// Pictures (N, C, H, W), each moved by up to `padding` rows and columns, with black where nothing comes
/// from, then flipped or not. What is done to the n-th is drawn at addresses[n]: three numbers, for down,
/// right and the flip.
struct Augment {
  Pictures pictures;
  std::size_t C, H, W;
  std::uint32_t padding;
  bool flip;
  const std::uint32_t* addresses;
  std::array<std::uint32_t, 2> key;
  std::uint8_t* out;
};

/// Counts spikes in the first lengths[n] steps of each sample.
struct CountSpikes {
  SpikesView spikes;
  const std::uint32_t* lengths = nullptr;  // (N); none: all have T
  std::uint64_t* by_feature = nullptr;     // (F) those of each feature; or
  std::uint64_t* sums = nullptr;           // (2) all of them, and those at the last of these steps
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_ENCODE_OPERATION(X) \
  X(PoissonEncode)                          \
  X(LookUp)                                 \
  X(Standardize)                            \
  X(TableEncode)                            \
  X(DeltaEncode)                            \
  X(RepeatSpikes)                           \
  X(Augment)                                \
  X(CountSpikes)

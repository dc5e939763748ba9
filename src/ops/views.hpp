#pragma once

#include <cstddef>
#include <cstdint>

namespace volley {

class SampleSource;

namespace ops {

/// Spikes; the two orders are those of signal/spike_words.hpp.
struct SpikesView {
  std::size_t N = 0, T = 0, F = 0;
  bool trains = false;        // the order: for each feature its steps, or else for each step the features
  std::size_t positions = 1;  // H W in step order that lies channels-last
  std::size_t row_words = 0;  // of a (sample, step), or of a (sample, feature)
  const std::uint64_t* words = nullptr;
  const std::uint32_t* active = nullptr;        // (N, F), of trains
  const std::uint32_t* active_count = nullptr;  // (N), of trains

  /// The words of sample n.
  const std::uint64_t* sample(std::size_t n) const { return words + n * (trains ? F : T) * row_words; }
};

/// A signal (N, S, F): real values or spikes.
struct SignalView {
  std::size_t N = 0, S = 0, F = 0;
  const float* values = nullptr;
  bool is_spikes = false;
  SpikesView spikes;

  std::size_t rows() const { return N * S; }
};

/// Values (N, S, features) in memory, or those that a device computes as it reads them.
struct Values {
  const float* memory = nullptr;
  const SampleSource* source = nullptr;
};

/// Which positions of one picture each position of another looks at: index (positions, taps) holds a
/// position, or kOutside. Convolutions and pools, forward and backward, know of windows, strides and padding
/// only this.
inline constexpr std::int32_t kOutside = -1;

struct Taps {
  const std::int32_t* index;
  std::size_t positions;
  std::size_t taps;
  bool partition = false;  // whether every position there is looked at, and by one tap alone
};

}  // namespace ops
}  // namespace volley

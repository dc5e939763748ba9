#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <volley/tensor.hpp>

namespace volley {

/// What the outputs of a batch of N samples should be, and how much each sample counts.
struct Targets {
  std::vector<std::uint32_t> labels;   // (N) a class for each sample, or (N, T) one for each of its steps
  Tensor values;                       // real: (N, K), or (N, T, K) for each step
  std::vector<float> weights;          // (N), each >= 0: how much a sample counts; none: all alike
  std::vector<std::uint32_t> lengths;  // (N), 1 to T: the steps that a sample has; none: all T
  /// (N, T): 1 for a step that counts, 0 for one that a loss passes over, as if the sample did not have it;
  /// each sample has one that counts. None: all count. What lies beyond a length is not read. The network
  /// sees every step.
  std::vector<std::uint8_t> mask;
  std::vector<Targets> heads;  // for a loss of several heads: the labels or values of each

  /// The steps that sample n has, of T.
  std::size_t steps_of(std::size_t n, std::size_t T) const { return lengths.empty() ? T : lengths[n]; }
  /// Whether step t of sample n, of T, counts.
  bool counts(std::size_t n, std::size_t t, std::size_t T) const {
    return t < steps_of(n, T) && (mask.empty() || mask[n * T + t] != 0);
  }
};

}  // namespace volley

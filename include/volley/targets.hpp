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
  std::vector<Targets> heads;          // for a loss of several heads: the labels or values of each

  /// The steps that sample n has, of T.
  std::size_t steps_of(std::size_t n, std::size_t T) const { return lengths.empty() ? T : lengths[n]; }
};

}  // namespace volley

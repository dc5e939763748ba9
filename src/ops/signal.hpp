#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/views.hpp"

namespace volley::ops {

// A signal in another form: its layout, its stored steps, the order of its spikes.

/// y (N, to, rows columns) from x (N, from, rows columns). One step is repeated; several are added up to one,
/// ascending. With `turn` a step of x is a matrix (rows, columns), of which y has the transpose.
struct ConvertValues {
  Values x;
  std::size_t N, from, to, rows, columns;
  bool turn = false;
  float* y;
};

/// y (N, T, F) = 0 and 1, in the layout of spikes in step order.
struct SpikesToValues {
  SpikesView s;
  float* y;
};

/// Spikes from train order to step order, row-major.
struct SpikesToSteps {
  SpikesView s;
  std::uint64_t* steps;
};

/// Spikes of C channels, in either order, to step order and another layout, of `row_words` words a step.
struct SpikesToLayout {
  SpikesView s;
  std::size_t C;
  bool channels_last;
  std::uint64_t* steps;
  std::size_t row_words;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_SIGNAL_OPERATION(X) \
  X(ConvertValues) X(SpikesToValues) X(SpikesToSteps) X(SpikesToLayout)

#pragma once

#include <algorithm>

#include <volley/signal.hpp>

#include "kernels/neuron.hpp"
#include "layers/spike_words.hpp"

namespace volley {

/// What the kernels of neurons must know of a pass from currents x to spikes s.
inline kernels::NeuronShape shape_of(const Signal& x, const Spikes& s) {
  const std::size_t P = SpikeWords::positions(s);
  return {.N = x.samples(),
          .T = x.steps(),
          .P = P,
          .F = x.features() / std::max<std::size_t>(P, 1),
          .row_words = SpikeWords::row_words(s) / std::max<std::size_t>(P, 1),
          .constant = x.constant()};
}

/// Where a sample begins in the arrays of a pass.
struct NeuronPlace {
  std::size_t values, current, words, neuron;
};
inline NeuronPlace place_of(std::size_t n, const kernels::NeuronShape& shape) {
  const std::size_t size = shape.P * shape.F;
  return {.values = n * shape.T * size,
          .current = n * shape.current_steps() * size,
          .words = n * shape.T * shape.P * shape.row_words,
          .neuron = n * size};
}

/// The samples from begin to end.
inline kernels::NeuronShape part_of(kernels::NeuronShape shape, std::size_t begin, std::size_t end) {
  shape.N = end - begin;
  return shape;
}

}  // namespace volley

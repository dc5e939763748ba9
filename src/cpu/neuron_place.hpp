#pragma once

#include <cstddef>

#include "ops/neuron.hpp"

namespace volley::cpu {

/// Where a sample begins in the arrays of a pass.
struct NeuronPlace {
  std::size_t values, current, words, neuron;
};
inline NeuronPlace place_of(std::size_t n, const ops::NeuronShape& shape) {
  const std::size_t size = shape.P * shape.F;
  return {.values = n * shape.T * size,
          .current = n * shape.current_steps() * size,
          .words = n * shape.T * shape.P * shape.row_words,
          .neuron = n * size};
}

/// The samples from begin to end.
inline ops::NeuronShape part_of(ops::NeuronShape shape, std::size_t begin, std::size_t end) {
  shape.N = end - begin;
  return shape;
}

}  // namespace volley::cpu

#pragma once

#include <algorithm>
#include <vector>

#include <volley/layer.hpp>
#include <volley/signal.hpp>

#include "layers/spike_words.hpp"
#include "ops/executor.hpp"
#include "ops/neuron.hpp"

namespace volley {

/// What the operations of neurons must know of a pass from currents x to spikes s.
inline ops::NeuronShape shape_of(const Signal& x, const Spikes& s) {
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

/// Adds to the gradient of each parameter that is learned what is in `partial`, for each parameter (samples,
/// rows, F).
inline void add_parameter_gradients(std::vector<Parameter>& numbers,
                                    const std::vector<Buffer<float>>& partial, std::size_t samples,
                                    std::size_t rows, std::size_t F, Executor& device) {
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    if (numbers[k].gradient.size() == 0) continue;  // not learned
    device.run(ops::NeuronParameterGradient{.gradient = device.update(numbers[k].gradient),
                                            .partial = device.read(partial[k]),
                                            .samples = samples,
                                            .rows = rows,
                                            .F = F,
                                            .per_feature = numbers[k].gradient.size() > 1});
  }
}

}  // namespace volley

#pragma once

#include <algorithm>
#include <vector>

#include <volley/neuron.hpp>
#include <volley/signal.hpp>

#include "layers/carry.hpp"
#include "ops/executor.hpp"
#include "ops/neuron.hpp"
#include "signal/spike_words.hpp"

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

/// The values of a layer's numbers, for the operations of a device.
ops::NeuronParameters numbers_of(const NeuronLayer& layer, Executor& device);
/// Where it is a custom one, only for as long as the options live.
ops::Surrogate surrogate_of(const AnyNeuron& options);

/// What the neurons of `layer` did in a pass of currents x, in memory, that went on from `carry`.
Membrane neuron_membrane(const NeuronLayer& layer, const Signal& x, const ops::NeuronShape& shape,
                         const Carry& carry, Executor& device);

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

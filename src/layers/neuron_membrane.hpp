#pragma once

#include <volley/layer.hpp>
#include <volley/neuron.hpp>

#include "layers/carry.hpp"

namespace volley {

/// The membranes of a pass of `layer`, whose currents are x and whose spikes were s, both in memory and in
/// one layout: computed by the plain scalar version of the neuron, from `carry` on.
Membrane neuron_membrane(const NeuronLayer& layer, const Signal& x, const Signal& s, const Carry& carry);

}  // namespace volley

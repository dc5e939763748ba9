#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/neuron.hpp"
#include "ops/neurons.hpp"

namespace volley::kernels {

using ops::Firing, ops::NeuronCarry, ops::NeuronGradients, ops::NeuronParameters, ops::NeuronShape;
using ops::kMaxNeuronParameters, ops::kMaxNeuronStates;

/// Floats of scratch that a neuron's backward needs for T steps, whatever the target: for each of 4 slices of
/// up to 16 lanes at most 2 state variables, the distance from the threshold and the derivative there. A
/// refractory period is one state variable more.
constexpr std::size_t neuron_scratch_size(std::size_t T, std::size_t refractory = 0) {
  return T * 64 * (refractory > 0 ? 5 : 4);
}

/// What neurons did: h after charge, v after the step, and the threshold, (N, T, P, F) each.
struct NeuronPotentials {
  float *h, *v, *threshold;
};

/// The kernels of one kind of neuron, by its numbers (ops/neurons.hpp), as one instruction set has them.
template <class Numbers>
struct NeuronKernels {
  void (*forward)(std::uint64_t* s, const float* x, const Numbers& neuron, const NeuronParameters& p,
                  const NeuronShape& shape, const NeuronCarry& carry);
  void (*backward)(const NeuronGradients& gradients, const float* ds, const float* x, const Numbers& neuron,
                   const ops::Surrogate& surrogate, const NeuronParameters& p, const NeuronShape& shape,
                   const NeuronCarry& carry, float* scratch);
  void (*trace)(const NeuronPotentials& out, const float* x, const Numbers& neuron, const NeuronParameters& p,
                const NeuronShape& shape, const NeuronCarry& carry);
};

/// Those of the instruction set in use. Specialised for each kind in its kernel unit; twins in spec/.
template <class Numbers>
NeuronKernels<Numbers> neuron_kernels();

/// s (N, T, P, row_words) from the currents x (N, T or 1, P, F).
template <class Numbers>
void neuron_forward(std::uint64_t* s, const float* x, const Numbers& neuron, const NeuronParameters& p,
                    const NeuronShape& shape, const NeuronCarry& carry = {}) {
  neuron_kernels<Numbers>().forward(s, x, neuron, p, shape, carry);
}

/// The gradients from ds (N, T, P, F) and the currents x of the forward pass, from which, and from
/// carry.before, the potentials are recomputed. `scratch` has neuron_scratch_size(T,
/// neuron.firing.refractory) floats, 64-byte aligned.
template <class Numbers>
void neuron_backward(const NeuronGradients& gradients, const float* ds, const float* x, const Numbers& neuron,
                     const ops::Surrogate& surrogate, const NeuronParameters& p, const NeuronShape& shape,
                     float* scratch, const NeuronCarry& carry = {}) {
  neuron_kernels<Numbers>().backward(gradients, ds, x, neuron, surrogate, p, shape, carry, scratch);
}

/// The potentials of a pass over the currents x, from carry.before on.
template <class Numbers>
void neuron_trace(const NeuronPotentials& out, const float* x, const Numbers& neuron,
                  const NeuronParameters& p, const NeuronShape& shape, const NeuronCarry& carry) {
  neuron_kernels<Numbers>().trace(out, x, neuron, p, shape, carry);
}

/// gradient (1 or F) += the sums of `partial` (samples, rows, F) over samples and rows, and over F,
/// ascending, where there is one number. The sum of a block of samples is in double, and rounded; BlockTree
/// joins them.
void add_neuron_gradient(float* gradient, const float* partial, std::size_t samples, std::size_t rows,
                         std::size_t F, bool per_feature);

}  // namespace volley::kernels

#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include <volley/neuron_options.hpp>

#include "ops/neuron.hpp"

namespace volley::kernels {

using ops::kMaxNeuronParameters, ops::kMaxNeuronStates;
using ops::NeuronCarry, ops::NeuronGradients, ops::NeuronParameters, ops::NeuronShape;

/// Floats of scratch that a neuron's backward needs for T steps, whatever the target: for each of 4 slices of
/// up to 16 lanes at most 2 state variables, the distance from the threshold and the derivative there. A
/// refractory period is one state variable more.
constexpr std::size_t neuron_scratch_size(std::size_t T, std::size_t refractory = 0) {
  return T * 64 * (refractory > 0 ? 5 : 4);
}

/// What happens at the threshold: (L3) and (L6) of docs/math/lif.md. Lowered once, the same for all neurons.
struct NeuronReset {
  float v_threshold;
  float fire_from;  // fires when h >= this
  float kappa;      // after a spike v = kappa h + c
  float c;
  float v_rest;   // the potential that a leak pulls to
  float v_start;  // potential at the start of a pass
  bool detached;
};

template <class Options>
NeuronReset reset_of(const Options& o) {
  // In floats, h > a is h >= the number after a.
  const float above = std::nextafter(o.v_threshold, std::numeric_limits<float>::infinity());
  return {.v_threshold = o.v_threshold,
          .fire_from = o.fires_at_threshold ? o.v_threshold : above,
          .kappa = o.v_reset.has_value() ? 0.0f : 1.0f,
          .c = o.v_reset.value_or(-o.v_threshold),
          .v_rest = o.v_reset.value_or(0.0f),
          .v_start = o.v_init.value_or(o.v_reset.value_or(0.0f)),
          .detached = o.detach_reset};
}

/// What neurons did: h after charge, v after the step, and the threshold, (N, T, P, F) each.
struct NeuronPotentials {
  float *h, *v, *threshold;
};

/// The kernels of one kind of neuron, as one instruction set has them.
template <class Options>
struct NeuronKernels {
  void (*forward)(std::uint64_t* s, const float* x, const Options& neuron, const NeuronParameters& p,
                  const NeuronShape& shape, const NeuronCarry& carry);
  void (*backward)(const NeuronGradients& gradients, const float* ds, const float* x, const Options& neuron,
                   const NeuronParameters& p, const NeuronShape& shape, const NeuronCarry& carry,
                   float* scratch);
  void (*trace)(const NeuronPotentials& out, const float* x, const Options& neuron, const NeuronParameters& p,
                const NeuronShape& shape, const NeuronCarry& carry);
};

/// Those of the instruction set in use. Specialised for each kind in its kernel unit; twins in spec/.
template <class Options>
NeuronKernels<Options> neuron_kernels();

/// s (N, T, P, row_words) from the currents x (N, T or 1, P, F).
template <class Options>
void neuron_forward(std::uint64_t* s, const float* x, const Options& neuron, const NeuronParameters& p,
                    const NeuronShape& shape, const NeuronCarry& carry = {}) {
  neuron_kernels<Options>().forward(s, x, neuron, p, shape, carry);
}

/// The gradients from ds (N, T, P, F) and the currents x of the forward pass, from which, and from
/// carry.before, the potentials are recomputed. `scratch` has neuron_scratch_size(T, neuron.refractory)
/// floats, 64-byte aligned.
template <class Options>
void neuron_backward(const NeuronGradients& gradients, const float* ds, const float* x, const Options& neuron,
                     const NeuronParameters& p, const NeuronShape& shape, float* scratch,
                     const NeuronCarry& carry = {}) {
  neuron_kernels<Options>().backward(gradients, ds, x, neuron, p, shape, carry, scratch);
}

/// The potentials of a pass over the currents x, from carry.before on.
template <class Options>
void neuron_trace(const NeuronPotentials& out, const float* x, const Options& neuron,
                  const NeuronParameters& p, const NeuronShape& shape, const NeuronCarry& carry) {
  neuron_kernels<Options>().trace(out, x, neuron, p, shape, carry);
}

/// gradient (1 or F) += the sums of `partial` (samples, rows, F) over samples and rows, and over F,
/// ascending, where there is one number. The sum of a block of samples is in double, and rounded; BlockTree
/// joins them.
void add_neuron_gradient(float* gradient, const float* partial, std::size_t samples, std::size_t rows,
                         std::size_t F, bool per_feature);

}  // namespace volley::kernels

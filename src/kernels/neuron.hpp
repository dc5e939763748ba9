#pragma once

#include <cstddef>
#include <cstdint>

#include <volley/surrogate.hpp>

namespace volley::kernels {

/// A pass of neurons: N samples, T steps, F features; spikes are packed 64 features to a word, `row_words`
/// words for each (sample, step), padding bits 0.
struct NeuronShape {
  std::size_t N;
  std::size_t T;
  std::size_t F;
  std::size_t row_words;
};

/// What happens at the threshold: (L3) and (L6) of docs/math/lif.md.
struct NeuronReset {
  float v_threshold;
  float kappa;  // after a spike v = kappa h + c
  float c;
  float v_rest;  // potential at the start of a pass
  bool detached;
};

/// Floats of scratch that a neuron's backward needs for T steps, whatever the target.
constexpr std::size_t neuron_scratch_size(std::size_t T) { return T * 64; }

/// LIF, lowered: constants computed once, in double.
struct LIFKernel {
  NeuronReset reset;
  float inv_tau;
  float dh_dx;
  float dh_dv;
  bool decay_input;
};

/// s (N, T, row_words) from currents x (N, T, F). Twin: reference/lif.hpp.
void lif_forward(std::uint64_t* s, const float* x, const LIFKernel& neuron, const NeuronShape& shape);

/// dx (N, T, F) from ds (N, T, F); h is recomputed from x (N, T, F), the currents of the forward pass.
/// `scratch` has neuron_scratch_size(T) floats, 64-byte aligned.
void lif_backward(float* dx, const float* ds, const float* x, const LIFKernel& neuron,
                  const Surrogate& surrogate, const NeuronShape& shape, float* scratch);

}  // namespace volley::kernels

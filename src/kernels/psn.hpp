#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/neuron.hpp"

namespace volley::kernels {

// One sample at a time: shape.N is not looked at. Twin: spec/psn.hpp.

/// Floats of scratch that psn_forward and psn_backward need.
inline std::size_t psn_scratch_size(const NeuronShape& shape) {
  return 3 * shape.T * shape.P * shape.F + shape.P * shape.F;
}

/// s (T, P, row_words) from the currents x (T or 1, P, F), with the matrix (T, T) and the bias (T).
void psn_forward(std::uint64_t* s, const float* x, const float* matrix, const float* bias,
                 const NeuronShape& shape, float* scratch);

/// dx (T or 1, P, F), and the sample's gradients of matrix and bias, `partial` (T T + T).
void psn_backward(float* dx, float* partial, const float* ds, const float* x, const float* matrix,
                  const float* bias, const ops::Surrogate& surrogate, const NeuronShape& shape,
                  float* scratch);

}  // namespace volley::kernels

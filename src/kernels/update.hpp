#pragma once

#include <cstddef>

#include "reference/optimizer.hpp"

namespace volley::kernels {

// One update of n weights; each weight by itself, so any cut of the range gives the same bits. Twins and
// coefficients: reference/optimizer.hpp.

/// w, momentum (n) change; `momentum` is not touched where c.momentum is 0 and may then be null.
void sgd_step(float* w, float* momentum, const float* gradient, const reference::SgdCoefficients<float>& c,
              std::size_t n);

/// w, m, v (n) change.
void adam_step(float* w, float* m, float* v, const float* gradient,
               const reference::AdamCoefficients<float>& c, std::size_t n);

}  // namespace volley::kernels

#pragma once

#include <cstddef>

#include "ops/update.hpp"

namespace volley::kernels {

// One update of n weights; each weight by itself, so any cut of the range gives the same bits. Twins:
// spec/optimizer.hpp.

/// w, momentum (n) change; `momentum` is not touched where c.momentum is 0 and may then be null.
void sgd_step(float* w, float* momentum, const float* gradient, const ops::SgdCoefficients& c, std::size_t n);

/// w, m, v (n) change.
void adam_step(float* w, float* m, float* v, const float* gradient, const ops::AdamCoefficients& c,
               std::size_t n);

}  // namespace volley::kernels

#pragma once

#include <cstddef>

#include "ops/surrogates.hpp"

namespace volley::kernels {

/// g(x) for each of `count` values of x = h - v_threshold. Twin: spec/surrogate.hpp.
void surrogate_derivatives(float* g, const float* x, std::size_t count, const ops::Surrogate& surrogate);

}  // namespace volley::kernels

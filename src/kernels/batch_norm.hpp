#pragma once

#include <cstddef>

namespace volley::kernels {

// Channels of rows (rows, C), a row being one position of one step of one sample. Twins, and what the
// coefficients are: spec/batch_norm.hpp.

/// sum of y and dot of x y over the rows, ascending, in double; x, y (rows, C); sum, dot (C). The same bits
/// on any target.
void channel_sums(double* sum, double* dot, const float* x, const float* y, std::size_t rows, std::size_t C);

/// y = scale x + offset; y, x (rows, C); scale, offset (C).
void batch_norm_forward(float* y, const float* x, const float* scale, const float* offset, std::size_t rows,
                        std::size_t C);

/// dx = scale dy + (slope x + offset); dx, dy, x (rows, C); scale, slope, offset (C).
void batch_norm_backward(float* dx, const float* dy, const float* x, const float* scale, const float* slope,
                         const float* offset, std::size_t rows, std::size_t C);

}  // namespace volley::kernels

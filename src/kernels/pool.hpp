#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/taps.hpp"

namespace volley::kernels {

// Pools of one picture that lies channels-last; twins in spec/pool.hpp, derivation in docs/math/pool.md.
// Values are (positions, C), spikes (positions, words).

/// y (taps.positions, C) from x.
void max_pool_forward(float* y, const float* x, const Taps& taps, std::size_t C);
/// The same of spikes: their OR.
void max_pool_forward(std::uint64_t* y, const std::uint64_t* x, const Taps& taps, std::size_t words);
/// dx (x_positions, C) from dy and x: to the first of the highest.
void max_pool_backward(float* dx, const float* dy, const float* x, const Taps& taps, std::size_t x_positions,
                       std::size_t C);
void max_pool_backward(float* dx, const float* dy, const std::uint64_t* x, const Taps& taps,
                       std::size_t x_positions, std::size_t C);

/// y (taps.positions, C) from x; the sum of each window times its `scale` (taps.positions).
void avg_pool_forward(float* y, const float* x, const float* scale, const Taps& taps, std::size_t C);
void avg_pool_forward(float* y, const std::uint64_t* x, const float* scale, const Taps& taps, std::size_t C);
/// dx (x_positions, C) from dy.
void avg_pool_backward(float* dx, const float* dy, const float* scale, const Taps& taps,
                       std::size_t x_positions, std::size_t C);

// Of an Upsample, whose taps all are inside; twins in spec/upsample.hpp. `share` (positions, taps) is
// what each tap is multiplied by.

/// y (taps.positions, C) from x.
void share_forward(float* y, const float* x, const float* share, const Taps& taps, std::size_t C);
/// dx (x_positions, C) from dy.
void share_backward(float* dx, const float* dy, const float* share, const Taps& taps, std::size_t x_positions,
                    std::size_t C);

}  // namespace volley::kernels

#pragma once

#include <cstddef>

#include "spec/conv.hpp"

namespace volley::spec {

// Winograd's F(2 x 2, 3 x 3): four outputs from 16 products where 36 would do. Equation numbers are those of
// docs/math/conv.md.

/// (C7) The taps g (3, 3) between two channels, transformed: u (4, 4).
template <class Real>
void winograd_taps(Real* u, const Real* g) {
  const auto spread = [](Real* to, const Real* from, std::size_t to_step, std::size_t from_step) {
    const Real a = from[0], b = from[from_step], c = from[2 * from_step];
    to[0] = a;
    to[to_step] = (a + b + c) / 2;
    to[2 * to_step] = (a - b + c) / 2;
    to[3 * to_step] = c;
  };
  Real rows[12];  // (4, 3)
  for (std::size_t c = 0; c < 3; ++c) spread(rows + c, g + c, 3, 3);
  for (std::size_t r = 0; r < 4; ++r) spread(u + 4 * r, rows + 3 * r, 1, 1);
}

/// (C8) What a tile reads, v (4, 4), transformed in place.
template <class Real>
void winograd_input(Real* v) {
  const auto turn = [](Real* to, std::size_t step) {
    const Real a = to[0], b = to[step], c = to[2 * step], d = to[3 * step];
    to[0] = a - c;
    to[step] = b + c;
    to[2 * step] = c - b;
    to[3 * step] = b - d;
  };
  for (std::size_t c = 0; c < 4; ++c) turn(v + c, 4);
  for (std::size_t r = 0; r < 4; ++r) turn(v + 4 * r, 1);
}

/// (C9) The outputs y (2, 2) of a tile from its sums m (4, 4).
template <class Real>
void winograd_output(Real* y, const Real* m) {
  Real rows[8];  // (2, 4)
  for (std::size_t c = 0; c < 4; ++c) {
    rows[c] = m[c] + m[4 + c] + m[8 + c];
    rows[4 + c] = m[4 + c] - m[8 + c] - m[12 + c];
  }
  for (std::size_t r = 0; r < 2; ++r) {
    const Real* q = rows + 4 * r;
    y[2 * r] = q[0] + q[1] + q[2];
    y[2 * r + 1] = q[1] - q[2] - q[3];
  }
}

/// (C3) by (C7) to (C9), for 3 x 3 taps, stride 1, no dilation and one group. Sums run over the output
/// channels, ascending.
template <class Real>
void conv2d_input_gradient_winograd(Real* dx, const Real* dy, const Real* weight, const Conv2dShape& shape) {
  const Size2 x = shape.picture, y = shape.window.outputs(x), p = shape.window.padding;
  for (std::size_t i = 0; i < shape.in; ++i) {
    for (std::size_t tile = 0; tile < (x.h + 1) / 2 * ((x.w + 1) / 2); ++tile) {
      const std::size_t row = tile / ((x.w + 1) / 2) * 2, column = tile % ((x.w + 1) / 2) * 2;
      Real sums[16] = {};
      for (std::size_t o = 0; o < shape.out; ++o) {
        Real g[9], u[16], v[16];
        for (std::size_t k = 0; k < 9; ++k) g[k] = weight[(o * shape.in + i) * 9 + 8 - k];  // turned
        for (std::size_t k = 0; k < 16; ++k) {
          // dx at r sees dy at r + p - tap: from r + p - 2 to r + p.
          const std::size_t r = row + k / 4 + p.h, c = column + k % 4 + p.w;
          const bool inside = r >= 2 && r - 2 < y.h && c >= 2 && c - 2 < y.w;
          v[k] = inside ? dy[(o * y.h + r - 2) * y.w + c - 2] : Real(0);
        }
        winograd_taps(u, g);
        winograd_input(v);
        for (std::size_t k = 0; k < 16; ++k) sums[k] += v[k] * u[k];
      }
      Real out[4];
      winograd_output(out, sums);
      for (std::size_t k = 0; k < 4; ++k) {
        const std::size_t r = row + k / 2, c = column + k % 2;
        if (r < x.h && c < x.w) dx[(i * x.h + r) * x.w + c] = out[k];
      }
    }
  }
}

}  // namespace volley::spec

#pragma once

#include <cstddef>

#include <volley/window.hpp>

namespace volley::kernels {

// Convolutions of 3 x 3 taps, stride 1 and no dilation by Winograd's F(2 x 2, 3 x 3): 16 products where 36
// would do, for four outputs. Derivation in docs/math/conv.md, twin in spec/winograd.hpp.

/// y looks at x through 3 x 3 taps that begin `before` places above and to the left of its own; rows of x_row
/// and y_row floats at each position.
struct WinogradShape {
  Size2 x, y, before;
  std::size_t in;   // channels of x
  std::size_t out;  // channels of y
  std::size_t x_row;
  std::size_t y_row;

  std::size_t tiles() const { return ((y.h + 1) / 2) * ((y.w + 1) / 2); }
};

inline constexpr std::size_t kWinogradPlaces = 16;  // of a tile of 4 x 4
inline constexpr std::size_t kWinogradTiles = 48;   // that are taken at a time, whatever picture they are of

constexpr std::size_t winograd_row(std::size_t channels) { return (channels + 15) / 16 * 16; }
/// Floats of scratch that winograd needs; 64-byte aligned.
constexpr std::size_t winograd_scratch_size(std::size_t in, std::size_t out) {
  return kWinogradPlaces * kWinogradTiles * (winograd_row(in) + winograd_row(out));
}

/// The transformed taps (16, in, out) that give dx from dy, from weight (in, out, 9): `in` are the channels
/// of dy.
void winograd_weights_backward(float* to, const float* weight, std::size_t in, std::size_t out);

/// y from x, for `pictures` pictures; `zeros` has `in` zeros: what is read outside of x.
void winograd(float* y, const float* x, const float* weights, const float* zeros, const WinogradShape& shape,
              std::size_t pictures, float* scratch);

}  // namespace volley::kernels

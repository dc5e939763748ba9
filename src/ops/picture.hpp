#pragma once

#include <cstddef>
#include <cstdint>

#include <volley/window.hpp>

#include "ops/views.hpp"
#include "ops/workspace.hpp"

namespace volley::ops {

// Layers on pictures that lie channels-last. N samples of S stored pictures.

/// The sizes of a convolution. A transposed one is the adjoint of the convolution of the same window that
/// maps y to x: its outputs see the inputs that would have seen them, with the weights of the other.
struct ConvShape {
  std::size_t N, S;
  std::size_t groups;
  std::size_t in, out;  // channels of a group
  Size2 x, y;           // the pictures that go in and come out
  Taps taps;            // what the positions of y see in x
  bool transposed;      // weight is (groups in, out, taps); otherwise (groups out, in, taps)
};

/// y (N, S, positions, groups out): (C2) of docs/math/conv.md.
struct ConvForward {
  ConvShape shape;
  SignalView x;
  const float* weight;
  const float* bias = nullptr;  // (groups out), or none
  float* y = nullptr;
  Slot* slot;
};

/// Adds to the gradients, and writes dx, of a ConvForward of the same x and slot: (C3) to (C5).
struct ConvBackward {
  ConvShape shape;
  Taps turned{};          // what the positions of x see in y; not needed with Winograd's algorithm
  bool winograd = false;  // whether dx goes by it, with `before` places above and to the left: (C7) to (C9)
  Size2 before = 0;
  SignalView x;
  Values dy;
  const float* weight;
  float* dweight;
  float* dbias = nullptr;
  float* dx = nullptr;  // or none
  Slot* slot;
};

/// The highest of each window, C channels: of values y, of spikes s, their OR.
struct MaxPoolForward {
  SignalView x;
  Taps taps;
  std::size_t C;
  float* y = nullptr;
  std::uint64_t* s = nullptr;
};

/// dx of a MaxPoolForward: to the first of the highest.
struct MaxPoolBackward {
  SignalView x;
  Taps taps;
  std::size_t C;
  const float* dy;
  float* dx = nullptr;
};

/// y = the sum of each window, times its share (positions), or with the share of each tap (positions, taps),
/// where none is outside.
struct WindowSums {
  SignalView x;  // spikes only without `per_tap`
  Taps taps;
  const float* shares;
  bool per_tap = false;
  std::size_t C;
  float* y;
};

/// dx (N, S, x_positions, C) of WindowSums.
struct WindowSumsBackward {
  Taps taps;
  const float* shares;
  bool per_tap = false;
  std::size_t N, S, x_positions, C;
  const float* dy;
  float* dx;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_PICTURE_OPERATION(X) \
  X(ConvForward) X(ConvBackward) X(MaxPoolForward) X(MaxPoolBackward) X(WindowSums) X(WindowSumsBackward)

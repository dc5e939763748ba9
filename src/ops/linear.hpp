#pragma once

#include <cstddef>

#include "ops/views.hpp"
#include "ops/workspace.hpp"

namespace volley::ops {

/// y (N, S, out) = x weight^T + bias, (W1) of docs/math/linear.md.
struct LinearForward {
  SignalView x;                 // row-major
  const float* weight;          // (out, x.F)
  const float* bias = nullptr;  // (out), or none
  float* y;
  std::size_t out;
  Slot* slot;
};

/// Adds the gradients of a LinearForward of the same x and slot: (W3), (W4).
struct LinearGradient {
  SignalView x;
  const float* dy;  // (N, S, out)
  float* weight;
  float* bias = nullptr;
  std::size_t out;
  Slot* slot;
};

/// dx (rows, in) = dy weight: (W5).
struct LinearInputGradient {
  const float* dy;  // (rows, out)
  const float* weight;
  float* dx = nullptr;
  std::size_t rows, in, out;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_LINEAR_OPERATION(X) \
  X(LinearForward)                          \
  X(LinearGradient)                         \
  X(LinearInputGradient)

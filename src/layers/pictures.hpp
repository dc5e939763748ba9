#pragma once

#include <volley/signal.hpp>
#include <volley/window.hpp>

#include "layers/taps.hpp"
#include "signal/views.hpp"

namespace volley {

// What the layers on the pictures (N, T, C, H, W) of a channels-last signal share.

inline Size2 picture_of(const Signal& x) { return {x.shape()[3], x.shape()[4]}; }

/// y of `shape`: the highest that each output sees of x, of spikes their OR.
inline Signal highest_forward(SignalMemory& y, const Signal& x, const TapTable& taps, const Shape& shape,
                              const Tape& tape) {
  Executor& device = executor_of(tape);
  ops::MaxPoolForward op{.x = view_of(x, device), .taps = taps.view(device), .C = shape[2]};
  if (x.is_spikes()) {
    SpikeWords::shape_steps(y.spikes, shape, Layout::channels_last);
    op.s = SpikeWords::write(y.spikes, device);
    device.run(op);
    return y.spikes;
  }
  y.values.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  op.y = device.write(y.values);
  device.run(op);
  return {y.values, shape, Layout::channels_last};
}

/// y of `shape`: the sum of what each output sees, times its share, or, `per_tap`, those of its taps.
inline Signal window_forward(Tensor& y, const Signal& x, const TapTable& taps, bool per_tap,
                             const Shape& shape, const Tape& tape) {
  Executor& device = executor_of(tape);
  y.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  device.run(ops::WindowSums{.x = view_of(x, device),
                             .taps = taps.view(device),
                             .shares = taps.shares(device),
                             .per_tap = per_tap,
                             .C = shape[2],
                             .y = device.write(y)});
  return {y, shape, Layout::channels_last};
}

/// And dx.
inline Signal window_backward(const Signal& x, const Signal& dy, const TapTable& taps, bool per_tap,
                              Tape& tape) {
  Executor& device = executor_of(tape);
  Tensor& dx = tape.dx_memory();
  dx.resize(x.stored_shape());
  device.run(ops::WindowSumsBackward{.taps = taps.view(device),
                                     .shares = taps.shares(device),
                                     .per_tap = per_tap,
                                     .N = x.samples(),
                                     .S = x.stored_steps(),
                                     .x_positions = picture_of(x).area(),
                                     .C = x.shape()[2],
                                     .dy = values_of(dy, device),
                                     .dx = device.write(dx)});
  return {dx, x.shape(), Layout::channels_last};
}

}  // namespace volley

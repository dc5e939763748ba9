#pragma once

#include <volley/signal.hpp>
#include <volley/tape.hpp>

#include "ops/executor.hpp"
#include "ops/sample_source.hpp"
#include "signal/spike_words.hpp"

namespace volley {

// What layers, losses and encoders hand to the operations of a device.

inline Executor& executor_of(const Tape& tape) { return DeviceAccess::executor(tape.device()); }

/// The stored values of a signal of real values.
inline const float* values_of(const Signal& x, Executor& device) {
  return device.read(SignalAccess::values(x));
}

/// The same, or what computes them as they are read.
inline ops::Values operand_of(const Signal& x, Executor& device) {
  if (const SampleSource* source = source_of(x); source != nullptr) return {.source = source};
  return {.memory = values_of(x, device)};
}

/// A signal in memory, as it lies there.
inline ops::SignalView view_of(const Signal& x, Executor& device) {
  ops::SignalView view{
      .N = x.samples(), .S = x.stored_steps(), .F = x.features(), .is_spikes = x.is_spikes()};
  if (x.is_spikes()) {
    view.spikes = SpikeWords::view(x.spikes(), device);
  } else {
    view.values = values_of(x, device);
  }
  return view;
}

}  // namespace volley

#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>

#include <volley/signal.hpp>
#include <volley/tape.hpp>

#include "ops/executor.hpp"
#include "ops/sample_source.hpp"
#include "signal/spike_words.hpp"

namespace volley {

// What layers, losses and encoders hand to the operations of a device.

inline Executor& executor_of(const Tape& tape) { return DeviceAccess::executor(tape.device()); }

/// `values` where the device reads them; null where there are none. Unless it keeps them, they are then in
/// `memory`: what is there already is not copied again.
template <class T>
const T* put(Buffer<T>& memory, std::type_identity_t<std::span<const T>> values, Executor& device) {
  if constexpr (std::is_same_v<T, std::uint32_t>) {
    if (const T* kept = device.find(values); kept != nullptr) return kept;
  }
  if (!std::ranges::equal(std::as_const(memory).span(), values)) {
    memory.resize(values.size());
    std::ranges::copy(values, memory.data());
  }
  return values.empty() ? nullptr : device.read(memory);
}

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

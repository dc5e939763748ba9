#pragma once

#include "cpu/cpu_executor.hpp"
#include "cpu/spikes.hpp"
#include "signal/signal_forms.hpp"
#include "signal/spike_words.hpp"

namespace volley {

// The forms of signals by the threads of a pool, where a test has no tape.

inline Signal in_form(const Signal& x, const Form& form, SignalMemory& memory, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  return in_form(x, form, memory, host);
}
/// x in memory and in `layout`; spikes stay spikes.
inline Signal in_layout(const Signal& x, Layout layout, SignalMemory& memory, ThreadPool& threads) {
  return in_form(x, {.values = Form::Values::any, .layout = layout, .constant = true}, memory, threads);
}
inline Signal in_form_of(const Signal& x, const Signal& dy, SignalMemory& memory, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  return in_form_of(x, dy, memory, host);
}

/// The same row-major spikes in another order.
inline void to_trains(Spikes& out, const Spikes& steps, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  SpikeWords::make_trains(out, steps.shape());
  cpu::to_trains(SpikeWords::write(out, host), SpikeWords::write_active(out, host),
                 SpikeWords::write_active_count(out, host), SpikeWords::view(steps, host), threads);
}
inline void to_steps(Spikes& out, const Spikes& trains, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  SpikeWords::to_steps(out, trains, host);
}
inline void to_layout(Spikes& out, const Spikes& in, const Shape& shape, Layout layout, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  SpikeWords::to_layout(out, in, shape, layout, host);
}

}  // namespace volley

#include "signal/signal_forms.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "cpu/cpu_executor.hpp"
#include "signal/spike_words.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

/// The values of x as a signal that lies in `layout` and stores `stored_steps`.
Signal converted(const Signal& x, Layout layout, std::size_t stored_steps, Tensor& memory, Executor& device) {
  const Shape& shape = x.shape();
  // A step that is turned is a matrix, (C, H W) or (H W, C).
  const bool turn = layout != x.layout();
  const std::size_t C = turn ? shape[2] : 1, P = x.features() / std::max<std::size_t>(C, 1);
  const bool to_channels_last = layout == Layout::channels_last;
  memory.resize(stored_shape(shape, layout, stored_steps));
  device.run(ops::ConvertValues{.x = operand_of(x, device),
                                .N = x.samples(),
                                .from = x.stored_steps(),
                                .to = stored_steps,
                                .rows = to_channels_last ? C : P,
                                .columns = to_channels_last ? P : C,
                                .turn = turn,
                                .y = device.write(memory)});
  return Signal(memory, shape, layout);
}

}  // namespace

Signal in_form(const Signal& x, const Form& form, SignalMemory& memory, Executor& device, bool by_sample) {
  const Layout layout = form.layout.value_or(x.layout());
  if (x.is_spikes()) {
    Signal spikes = x;
    if (layout != x.layout()) {
      SpikeWords::to_layout(memory.spikes, x.spikes(), x.shape(), layout, device);
      spikes = memory.spikes;
    }
    return form.values == Form::Values::any ? spikes : real_values(spikes, memory, device);
  }
  const std::size_t steps = form.constant ? x.stored_steps() : x.steps();
  const bool in_memory = source_of(x) == nullptr || by_sample;
  if (in_memory && layout == x.layout() && steps == x.stored_steps()) return x;
  return converted(x, layout, steps, memory.values, device);
}

Signal in_form_of(const Signal& x, const Signal& dy, SignalMemory& memory, Executor& device) {
  if (dy.layout() == x.layout() && dy.stored_steps() == x.stored_steps()) return dy;
  if (dy.stored_steps() < x.stored_steps()) {
    throw ShapeError("signal",
                     fmt::format("a gradient must store all {} steps, as its signal does", x.steps()),
                     dy.stored_shape());
  }
  return converted(dy, x.layout(), x.stored_steps(), memory.values, device);
}

Signal in_step_order(const Signal& x, SignalMemory& memory, Executor& device) {
  if (!x.is_spikes() || !SpikeWords::in_trains(x.spikes())) return x;
  SpikeWords::to_steps(memory.spikes, x.spikes(), device);
  return memory.spikes;
}

Signal real_values(const Signal& x, SignalMemory& memory, Executor& device) {
  if (!x.is_spikes()) return x;
  const Signal steps = in_step_order(x, memory, device);
  memory.values.resize(x.stored_shape());
  device.run(
      ops::SpikesToValues{.s = SpikeWords::view(steps.spikes(), device), .y = device.write(memory.values)});
  return Signal(memory.values, x.shape(), x.layout());
}

Signal plain(const Signal& x, SignalMemory& memory, Executor& device) {
  return in_form(x, {.values = Form::Values::any}, memory, device);
}

Signal real_values(const Signal& x, SignalMemory& memory, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  return real_values(x, memory, host);
}

Signal plain(const Signal& x, SignalMemory& memory, ThreadPool& threads) {
  cpu::CpuExecutor host(threads);
  return plain(x, memory, host);
}

}  // namespace volley

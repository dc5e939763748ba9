#include "layers/signal_forms.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "core/workspace.hpp"
#include "kernels/bits.hpp"
#include "kernels/linear.hpp"
#include "layers/spike_words.hpp"
#include "reference/constant.hpp"

namespace volley {
namespace {

/// The values of x as a signal that lies in `layout` and stores `stored_steps`: one step is repeated, several
/// are added up to one.
Signal converted(const Signal& x, Layout layout, std::size_t stored_steps, Tensor& memory,
                 ThreadPool& threads) {
  const Shape& shape = x.shape();
  const std::size_t F = x.features();
  // A step that is turned is a matrix, (C, H W) or (H W, C).
  const bool turned = layout != x.layout();
  const std::size_t C = turned ? shape[2] : 1;
  const std::size_t P = F / std::max<std::size_t>(C, 1);
  const std::size_t rows = layout == Layout::channels_last ? C : P;
  const std::size_t columns = layout == Layout::channels_last ? P : C;
  const bool sum = stored_steps < x.stored_steps();
  const std::size_t steps = std::min(stored_steps, x.stored_steps());
  memory.resize(stored_shape(shape, layout, stored_steps));
  parallel_for(threads, x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> total(sum ? F : 0);
    for (std::size_t n = begin; n < end; ++n) {
      SampleValues values(x, n, n + 1);
      const float* from = values.data();
      float* to = memory.data() + n * stored_steps * F;
      if (sum) {
        reference::sum_over_steps(total.data(), from, x.steps(), F);
        from = total.data();
      }
      for (std::size_t t = 0; t < steps; ++t) {
        if (turned) {
          kernels::transpose(to + t * F, from + t * F, rows, columns);
        } else {
          std::copy_n(from + t * F, F, to + t * F);
        }
      }
      for (std::size_t t = steps; t < stored_steps; ++t) std::copy_n(to, F, to + t * F);
    }
  });
  return Signal(memory, shape, layout);
}

}  // namespace

SampleValues::SampleValues(const Signal& x, std::size_t begin, std::size_t end)
    : in_memory_(source_of(x) == nullptr ? x.values() + begin * x.stored_steps() * x.features() : nullptr),
      made_(in_memory_ == nullptr ? (end - begin) * x.stored_steps() * x.features() : 0) {
  if (in_memory_ != nullptr) return;
  const std::size_t size = x.stored_steps() * x.features();
  for (std::size_t n = begin; n < end; ++n) source_of(x)->read(made_.data() + (n - begin) * size, n);
}

void Taken::read(std::size_t n) const {
  if (source != nullptr) source->read(memory->data() + n * values.stored_steps() * values.features(), n);
}

Taken take(const Signal& x, Tensor& memory) {
  if (source_of(x) == nullptr) return {x};
  memory.resize(x.stored_shape());
  return {x.with_values(memory), source_of(x), &memory};
}

Signal in_form(const Signal& x, const Form& form, SignalMemory& memory, ThreadPool& threads, bool by_sample) {
  const Layout layout = form.layout.value_or(x.layout());
  if (x.is_spikes()) {
    Signal spikes = x;
    if (layout != x.layout()) {
      SpikeWords::to_layout(memory.spikes, x.spikes(), x.shape(), layout, threads);
      spikes = memory.spikes;
    }
    return form.values == Form::Values::any ? spikes : real_values(spikes, memory, threads);
  }
  const std::size_t steps = form.constant ? x.stored_steps() : x.steps();
  const bool in_memory = source_of(x) == nullptr || by_sample;
  if (in_memory && layout == x.layout() && steps == x.stored_steps()) return x;
  return converted(x, layout, steps, memory.values, threads);
}

Signal in_layout(const Signal& x, Layout layout, SignalMemory& memory, ThreadPool& threads) {
  return in_form(x, {.values = Form::Values::any, .layout = layout, .constant = true}, memory, threads);
}

Signal in_form_of(const Signal& x, const Signal& dy, SignalMemory& memory, ThreadPool& threads) {
  if (dy.layout() == x.layout() && dy.stored_steps() == x.stored_steps()) return dy;
  if (dy.stored_steps() < x.stored_steps()) {
    throw ShapeError("signal",
                     fmt::format("a gradient must store all {} steps, as its signal does", x.steps()),
                     dy.stored_shape());
  }
  return converted(dy, x.layout(), x.stored_steps(), memory.values, threads);
}

Signal real_values(const Signal& x, SignalMemory& memory, ThreadPool& threads) {
  if (!x.is_spikes()) return x;
  const Spikes* spikes = &x.spikes();
  if (SpikeWords::in_trains(*spikes)) {
    SpikeWords::to_steps(memory.spikes, *spikes, threads);
    spikes = &memory.spikes;
  }
  const std::size_t positions = SpikeWords::positions(*spikes);
  const std::size_t words = SpikeWords::row_words(*spikes) / positions;
  const std::size_t rows = x.steps() * positions;  // of a sample; each begins a word
  const std::size_t columns = x.features() / positions;
  memory.values.resize(x.stored_shape());
  parallel_for(threads, x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t r = 0; r < rows; ++r) {
        kernels::bits_to_values(memory.values.data() + (n * rows + r) * columns,
                                SpikeWords::steps(*spikes, n) + r * words, columns);
      }
    }
  });
  return Signal(memory.values, x.shape(), x.layout());
}

Signal plain(const Signal& x, SignalMemory& memory, ThreadPool& threads) {
  return in_form(x, {.values = Form::Values::any}, memory, threads);
}

}  // namespace volley

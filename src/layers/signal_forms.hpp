#pragma once

#include <volley/layer.hpp>
#include <volley/signal.hpp>
#include <volley/signal_forms.hpp>
#include <volley/threads.hpp>

#include "core/workspace.hpp"
#include "layers/sample_source.hpp"

namespace volley {

/// The real values of samples [begin, end) of x: where they are in memory, or, if a source computes them, in
/// the thread's workspace.
class SampleValues {
 public:
  SampleValues(const Signal& x, std::size_t begin, std::size_t end);
  const float* data() { return in_memory_ != nullptr ? in_memory_ : made_.data(); }

 private:
  const float* in_memory_;
  Scratch<float> made_;
};

/// A signal that is copied to memory, if a source computes it: `values`, of which sample n is there after
/// read(n).
struct Taken {
  Signal values;
  const SampleSource* source = nullptr;
  Tensor* memory = nullptr;

  void read(std::size_t n) const;
};
Taken take(const Signal& x, Tensor& memory);

/// x in `form`: x itself where it has that form, else a copy in `memory`. Spikes that change their layout are
/// in step order. With `by_sample` a source stays one, if its layout fits.
Signal in_form(const Signal& x, const Form& form, SignalMemory& memory, ThreadPool& threads,
               bool by_sample = false);

/// x in memory and in `layout`; spikes stay spikes.
Signal in_layout(const Signal& x, Layout layout, SignalMemory& memory, ThreadPool& threads);

/// The gradient dy in the layout and the stored steps of x: the steps are added up where x stores one. Throws
/// ShapeError where dy stores one step and x all.
Signal in_form_of(const Signal& x, const Signal& dy, SignalMemory& memory, ThreadPool& threads);

}  // namespace volley

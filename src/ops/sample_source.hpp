#pragma once

#include <volley/signal.hpp>

namespace volley {

/// Values that are computed as they are read, sample by sample, from another signal: writing them to memory
/// and reading them back would cost more. Pictures are channels-last. Several threads may read at once.
/// Private to the layers of the CPU: no signal that a public function returns has one.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  /// The values of sample n, all its stored steps.
  virtual void read(float* to, std::size_t n) const = 0;
  /// Whether they may be read again in backward. Where that would cost too much, the next layer's forward
  /// reads them once and keeps them.
  virtual bool repeatable() const { return true; }
  virtual const Signal& made_from() const = 0;
};

/// The private side of a Signal.
struct SignalAccess {
  static Signal make(const SampleSource& source, const Shape& shape, Layout layout,
                     std::size_t stored_steps) {
    Signal signal;
    signal.shape_ = shape;
    signal.layout_ = layout;
    signal.stored_steps_ = stored_steps;
    signal.source_ = &source;
    return signal;
  }
  /// Throws where the values are not in memory.
  static const Tensor& values(const Signal& x) {
    if (x.values_ == nullptr) x.throw_not("real values in memory");
    return *x.values_;
  }
  static const SampleSource* source(const Signal& x) { return x.source_; }
  /// Whether the memory still has the shape that it had when the signal was made.
  static bool memory_fits(const Signal& x) {
    if (x.values_ != nullptr) return x.values_->size() == x.stored_shape().size();
    return x.spikes_ == nullptr || (x.spikes_->samples() == x.samples() && x.spikes_->steps() == x.steps() &&
                                    x.spikes_->features() == x.features());
  }
  static bool lies_in(const Signal& x, const Tensor& memory) {
    return x.source_ != nullptr ? lies_in(x.source_->made_from(), memory) : x.values_ == &memory;
  }
};

/// What computes the values of x as they are read; null where they are in memory.
inline const SampleSource* source_of(const Signal& x) { return SignalAccess::source(x); }
/// Values of `source` in the form of x.
inline Signal with_source(const Signal& x, const SampleSource& source) {
  return SignalAccess::make(source, x.shape(), x.layout(), x.stored_steps());
}
/// Whether the values of x, or what they are computed from, are in `memory`.
inline bool lies_in(const Signal& x, const Tensor& memory) { return SignalAccess::lies_in(x, memory); }

}  // namespace volley

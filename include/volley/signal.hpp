#pragma once

#include <cassert>
#include <cstddef>

#include <volley/spikes.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// The shape of the memory of a signal of `shape` that lies in `layout` and stores so many steps: (N,
/// stored_steps, features in the order of the layout).
Shape stored_shape(const Shape& shape, Layout layout, std::size_t stored_steps);

class Signal;

/// Values that are made as they are read, sample by sample, from another signal: too many to be worth
/// writing to memory and reading from there. Pictures are channels-last. Several threads may read at once.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  /// The values of sample n, all its stored steps.
  virtual void read(float* to, std::size_t n) const = 0;
  /// Whether they may be read again in backward. Where that would cost too much, whoever gets them reads them
  /// once, in his forward, and keeps them.
  virtual bool repeatable() const { return true; }
  virtual const Signal& made_from() const = 0;
};

/// What flows between layers: real values or spikes, of shape (N, T, features...). A signal looks at memory
/// that another owns (the caller's Tensor or Spikes, or the tape of the layer that made it) and is cheap to
/// copy.
///
/// Layout. The shape is always the logical one, (N, T, C, H, W) for pictures; the layout says how they lie:
/// row_major, or channels_last, with the channels of a position side by side. Conv2d and pools give
/// channels_last; a layer that works on each feature alone, or on each channel, passes the layout of its
/// input on; Flatten gives row-major order again.
///
/// Constant in time. Real values that are the same at every step, such as a picture shown T times, may be
/// stored once: stored_steps() is then 1, while steps() is still T. Layers without memory compute such a
/// signal once and give a constant one; a neuron reads its one step T times.
///
/// The gradient of a signal has its shape, its layout and its stored steps. Where one step is stored, the
/// gradient is the sum over the T steps.
class Signal {
 public:
  Signal() = default;
  /// Row-major values of every step.
  Signal(const Tensor& values) : shape_(values.shape()), stored_steps_(values.shape()[1]), values_(&values) {}
  /// Spikes, in their layout.
  Signal(const Spikes& spikes)
      : shape_(spikes.shape()), layout_(spikes.layout()), stored_steps_(spikes.steps()), spikes_(&spikes) {}
  /// Values of `shape` in any form. `stored` has the shape of the memory: (N, T or 1, features in the order
  /// of `layout`). Throws Error when the two do not fit.
  Signal(const Tensor& stored, const Shape& shape, Layout layout = Layout::row_major);
  /// Values that `source` makes, for a layer that reads them so.
  Signal(const SampleSource& source, const Shape& shape, Layout layout, std::size_t stored_steps)
      : shape_(shape), layout_(layout), stored_steps_(stored_steps), source_(&source) {}
  Signal(Tensor&&) = delete;
  Signal(Tensor&&, const Shape&, Layout = Layout::row_major) = delete;
  Signal(Spikes&&) = delete;

  const Shape& shape() const { return shape_; }
  std::size_t samples() const { return shape_[0]; }
  std::size_t steps() const { return shape_[1]; }
  /// Features of one sample at one step, all feature dimensions multiplied.
  std::size_t features() const { return shape_.from(2).size(); }

  Layout layout() const { return layout_; }
  /// Steps in memory: 1 where all are the same and only one is stored, else steps().
  std::size_t stored_steps() const { return stored_steps_; }
  bool constant() const { return stored_steps_ != steps(); }
  Shape stored_shape() const { return volley::stored_shape(shape_, layout_, stored_steps_); }

  bool is_spikes() const { return spikes_ != nullptr; }
  bool empty() const { return values_ == nullptr && spikes_ == nullptr && source_ == nullptr; }
  /// Where the values come from, if they are not in memory.
  const SampleSource* source() const { return source_; }
  /// Whether the values, or what they are made from, are in `memory`.
  bool lies_in(const Tensor& memory) const {
    return source_ != nullptr ? source_->made_from().lies_in(memory) : values_ == &memory;
  }
  const Spikes& spikes() const { return *spikes_; }
  /// The values in row-major order of stored_shape(), of real values in memory.
  const float* values() const {
    assert(values_ != nullptr);
    return values_->data();
  }

  /// Other values in the form of this signal: `stored` has stored_shape().
  Signal with_values(const Tensor& stored) const { return {stored, shape_, layout_}; }
  Signal with_source(const SampleSource& source) const { return {source, shape_, layout_, stored_steps_}; }
  /// The same memory in another shape of the same size; row-major signals only.
  Signal reshaped(const Shape& shape) const;

 private:
  Shape shape_{0, 0, 0};
  Layout layout_ = Layout::row_major;
  std::size_t stored_steps_ = 0;
  const Tensor* values_ = nullptr;
  const Spikes* spikes_ = nullptr;
  const SampleSource* source_ = nullptr;
};

/// Memory for a signal that is turned into another form.
struct SignalMemory {
  Tensor values;
  Spikes spikes;
};

}  // namespace volley

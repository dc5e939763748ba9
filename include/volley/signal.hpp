#pragma once

#include <cstddef>

#include <volley/spikes.hpp>
#include <volley/tensor.hpp>

namespace volley {

class SampleSource;

/// The shape of the memory of a signal of `shape` in `layout` that stores `stored_steps` steps: (N,
/// stored_steps, features in the order of the layout). Throws ShapeError where `shape` has no such layout.
Shape stored_shape(const Shape& shape, Layout layout, std::size_t stored_steps);

/// What flows between layers: real values or spikes, of shape (N, T, features...). A signal is a view of
/// memory that another owns (the caller's Tensor or Spikes, or the tape of the layer that made it) and is
/// cheap to copy. The owner must outlive it and keep its shape; a layer that finds another shape there
/// throws.
///
/// Layout. The shape is always the logical one, (N, T, C, H, W) for pictures; the layout is the order in
/// memory: row_major, or channels_last, with the channels of a position side by side. Convolutions and pools
/// return channels_last; a layer that works on each feature alone, or on each channel, returns the layout of
/// its input; Flatten returns row-major order.
///
/// Constant in time. Real values that are the same at every step, such as a picture shown T times, may be
/// stored once: stored_steps() is then 1, while steps() is still T. Layers without memory compute such a
/// signal once and return a constant one; a neuron reads its one step T times.
///
/// The gradient of a signal has its shape, its layout and its stored steps. Where one step is stored, the
/// gradient is the sum over the T steps.
class Signal {
 public:
  Signal() = default;
  /// Row-major values of every step. Throws ShapeError unless `values` is (N, T, features...).
  Signal(const Tensor& values);
  /// Spikes, in their layout.
  Signal(const Spikes& spikes);
  /// Values of `shape` in any form. `stored` has the shape of the memory: (N, T or 1, features in the order
  /// of `layout`). Throws ShapeError where the two do not fit.
  Signal(const Tensor& stored, const Shape& shape, Layout layout = Layout::row_major);
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
  /// Whether it views nothing, as `Signal{}`.
  bool empty() const { return values_ == nullptr && spikes_ == nullptr && source_ == nullptr; }
  /// Throws ArgumentError where the signal is no spikes.
  const Spikes& spikes() const {
    if (spikes_ == nullptr) throw_not("spikes");
    return *spikes_;
  }
  /// The values in row-major order of stored_shape(). Throws ArgumentError for spikes and for values that are
  /// not in memory; to_tensor() gives the values of any signal.
  const float* values() const {
    if (values_ == nullptr) throw_not("real values in memory");
    return values_->data();
  }

  /// Other values in the form of this signal: `stored` has stored_shape().
  Signal with_values(const Tensor& stored) const { return {stored, shape_, layout_}; }
  /// The same memory with other feature dimensions of the same size. Throws ShapeError where N, T or the size
  /// differ, and where the signal is not row-major.
  Signal reshaped(const Shape& shape) const;

 private:
  friend struct SignalAccess;  // src/ops/sample_source.hpp
  [[noreturn]] void throw_not(const char* expected) const;

  Shape shape_{0, 0, 0};
  Layout layout_ = Layout::row_major;
  std::size_t stored_steps_ = 0;
  const Tensor* values_ = nullptr;
  const Spikes* spikes_ = nullptr;
  const SampleSource* source_ = nullptr;
};

/// The values of any signal in the plain form: (N, T, features...), row-major, every step stored, spikes as 0
/// and 1.
Tensor to_tensor(const Signal& x);

/// Memory for a signal that is converted to another form.
struct SignalMemory {
  Tensor values;
  Spikes spikes;
};

}  // namespace volley

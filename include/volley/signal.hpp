#pragma once

#include <volley/spikes.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// What flows between layers: real values or spikes, of shape (N, T, features...). A signal looks at memory
/// that another owns (the caller's Tensor or Spikes, or the tape of the layer that made it) and is cheap to
/// copy.
class Signal {
 public:
  Signal() = default;
  Signal(const Tensor& values) : shape_(values.shape()), values_(&values) {}
  Signal(const Spikes& spikes) : shape_(spikes.shape()), spikes_(&spikes) {}
  Signal(Tensor&&) = delete;
  Signal(Spikes&&) = delete;

  const Shape& shape() const { return shape_; }
  std::size_t samples() const { return shape_[0]; }
  std::size_t steps() const { return shape_[1]; }
  /// Features of one sample at one step, all feature dimensions multiplied.
  std::size_t features() const { return shape_.from(2).size(); }

  bool is_spikes() const { return spikes_ != nullptr; }
  bool empty() const { return values_ == nullptr && spikes_ == nullptr; }
  const Spikes& spikes() const { return *spikes_; }
  /// The values in row-major order of shape().
  const float* values() const { return values_->data(); }

  /// The same memory in another shape of the same size.
  Signal reshaped(const Shape& shape) const;

 private:
  Shape shape_{0, 0, 0};
  const Tensor* values_ = nullptr;
  const Spikes* spikes_ = nullptr;
};

}  // namespace volley

#include <volley/signal.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

namespace volley {

Shape stored_shape(const Shape& shape, Layout layout, std::size_t stored_steps) {
  if (layout == Layout::channels_last) return {shape[0], stored_steps, shape[3], shape[4], shape[2]};
  return shape.from(2).after({shape[0], stored_steps});
}

Signal::Signal(const Tensor& stored, const Shape& shape, Layout layout)
    : shape_(shape), layout_(layout), stored_steps_(stored.shape()[1]), values_(&stored) {
  if (layout == Layout::channels_last && shape.rank() != 5) {
    throw Error(fmt::format("[signal] only (N, T, C, H, W) can lie channels-last, got {}", shape.text()));
  }
  const bool fits = shape.rank() >= 2 && (stored_steps_ == 1 || stored_steps_ == shape[1]) &&
                    stored.shape() == volley::stored_shape(shape, layout, stored_steps_);
  if (!fits) {
    throw Error(fmt::format("[signal] memory of {} does not hold a {} signal of shape {}",
                            stored.shape().text(),
                            layout == Layout::channels_last ? "channels-last" : "row-major", shape.text()));
  }
}

Signal Signal::reshaped(const Shape& shape) const {
  if (layout_ != Layout::row_major) {
    throw Error(fmt::format("[signal] {} lies channels-last and cannot be seen in the shape {}",
                            shape_.text(), shape.text()));
  }
  if (shape.size() != shape_.size()) {
    throw Error(fmt::format("[signal] {} does not fit in the shape {}", shape_.text(), shape.text()));
  }
  Signal other = *this;
  other.shape_ = shape;
  return other;
}

}  // namespace volley

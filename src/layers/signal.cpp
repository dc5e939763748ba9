#include <volley/signal.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

namespace volley {

Signal Signal::reshaped(const Shape& shape) const {
  if (shape.size() != shape_.size()) {
    throw Error(fmt::format("[signal] {} does not fit in the shape {}", shape_.text(), shape.text()));
  }
  Signal other = *this;
  other.shape_ = shape;
  return other;
}

}  // namespace volley

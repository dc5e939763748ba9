#include <volley/signal.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include <volley/error.hpp>

#include "cpu/cpu_executor.hpp"
#include "ops/sample_source.hpp"
#include "signal/signal_forms.hpp"

namespace volley {
namespace {

const char* text_of(Layout layout) { return layout == Layout::channels_last ? "channels-last" : "row-major"; }

void check_signal_shape(const Shape& shape) {
  if (shape.rank() < 3) throw ShapeError("signal", "shape must be (N, T, features...)", shape);
}

}  // namespace

Shape stored_shape(const Shape& shape, Layout layout, std::size_t stored_steps) {
  check_signal_shape(shape);
  if (layout == Layout::row_major) return shape.from(2).after({shape[0], stored_steps});
  if (shape.rank() < 4) {
    throw ShapeError("signal", "a channels-last signal must be (N, T, C, positions...)", shape);
  }
  std::array<std::size_t, Shape::kMaxRank> sizes{shape[0], stored_steps};
  std::ranges::copy(shape.from(3).sizes(), sizes.begin() + 2);
  sizes[shape.rank() - 1] = shape[2];
  return Shape(std::span<const std::size_t>(sizes.data(), shape.rank()));
}

Signal::Signal(const Tensor& values) : Signal(values, values.shape()) {}

Signal::Signal(const Spikes& spikes)
    : shape_(spikes.shape()), layout_(spikes.layout()), stored_steps_(spikes.steps()), spikes_(&spikes) {}

Signal::Signal(const Tensor& stored, const Shape& shape, Layout layout)
    : shape_(shape), layout_(layout), values_(&stored) {
  check_signal_shape(shape);
  stored_steps_ = stored.shape().rank() < 2 ? 0 : stored.shape()[1];
  const bool fits = (stored_steps_ == 1 || stored_steps_ == shape[1]) &&
                    stored.shape() == volley::stored_shape(shape, layout, stored_steps_);
  if (!fits) {
    throw ShapeError(
        "signal",
        fmt::format("the memory of a {} signal of shape {} must be {}, or have one step", text_of(layout),
                    shape.text(), volley::stored_shape(shape, layout, shape[1]).text()),
        stored.shape());
  }
}

Signal Signal::reshaped(const Shape& shape) const {
  if (layout_ != Layout::row_major) {
    throw ArgumentError("signal", "a signal that is reshaped must be row-major", "a channels-last one");
  }
  const bool same =
      shape.rank() >= 3 && shape[0] == shape_[0] && shape[1] == shape_[1] && shape.size() == shape_.size();
  if (!same) {
    throw ShapeError("signal", fmt::format("{} must be reshaped to the same N, T and size", shape_.text()),
                     shape);
  }
  Signal other = *this;
  other.shape_ = shape;
  return other;
}

void Signal::throw_not(const char* expected) const {
  const char* found = empty()       ? "an empty signal"
                      : is_spikes() ? "spikes"
                      : values_     ? "real values"
                                    : "values that the next layer reads sample by sample";
  throw ArgumentError("signal", fmt::format("the signal must be {}", expected), found);
}

Tensor to_tensor(const Signal& x) {
  if (x.empty()) throw ArgumentError("signal", "a tensor must be made of a signal", "an empty one");
  ThreadPool caller(1);
  cpu::CpuExecutor host(caller);
  SignalMemory memory;
  const Signal plain = in_form(x, Form{}, memory, host);
  Tensor values(plain.shape());
  std::copy_n(plain.values(), values.size(), values.data());
  return values;
}

}  // namespace volley

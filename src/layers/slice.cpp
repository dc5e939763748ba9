#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/layers.hpp>

#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor y, dx;
  Spikes spikes;
};

}  // namespace

Slice::Slice(const SliceOptions& options) : options_(options) {
  constexpr std::size_t kMost = Shape::kMaxRank - 2;
  check_fields(SliceOptions::kKind, options);
  if (options.shape.empty() || options.shape.size() > kMost) {
    throw ArgumentError(SliceOptions::kKind, fmt::format("shape must have 1 to {} sizes", kMost),
                        fmt::format("{}", options.shape.size()));
  }
  for (const std::size_t size : options.shape) {
    check_range(SliceOptions::kKind, "shape", static_cast<double>(size), between(1, 1 << 24));
  }
}

Shape Slice::output_shape(const Shape& features) const {
  const Shape out{std::span<const std::size_t>(options_.shape)};
  const std::size_t all = features.size();
  if (options_.first > all || out.size() > all - options_.first) {
    throw ShapeError(kind(), fmt::format("input must have {} features or more", options_.first + out.size()),
                     features);
  }
  return out;
}

Form Slice::reads(const Shape&) const { return {.values = Form::Values::any, .constant = true}; }

Signal Slice::do_forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const Shape out = output_shape(x.shape().from(2));
  const Shape shape = out.after({x.samples(), x.steps()});
  saved.x = x;
  ops::PickOutputs op{
      .y = view_of(x, device), .first = options_.first, .count = out.size(), .U = x.stored_steps()};
  if (x.is_spikes()) {
    SpikeWords::shape_steps(saved.spikes, shape);
    op.words = SpikeWords::write(saved.spikes, device);
    device.run(op);
    return saved.spikes;
  }
  saved.y.resize(out.after({x.samples(), x.stored_steps()}));
  op.values = device.write(saved.y);
  device.run(op);
  return Signal(saved.y, shape);
}

Signal Slice::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const std::size_t F = saved.x.features(), rows = dy.samples() * dy.stored_steps();
  saved.dx.resize(saved.x.stored_shape());
  device.run(ops::Fill{.values = device.write(saved.dx), .size = saved.dx.size(), .value = 0});
  device.run(ops::CopyRows{.from = values_of(dy, device),
                           .to = device.update(saved.dx),
                           .rows = rows,
                           .count = dy.features(),
                           .from_stride = dy.features(),
                           .to_stride = F,
                           .to_begin = options_.first});
  return saved.x.with_values(saved.dx);
}

std::unique_ptr<Layer> Slice::do_clone() const { return std::make_unique<Slice>(*this); }

}  // namespace volley

#include <fmt/format.h>

#include <vector>

#include <volley/error.hpp>
#include <volley/layers.hpp>

#include "layers/layer_access.hpp"

namespace volley {

Unflatten::Unflatten(const UnflattenOptions& options) : options_(options) {
  constexpr std::size_t kMost = Shape::kMaxRank - 2;
  check_fields(UnflattenOptions::kKind, options);
  if (options.unflattened_size.empty() || options.unflattened_size.size() > kMost) {
    throw ArgumentError(UnflattenOptions::kKind,
                        fmt::format("unflattened_size must have 1 to {} sizes", kMost),
                        fmt::format("{}", options.unflattened_size.size()));
  }
  for (const std::size_t size : options.unflattened_size) {
    check_range(UnflattenOptions::kKind, "unflattened_size", static_cast<double>(size), between(1, 1 << 24));
  }
}

Shape Unflatten::output_shape(const Shape& features) const {
  const std::size_t at = options_.dim - 1;
  const Shape into(std::span<const std::size_t>(options_.unflattened_size));
  if (at >= features.rank() || features[at] != into.size()) {
    throw ShapeError(kind(), fmt::format("dimension {} of the input must be {}", options_.dim, into.size()),
                     features);
  }
  if (features.rank() + into.rank() - 1 > Shape::kMaxRank - 2) {
    throw ShapeError(kind(), fmt::format("output must have at most {} dimensions", Shape::kMaxRank - 2),
                     features);
  }
  std::vector<std::size_t> sizes(features.sizes().begin(), features.sizes().end());
  sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(at));
  sizes.insert(sizes.begin() + static_cast<std::ptrdiff_t>(at), into.sizes().begin(), into.sizes().end());
  return Shape(std::span<const std::size_t>(sizes));
}

Form Unflatten::reads(const Shape&) const { return {.values = Form::Values::any, .constant = true}; }

Signal Unflatten::do_forward(const Signal& x, Tape&) const {
  return x.reshaped(output_shape(x.shape().from(2)).after({x.samples(), x.steps()}));
}

Signal Unflatten::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  return dy.reshaped(TapeAccess::x(tape).shape());
}

std::unique_ptr<Layer> Unflatten::do_clone() const { return std::make_unique<Unflatten>(*this); }

}  // namespace volley

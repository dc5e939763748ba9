#include <volley/group_norm.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include <volley/error.hpp>

#include "layers/layer_access.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor y;
  Buffer<ops::ChannelStatistics> statistics;  // (N, parts of a sample, groups)
  ops::Slot slot;
};

/// `groups` of channels over all positions of a step; 0: each position by itself.
ops::SampleNormShape norm_shape(const Signal& x, std::size_t channels, std::size_t groups) {
  const std::size_t places = x.features() / channels, rows = groups > 0 ? places : 1;
  return {.N = x.samples(),
          .parts = x.stored_steps() * places / rows,
          .rows = rows,
          .C = channels,
          .groups = std::max<std::size_t>(1, groups)};
}

const float* values_or_null(const Parameter& parameter, bool has, Executor& device) {
  return has ? device.read(parameter.value) : nullptr;
}

GroupNormOptions checked(const GroupNormOptions& options) {
  check_fields(GroupNormOptions::kKind, options);
  if (options.num_channels % options.num_groups == 0) return options;
  throw ArgumentError(GroupNormOptions::kKind, "num_channels must be a multiple of num_groups",
                      fmt::format("{} and {}", options.num_channels, options.num_groups));
}

LayerNormOptions checked(const LayerNormOptions& options) {
  constexpr std::size_t kMost = Shape::kMaxRank - 2;
  check_fields(LayerNormOptions::kKind, options);
  if (options.normalized_shape.empty() || options.normalized_shape.size() > kMost) {
    throw ArgumentError(LayerNormOptions::kKind,
                        fmt::format("normalized_shape must have 1 to {} sizes", kMost),
                        fmt::format("{}", options.normalized_shape.size()));
  }
  for (const std::size_t size : options.normalized_shape) {
    check_range(LayerNormOptions::kKind, "normalized_shape", static_cast<double>(size), between(1, 1 << 24));
  }
  return options;
}

Shape shape_of(const LayerNormOptions& options) {
  return Shape(std::span<const std::size_t>(options.normalized_shape));
}

}  // namespace

SampleNorm::SampleNorm(const Shape& shape, std::size_t groups, float eps, bool has_weight, bool has_bias)
    : shape_(shape), groups_(groups), eps_(eps), has_weight_(has_weight), has_bias_(has_bias) {
  if (has_weight) weight_ = Parameter(shape, ParameterKind::norm);
  if (has_bias) bias_ = Parameter(shape, ParameterKind::norm);
  SampleNorm::draw_parameters(0, 0);
}

std::vector<NamedParameter> SampleNorm::own_parameters() {
  std::vector<NamedParameter> all;
  if (has_weight_) all.push_back({"weight", &weight_});
  if (has_bias_) all.push_back({"bias", &bias_});
  return all;
}

void SampleNorm::draw_parameters(std::uint32_t, std::uint32_t) {
  std::ranges::fill(weight_.value.values(), 1.0f);
  bias_.value.zero();
}

void SampleNorm::check_parameters() const {
  if (has_weight_) check_parameter(kind(), "weight", weight_, shape_);
  if (has_bias_) check_parameter(kind(), "bias", bias_, shape_);
}

Signal SampleNorm::do_forward(const Signal& x, Tape& tape) const {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  const ops::SampleNormShape shape = norm_shape(x, shape_.size(), groups_);
  saved.y.resize(x.stored_shape());
  saved.statistics.resize(shape.N * shape.parts * shape.groups);
  device.run(ops::SampleNormForward{.shape = shape,
                                    .x = values_of(x, device),
                                    .weight = values_or_null(weight_, has_weight_, device),
                                    .bias = values_or_null(bias_, has_bias_, device),
                                    .eps = static_cast<double>(eps_),
                                    .statistics = device.write(saved.statistics),
                                    .y = device.write(saved.y)});
  return x.with_values(saved.y);
}

Signal SampleNorm::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  Tensor* dx = tape.needs_input_gradient() ? &tape.dx_memory() : nullptr;
  if (dx != nullptr) dx->resize(x.stored_shape());
  device.run(ops::SampleNormBackward{.shape = norm_shape(x, shape_.size(), groups_),
                                     .x = values_of(x, device),
                                     .dy = values_of(dy, device),
                                     .weight = values_or_null(weight_, has_weight_, device),
                                     .statistics = device.read(saved.statistics),
                                     .dweight = has_weight_ ? device.update(weight_.gradient) : nullptr,
                                     .dbias = has_bias_ ? device.update(bias_.gradient) : nullptr,
                                     .dx = dx != nullptr ? device.write(*dx) : nullptr,
                                     .slot = &saved.slot});
  return dx != nullptr ? x.with_values(*dx) : Signal{};
}

GroupNorm::GroupNorm(const GroupNormOptions& options)
    : SampleNorm({checked(options).num_channels}, options.num_groups, options.eps, options.affine,
                 options.affine),
      options_(options) {}

GroupNorm::GroupNorm(std::size_t num_groups, std::size_t num_channels, GroupNormOptions options)
    : GroupNorm([&] {
        options.num_groups = num_groups;
        options.num_channels = num_channels;
        return options;
      }()) {}

Shape GroupNorm::output_shape(const Shape& features) const {
  const std::size_t C = options_.num_channels;
  if (features.rank() > 0 && features[0] == C && features.size() > 0) return features;
  throw ShapeError(kind(), fmt::format("input features must be ({}) or ({}, positions...)", C, C), features);
}

Form GroupNorm::reads(const Shape& features) const {
  const Layout layout = features.rank() > 1 ? Layout::channels_last : Layout::row_major;
  return {.values = Form::Values::real, .layout = layout, .constant = true};
}

LayerNorm::LayerNorm(const LayerNormOptions& options)
    : SampleNorm(shape_of(checked(options)), 0, options.eps, options.elementwise_affine,
                 options.elementwise_affine && options.bias),
      options_(options) {}

LayerNorm::LayerNorm(std::vector<std::size_t> normalized_shape, LayerNormOptions options)
    : LayerNorm([&] {
        options.normalized_shape = std::move(normalized_shape);
        return options;
      }()) {}

Shape LayerNorm::output_shape(const Shape& features) const {
  const Shape shape = shape_of(options_);
  const bool fits = features.rank() >= shape.rank() && features.size() > 0 &&
                    features.from(features.rank() - shape.rank()) == shape;
  if (fits) return features;
  throw ShapeError(kind(), fmt::format("input features must end in {}", shape.text()), features);
}

Form LayerNorm::reads(const Shape&) const {
  return {.values = Form::Values::real, .layout = Layout::row_major, .constant = true};
}

std::unique_ptr<Layer> GroupNorm::do_clone() const { return std::make_unique<GroupNorm>(*this); }

std::unique_ptr<Layer> LayerNorm::do_clone() const { return std::make_unique<LayerNorm>(*this); }

}  // namespace volley

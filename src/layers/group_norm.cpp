#include <volley/group_norm.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include <volley/error.hpp>

#include "core/workspace.hpp"
#include "kernels/batch_norm.hpp"
#include "kernels/block_tree.hpp"
#include "layers/layer_access.hpp"
#include "layers/signal_forms.hpp"
#include "reference/group_norm.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor y;
  std::vector<reference::ChannelStatistics> statistics;  // (N, parts of a sample, groups)
  Buffer<double> sample_sums;                            // (N, 2, C): of dweight and of dbias
};

/// A sample is `parts` parts (rows, C), each of which is normalised by itself, in groups.
struct Sizes {
  std::size_t C, groups, rows, parts;

  Sizes(const Signal& x, std::size_t channels, std::size_t channel_groups)
      : C(channels), groups(std::max<std::size_t>(1, channel_groups)) {
    const std::size_t places = x.features() / C;
    rows = channel_groups > 0 ? places : 1;
    parts = x.stored_steps() * places / rows;
  }
  std::size_t part_size() const { return rows * C; }
  std::size_t sample_size() const { return parts * part_size(); }
};

/// sums (size) += the sum of sample_sums (N, size) over the samples: those of a block in double, rounded,
/// then the tree of docs/decisions/order.md. The sums of a sample are `row` numbers behind those of the one
/// before.
void add_over_samples(float* sums, const double* sample_sums, std::size_t N, std::size_t row,
                      std::size_t size) {
  Scratch<double> block(size);
  Scratch<float> memory(kernels::BlockTree<float>::memory(size, N));
  kernels::BlockTree<float> tree(memory.data(), size, N);
  kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
    std::fill_n(block.data(), size, 0.0);
    for (std::size_t n = first; n < first + count; ++n)
      kernels::add_to(block.data(), sample_sums + n * row, size);
    std::transform(block.data(), block.data() + size, tree.sums(),
                   [](double sum) { return static_cast<float>(sum); });
    tree.close_block();
  });
  kernels::add_to(sums, tree.root(), size);
}

const float* values_or_null(const Parameter& parameter, bool has) {
  return has ? parameter.value.data() : nullptr;
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
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  const Sizes s(x, shape_.size(), groups_);
  saved.y.resize(x.stored_shape());
  saved.statistics.resize(x.samples() * s.parts * s.groups);
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<double> sums(2 * s.C);
    Scratch<float> numbers(2 * s.C);
    double *sum = sums.data(), *squares = sum + s.C;
    float *scale = numbers.data(), *offset = scale + s.C;
    for (std::size_t part = begin * s.parts; part < end * s.parts; ++part) {
      const float* from = x.values() + part * s.part_size();
      reference::ChannelStatistics* statistics = saved.statistics.data() + part * s.groups;
      kernels::channel_sums(sum, squares, from, from, s.rows, s.C);
      reference::group_statistics(statistics, sum, squares, s.rows, s.C, s.groups, static_cast<double>(eps_));
      reference::group_norm_forward_coefficients(scale, offset, statistics,
                                                 values_or_null(weight_, has_weight_),
                                                 values_or_null(bias_, has_bias_), s.C, s.groups);
      kernels::batch_norm_forward(saved.y.data() + part * s.part_size(), from, scale, offset, s.rows, s.C);
    }
  });
  return x.with_values(saved.y);
}

Signal SampleNorm::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  const Sizes s(x, shape_.size(), groups_);
  Tensor* dx = tape.needs_input_gradient() ? &tape.dx_memory() : nullptr;
  if (dx != nullptr) dx->resize(x.stored_shape());
  saved.sample_sums.resize(x.samples() * 2 * s.C);
  saved.sample_sums.zero();
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<double> sums(2 * s.C);
    Scratch<float> numbers(3 * s.C);
    double *sum = sums.data(), *dot = sum + s.C;
    float *scale = numbers.data(), *slope = scale + s.C, *offset = slope + s.C;
    for (std::size_t part = begin * s.parts; part < end * s.parts; ++part) {
      const std::size_t first = part * s.part_size();
      const float *x_values = x.values() + first, *dy_values = dy.values() + first;
      double* dweight = saved.sample_sums.data() + part / s.parts * 2 * s.C;
      kernels::channel_sums(sum, dot, x_values, dy_values, s.rows, s.C);
      reference::group_norm_backward_coefficients(
          scale, slope, offset, dweight, dweight + s.C, sum, dot, saved.statistics.data() + part * s.groups,
          values_or_null(weight_, has_weight_), s.rows, s.C, s.groups);
      if (dx == nullptr) continue;
      kernels::batch_norm_backward(dx->data() + first, dy_values, x_values, scale, slope, offset, s.rows,
                                   s.C);
    }
  });
  if (x.samples() == 0) return dx != nullptr ? x.with_values(*dx) : Signal{};
  const double* sums = saved.sample_sums.data();
  if (has_weight_) add_over_samples(weight_.gradient.data(), sums, x.samples(), 2 * s.C, s.C);
  if (has_bias_) add_over_samples(bias_.gradient.data(), sums + s.C, x.samples(), 2 * s.C, s.C);
  if (dx == nullptr) return {};
  return x.with_values(*dx);
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

}  // namespace volley

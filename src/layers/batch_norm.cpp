#include <volley/batch_norm.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <volley/error.hpp>

#include "core/workspace.hpp"
#include "kernels/batch_norm.hpp"
#include "kernels/block_tree.hpp"
#include "layers/layer_access.hpp"
#include "layers/signal_forms.hpp"
#include "reference/batch_norm.hpp"

namespace volley {
namespace {

constexpr std::size_t kRows = 256;  // that one piece of work covers; a sample is never cut

struct Saved;

/// y, from x.
struct Normalised final : SampleSource {
  const Saved* saved = nullptr;
  Buffer<float> scale, offset;  // (C)

  void read(float* to, std::size_t n) const override;
  const Signal& made_from() const override;
};

/// dx, from dy and x.
struct Gradient final : SampleSource {
  const Saved* saved = nullptr;
  Signal dy;                           // in memory
  Buffer<float> scale, slope, offset;  // (C)

  void read(float* to, std::size_t n) const override;
  const Signal& made_from() const override { return dy; }
};

struct Saved {
  Signal x;  // in memory, channels last
  Tensor x_memory;
  Tensor y_memory;
  Normalised y;
  Gradient dx;
  std::size_t channels = 0;
  std::vector<reference::ChannelStatistics> statistics;
  bool batch = false;                  // whether they are the batch's
  bool counted = false;                // whether the running ones have been updated by them
  Buffer<double> sample_sums;          // (N, 2, C)
  Buffer<double> sums;                 // (2, C), of all samples
  std::vector<std::uint32_t> lengths;  // the steps of each sample; none: all T
  Buffer<float> zeros;                 // (C), where there are lengths

  const double* sum() const { return sums.data(); }
  const double* dot() const { return sums.data() + channels; }

  std::size_t sample_size() const { return x.stored_steps() * x.features(); }
  std::size_t sample_rows() const { return sample_size() / channels; }
  /// Those of sample n that are not beyond its length.
  std::size_t rows_of(std::size_t n) const {
    return lengths.empty() ? sample_rows() : sample_rows() / x.stored_steps() * lengths[n];
  }
  double rows() const {
    if (lengths.empty()) return static_cast<double>(x.samples() * sample_rows());
    const auto steps = std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
    return static_cast<double>(sample_rows() / x.stored_steps() * steps);
  }
  /// For a forward over `x`.
  void set_lengths(std::span<const std::uint32_t> of_samples) {
    lengths.clear();
    if (of_samples.empty() || x.constant()) return;
    lengths.assign(of_samples.begin(), of_samples.end());
    zeros.resize(channels);
    zeros.zero();
  }

  /// body(n, where sample n begins in memory), for every sample.
  template <class Body>
  void for_each_sample(ThreadPool& threads, const Body& body) const {
    const std::size_t grain = std::max<std::size_t>(1, kRows / std::max<std::size_t>(1, sample_rows()));
    parallel_for(threads, x.samples(), grain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n) body(n, n * sample_size());
    });
  }
  /// The sums of y and x y over the rows of sample n.
  void sum_sample(std::size_t n, const float* y_values) {
    double* to = sample_sums.data() + n * 2 * channels;
    kernels::channel_sums(to, to + channels, x.values() + n * sample_size(), y_values, rows_of(n), channels);
  }
  /// sum and dot, the sums of all samples.
  void sum_samples() {
    const std::size_t size = 2 * channels;
    sums.resize(size);
    sums.zero();
    Scratch<double> memory(kernels::BlockTree<double>::memory(size, x.samples()));
    kernels::BlockTree<double> tree(memory.data(), size, x.samples());
    kernels::for_each_block(x.samples(), [&](std::size_t first, std::size_t count) {
      for (std::size_t n = first; n < first + count; ++n) {
        kernels::add_to(tree.sums(), sample_sums.data() + n * size, size);
      }
      tree.close_block();
    });
    kernels::add_to(sums.data(), tree.root(), size);
  }
};

void Normalised::read(float* to, std::size_t n) const {
  kernels::batch_norm_forward(to, saved->x.values() + n * saved->sample_size(), scale.data(), offset.data(),
                              saved->sample_rows(), saved->channels);
}
const Signal& Normalised::made_from() const { return saved->x; }

void Gradient::read(float* to, std::size_t n) const {
  const std::size_t first = n * saved->sample_size();
  const std::size_t C = saved->channels, rows = saved->rows_of(n), beyond = rows * C;
  kernels::batch_norm_backward(to, dy.values() + first, saved->x.values() + first, scale.data(), slope.data(),
                               offset.data(), rows, C);
  if (rows == saved->sample_rows()) return;
  // What lies beyond a sample's length has no part in the statistics.
  const float* none = saved->zeros.data();
  kernels::batch_norm_backward(to + beyond, dy.values() + first + beyond, saved->x.values() + first + beyond,
                               scale.data(), none, none, saved->sample_rows() - rows, C);
}

}  // namespace

BatchNorm::BatchNorm(std::size_t channels, const BatchNormOptions& options)
    : BatchNorm(BatchNormOptions::kKind, channels, options, 1) {}

BatchNorm::BatchNorm(std::string_view kind, std::size_t channels, const BatchNormOptions& options,
                     float weight)
    : channels_(channels), options_(options), first_weight_(weight) {
  check_range(kind, "channels", static_cast<double>(channels), at_least(1));
  check_fields(kind, options);
  const Shape shape{channels};
  weight_ = bias_ = Parameter(shape, ParameterKind::norm);
  running_mean_ = running_var_ = Tensor(shape);
  BatchNorm::draw_parameters(0, 0);
}

Shape BatchNorm::output_shape(const Shape& features) const {
  if (features.rank() == 0 || features[0] != channels_) {
    throw ShapeError(kind(),
                     fmt::format("input features must be ({}) or ({}, positions...)", channels_, channels_),
                     features);
  }
  return features;
}

std::vector<NamedParameter> BatchNorm::own_parameters() {
  if (!options_.affine) return {};
  return {{"weight", &weight_}, {"bias", &bias_}};
}

std::vector<NamedTensor> BatchNorm::own_buffers() {
  return {{"running_mean", &running_mean_},
          {"running_var", &running_var_},
          {"num_batches_tracked", &num_batches_tracked_}};
}

void BatchNorm::draw_parameters(std::uint32_t, std::uint32_t) {
  std::ranges::fill(weight_.value.values(), first_weight_);
  bias_.value.zero();
  running_mean_.zero();
  std::ranges::fill(running_var_.values(), 1.0f);
  num_batches_tracked_.zero();
}

Form BatchNorm::reads(const Shape& features) const {
  const Layout layout = features.rank() > 1 ? Layout::channels_last : Layout::row_major;
  return {.values = Form::Values::currents, .layout = layout, .constant = true};
}

void BatchNorm::check_state() const {
  const Shape shape{channels_};
  check_parameter(kind(), "weight", weight_, shape);
  check_parameter(kind(), "bias", bias_, shape);
  check_tensor(kind(), "running_mean", running_mean_, shape);
  check_tensor(kind(), "running_var", running_var_, shape);
  check_tensor(kind(), "num_batches_tracked", num_batches_tracked_, Shape{});
}

float BatchNorm::count_batch() {
  float& kept = num_batches_tracked_.data()[0];
  if (static_cast<float>(batches_) != kept) {  // set by a user or a file since the last one
    batches_ = kept >= 0 && kept < 0x1p63f ? static_cast<std::uint64_t>(kept) : 0;
  }
  kept = static_cast<float>(++batches_);
  return kept;
}

Signal BatchNorm::do_forward(const Signal& x, Tape& tape) const {
  check_state();
  Saved& saved = tape.saved<Saved>();
  saved.batch = tape.context().training;
  if (saved.batch && x.shape().size() <= channels_) {
    throw ShapeError(kind(), "x of a training must have more than one value per channel", x.shape());
  }
  const Taken taken = take(x, saved.x_memory);
  saved.x = taken.values;
  saved.channels = channels_;
  saved.set_lengths(tape.context().lengths);
  saved.counted = false;
  saved.sample_sums.resize(x.samples() * 2 * channels_);
  saved.for_each_sample(tape.threads(), [&](std::size_t n, std::size_t first) {
    taken.read(n);
    if (saved.batch) saved.sum_sample(n, saved.x.values() + first);
  });
  if (saved.batch) saved.sum_samples();

  const double eps = static_cast<double>(options_.eps);
  saved.statistics.resize(channels_);
  for (Buffer<float>* numbers : {&saved.y.scale, &saved.y.offset}) numbers->resize(channels_);
  for (std::size_t c = 0; c < channels_; ++c) {
    saved.statistics[c] =
        saved.batch ? reference::batch_statistics(saved.sum()[c], saved.dot()[c], saved.rows(), eps)
                    : reference::channel_statistics(static_cast<double>(running_mean_.data()[c]),
                                                    static_cast<double>(running_var_.data()[c]), eps);
    const auto k = reference::batch_norm_forward_coefficients(saved.statistics[c], weight_.value.data()[c],
                                                              bias_.value.data()[c]);
    saved.y.scale[c] = k.scale;
    saved.y.offset[c] = k.offset;
  }
  saved.y.saved = &saved;
  if (TapeAccess::y_by_sample(tape)) return with_source(saved.x, saved.y);
  saved.y_memory.resize(saved.x.stored_shape());
  saved.for_each_sample(tape.threads(), [&](std::size_t n, std::size_t first) {
    saved.y.read(saved.y_memory.data() + first, n);
  });
  return saved.x.with_values(saved.y_memory);
}

Signal BatchNorm::do_backward(Tape& tape, const Signal& dy) {
  check_state();
  Saved& saved = tape.saved<Saved>();
  if (saved.batch && !saved.counted) {
    const double n = saved.lengths.empty()
                         ? static_cast<double>(saved.x.shape().size()) / static_cast<double>(channels_)
                         : saved.rows();
    const float batches = count_batch();
    const double momentum = static_cast<double>(options_.momentum.value_or(1 / batches));
    for (std::size_t c = 0; c < channels_; ++c) {
      reference::update_running(running_mean_.data()[c], running_var_.data()[c], saved.statistics[c], n,
                                momentum);
    }
    saved.counted = true;
  }
  Gradient& dx = saved.dx;
  dx.saved = &saved;
  const Taken taken = take(dy, tape.dx_memory());
  dx.dy = taken.values;
  saved.for_each_sample(tape.threads(), [&](std::size_t n, std::size_t first) {
    taken.read(n);
    saved.sum_sample(n, dx.dy.values() + first);
  });
  saved.sum_samples();

  for (Buffer<float>* numbers : {&dx.scale, &dx.slope, &dx.offset}) numbers->resize(channels_);
  for (std::size_t c = 0; c < channels_; ++c) {
    const auto k = reference::batch_norm_backward_coefficients(
        weight_.gradient.data()[c], bias_.gradient.data()[c], saved.sum()[c], saved.dot()[c],
        saved.statistics[c], weight_.value.data()[c], saved.batch ? saved.rows() : 0);
    dx.scale[c] = k.scale;
    dx.slope[c] = k.slope;
    dx.offset[c] = k.offset;
  }
  if (!tape.needs_input_gradient()) return {};
  const bool by_sample =
      TapeAccess::dx_by_sample(tape) && TapeAccess::given(tape).layout() == saved.x.layout();
  if (by_sample) return with_source(saved.x, dx);
  Tensor& memory = tape.dx_memory();  // where dy may be: each value is read before it is written
  memory.resize(saved.x.stored_shape());
  saved.for_each_sample(tape.threads(),
                        [&](std::size_t n, std::size_t first) { dx.read(memory.data() + first, n); });
  return saved.x.with_values(memory);
}

ThresholdDependentBatchNorm::ThresholdDependentBatchNorm(std::size_t channels, const Options& options)
    : BatchNorm(Options::kKind, channels, {.eps = options.eps, .momentum = options.momentum},
                options.alpha * options.v_threshold),
      options_(options) {
  check_fields(Options::kKind, options);
}

}  // namespace volley

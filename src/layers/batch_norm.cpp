#include <volley/batch_norm.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "layers/layer_access.hpp"
#include "layers/lengths.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;  // in memory, channels last
  Tensor x_memory;
  Tensor y;
  Lengths lengths;
  Buffer<ops::ChannelStatistics> statistics;
  bool batch = false;    // whether they are the batch's
  bool counted = false;  // whether the running ones have been updated by them
  ops::Slot slot;

  ops::BatchNormShape shape(std::size_t channels, Executor& device) const {
    const std::size_t P = x.features() / channels;
    return {.N = x.samples(),
            .S = x.stored_steps(),
            .P = P,
            .C = channels,
            .lengths = lengths.read(device),
            .rows = static_cast<double>(P * lengths.steps())};
  }
};

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
  batches_.resize(1);
  batches_.zero();
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

Signal BatchNorm::do_forward(const Signal& x, Tape& tape) const {
  check_state();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.batch = tape.context().training;
  if (saved.batch && x.shape().size() <= channels_) {
    throw ShapeError(kind(), "x of a training must have more than one value per channel", x.shape());
  }
  const bool keep = source_of(x) != nullptr;
  if (keep) saved.x_memory.resize(x.stored_shape());
  saved.x = keep ? x.with_values(saved.x_memory) : x;
  saved.lengths.take(x, tape);
  saved.counted = false;
  saved.statistics.resize(channels_);
  ops::BatchNormForward op{.shape = saved.shape(channels_, device),
                           .x = operand_of(x, device),
                           .kept_x = keep ? device.write(saved.x_memory) : nullptr,
                           .batch = saved.batch,
                           .eps = static_cast<double>(options_.eps),
                           .weight = device.read(weight_.value),
                           .bias = device.read(bias_.value),
                           .running_mean = device.read(running_mean_),
                           .running_var = device.read(running_var_),
                           .statistics = device.write(saved.statistics),
                           .slot = &saved.slot};
  if (TapeAccess::y_by_sample(tape)) {
    if (const SampleSource* y = device.defer(op, saved.x, saved.slot); y != nullptr)
      return with_source(saved.x, *y);
  }
  saved.y.resize(saved.x.stored_shape());
  op.y = device.write(saved.y);
  device.run(op);
  return saved.x.with_values(saved.y);
}

Signal BatchNorm::do_backward(Tape& tape, const Signal& dy) {
  check_state();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  if (saved.batch && !saved.counted) {
    const ops::BatchNormShape shape = saved.shape(channels_, device);
    const double values = saved.lengths.all()
                              ? static_cast<double>(x.shape().size()) / static_cast<double>(channels_)
                              : shape.rows;
    if (batches_.size() == 0) {  // moved from, and filled again
      batches_.resize(1);
      batches_.zero();
    }
    device.run(ops::BatchNormUpdate{.statistics = device.read(saved.statistics),
                                    .C = channels_,
                                    .values = values,
                                    .cumulative = !options_.momentum.has_value(),
                                    .momentum = options_.momentum.value_or(0.0f),
                                    .running_mean = device.update(running_mean_),
                                    .running_var = device.update(running_var_),
                                    .tracked = device.update(num_batches_tracked_),
                                    .batches = device.update(batches_)});
    saved.counted = true;
  }
  Tensor& memory = tape.dx_memory();  // where dy may be: each value is read before it is written
  const bool keep = source_of(dy) != nullptr;
  if (keep) memory.resize(x.stored_shape());
  ops::BatchNormBackward op{.shape = saved.shape(channels_, device),
                            .x = values_of(x, device),
                            .dy = operand_of(dy, device),
                            .kept_dy = keep ? device.write(memory) : nullptr,
                            .batch = saved.batch,
                            .statistics = device.read(saved.statistics),
                            .weight = device.read(weight_.value),
                            .dweight = device.update(weight_.gradient),
                            .dbias = device.update(bias_.gradient),
                            .slot = &saved.slot};
  const bool by_sample = TapeAccess::dx_by_sample(tape) && TapeAccess::given(tape).layout() == x.layout();
  if (by_sample && tape.needs_input_gradient()) {
    const Signal from = keep ? x.with_values(memory) : dy;
    if (const SampleSource* dx = device.defer(op, from, saved.slot); dx != nullptr)
      return with_source(x, *dx);
  }
  if (tape.needs_input_gradient()) {
    memory.resize(x.stored_shape());
    op.dx = device.write(memory);
  }
  device.run(op);
  return tape.needs_input_gradient() ? x.with_values(memory) : Signal{};
}

ThresholdDependentBatchNorm::ThresholdDependentBatchNorm(std::size_t channels, const Options& options)
    : BatchNorm(Options::kKind, channels, {.eps = options.eps, .momentum = options.momentum},
                options.alpha * options.v_threshold),
      options_(options) {
  check_fields(Options::kKind, options);
}

std::unique_ptr<Layer> BatchNorm::do_clone() const { return std::make_unique<BatchNorm>(*this); }

std::unique_ptr<Layer> ThresholdDependentBatchNorm::do_clone() const {
  return std::make_unique<ThresholdDependentBatchNorm>(*this);
}

}  // namespace volley

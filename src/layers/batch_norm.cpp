#include <volley/batch_norm.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "kernels/batch_norm.hpp"
#include "layers/signal_forms.hpp"
#include "reference/batch_norm.hpp"

namespace volley {
namespace {

constexpr std::size_t kChannels = 16;  // a cache line of them: threads share none
constexpr std::size_t kRows = 256;     // that one piece of the element-wise work covers

struct Saved {
  Signal x_given;
  Signal x;  // the same, channels last
  SignalMemory x_memory;
  SignalMemory dx_memory;
  Tensor y;
  std::vector<reference::ChannelStatistics> statistics;
  bool batch = false;    // whether they are the batch's
  bool counted = false;  // whether the running ones have been updated by them
  Buffer<double> sum;
  Buffer<double> dot;
  Buffer<float> scale;
  Buffer<float> slope;
  Buffer<float> offset;

  std::size_t rows() const { return x.stored_shape().size() / scale.size(); }
  /// The sums of y and x y over the rows, for each channel.
  void sum_channels(const float* y_values, ThreadPool& threads) {
    const std::size_t C = scale.size();
    const std::size_t share = (C + threads.size() - 1) / threads.size();
    const std::size_t grain = (share + kChannels - 1) / kChannels * kChannels;
    parallel_for(threads, C, grain, [&](std::size_t begin, std::size_t end) {
      kernels::channel_sums(sum.data(), dot.data(), x.values(), y_values, rows(), C, begin, end);
    });
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
  weight_ = bias_ = Parameter(shape);
  running_mean_ = running_var_ = Tensor(shape);
  BatchNorm::initialize(0, 0);
}

Shape BatchNorm::output_shape(const Shape& features) const {
  if ((features.rank() != 1 && features.rank() != 3) || features[0] != channels_) {
    throw Error(fmt::format("[{}] input features must be ({}) or ({}, H, W), got {}", kind(), channels_,
                            channels_, features.text()));
  }
  return features;
}

std::vector<NamedParameter> BatchNorm::parameters() {
  if (!options_.affine) return {};
  return {{"weight", &weight_}, {"bias", &bias_}};
}

std::vector<NamedTensor> BatchNorm::buffers() {
  return {{"running_mean", &running_mean_},
          {"running_var", &running_var_},
          {"num_batches_tracked", &num_batches_tracked_}};
}

void BatchNorm::initialize(std::uint32_t, std::uint32_t) {
  std::ranges::fill(weight_.value.values(), first_weight_);
  bias_.value.zero();
  running_mean_.zero();
  std::ranges::fill(running_var_.values(), 1.0f);
  num_batches_tracked_.zero();
}

Signal BatchNorm::forward(const Signal& x, Tape& tape) const {
  output_shape(x.shape().from(2));
  check_real_input(kind(), x);
  Saved& saved = tape.saved<Saved>();
  const bool pictures = x.shape().rank() == 5;
  const Layout layout = pictures ? Layout::channels_last : Layout::row_major;
  saved.x_given = x;
  saved.x = in_layout(x, layout, saved.x_memory, tape.threads());
  saved.batch = tape.context().training;
  saved.counted = false;
  saved.statistics.resize(channels_);
  saved.sum.resize(channels_);
  saved.dot.resize(channels_);
  for (Buffer<float>* b : {&saved.scale, &saved.slope, &saved.offset}) b->resize(channels_);
  const double rows = static_cast<double>(saved.rows());
  if (saved.batch) {
    if (x.shape().size() <= channels_) {
      throw Error(fmt::format("[{}] training needs more than one value a channel, got x of shape {}", kind(),
                              x.shape().text()));
    }
    saved.sum_channels(saved.x.values(), tape.threads());
  }
  const double eps = static_cast<double>(options_.eps);
  for (std::size_t c = 0; c < channels_; ++c) {
    saved.statistics[c] =
        saved.batch ? reference::batch_statistics(saved.sum[c], saved.dot[c], rows, eps)
                    : reference::channel_statistics(static_cast<double>(running_mean_.data()[c]),
                                                    static_cast<double>(running_var_.data()[c]), eps);
    const auto k = reference::batch_norm_forward_coefficients(saved.statistics[c], weight_.value.data()[c],
                                                              bias_.value.data()[c]);
    saved.scale[c] = k.scale;
    saved.offset[c] = k.offset;
  }
  saved.y.resize(saved.x.stored_shape());
  parallel_for(tape.threads(), saved.rows(), kRows, [&](std::size_t begin, std::size_t end) {
    kernels::batch_norm_forward(saved.y.data() + begin * channels_, saved.x.values() + begin * channels_,
                                saved.scale.data(), saved.offset.data(), end - begin, channels_);
  });
  return saved.x.with_values(saved.y);
}

Signal BatchNorm::backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  if (saved.batch && !saved.counted) {
    const double n = static_cast<double>(saved.x.shape().size()) / static_cast<double>(channels_);
    const float batches = ++num_batches_tracked_.data()[0];
    const double momentum = static_cast<double>(options_.momentum.value_or(1 / batches));
    for (std::size_t c = 0; c < channels_; ++c) {
      reference::update_running(running_mean_.data()[c], running_var_.data()[c], saved.statistics[c], n,
                                momentum);
    }
    saved.counted = true;
  }
  saved.sum_channels(dy.values(), tape.threads());
  const double rows = saved.batch ? static_cast<double>(saved.rows()) : 0;
  for (std::size_t c = 0; c < channels_; ++c) {
    const auto k = reference::batch_norm_backward_coefficients(
        weight_.gradient.data()[c], bias_.gradient.data()[c], saved.sum[c], saved.dot[c], saved.statistics[c],
        weight_.value.data()[c], rows);
    saved.scale[c] = k.scale;
    saved.slope[c] = k.slope;
    saved.offset[c] = k.offset;
  }
  if (!tape.needs_input_gradient()) return {};
  Tensor& dx = tape.dx_memory();
  dx.resize(saved.x.stored_shape());
  parallel_for(tape.threads(), saved.rows(), kRows, [&](std::size_t begin, std::size_t end) {
    const std::size_t first = begin * channels_;
    kernels::batch_norm_backward(dx.data() + first, dy.values() + first, saved.x.values() + first,
                                 saved.scale.data(), saved.slope.data(), saved.offset.data(), end - begin,
                                 channels_);
  });
  return in_layout(saved.x.with_values(dx), saved.x_given.layout(), saved.dx_memory, tape.threads());
}

ThresholdDependentBatchNorm::ThresholdDependentBatchNorm(std::size_t channels, const Options& options)
    : BatchNorm(Options::kKind, channels, {.eps = options.eps, .momentum = options.momentum},
                options.alpha * options.v_threshold),
      options_(options) {
  check_fields(Options::kKind, options);
}

}  // namespace volley

#include "losses/loss_parts.hpp"

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

#include "signal/device_pictures.hpp"

namespace volley {

void check_labels(std::string_view kind, const Signal& y, const Targets& targets, bool per_step) {
  const std::size_t N = y.samples(), count = targets.labels.size();
  if (targets.values.size() > 0 || !targets.heads.empty()) {
    throw ArgumentError(kind, "targets must be labels", targets.heads.empty() ? "real values" : "heads");
  }
  if (count != N && !(per_step && count == N * y.steps())) {
    const std::string or_steps = per_step ? fmt::format(", or each of {} steps", N * y.steps()) : "";
    throw ArgumentError(kind, fmt::format("needs one label for each of {} samples{}", N, or_steps),
                        fmt::format("{}", count));
  }
  const bool of_steps = count != N;
  for (std::size_t i = 0; i < count; ++i) {
    if (of_steps && !targets.counts(i / y.steps(), i % y.steps(), y.steps())) continue;
    if (targets.labels[i] >= y.features()) {
      throw ArgumentError(kind, fmt::format("labels must be < {}, the number of outputs", y.features()),
                          fmt::format("{}", targets.labels[i]));
    }
  }
}

double weight_of(const Loss& loss, const Targets& targets, std::size_t n, std::size_t samples) {
  const double own = targets.weights.empty() ? 1 : static_cast<double>(targets.weights[n]);
  const std::vector<float>& w = loss.class_weights();
  if (w.empty() || targets.labels.empty()) return own;
  if (targets.labels.size() == samples) return own * static_cast<double>(w[targets.labels[n]]);
  const std::size_t T = targets.labels.size() / samples;
  double sum = 0;
  std::size_t counted = 0;
  for (std::size_t t = 0; t < T; ++t) {
    if (!targets.counts(n, t, T)) continue;
    sum += static_cast<double>(w[targets.labels[n * T + t]]);
    ++counted;
  }
  return own * (sum / static_cast<double>(counted));
}

/// The labels, gathered there where the device has those of the set that the samples are from.
const std::uint32_t* SavedTargets::labels_of(const Targets& targets, const Tape& tape) {
  Executor& device = executor_of(tape);
  const PassContext& context = tape.context();
  DevicePictures* const set = context.pictures;
  if (targets.labels.empty() || set == nullptr || !set->have_labels(context.samples, targets.labels))
    return put(labels_, targets.labels, device);
  labels_.resize(targets.labels.size());
  device.run(ops::Gather{.from = set->labels(device),
                         .numbers = put(numbers_, context.samples, device),
                         .N = labels_.size(),
                         .to = device.write(labels_)});
  return device.read(labels_);
}

ops::TargetsView SavedTargets::take(const Loss& loss, const Targets& targets, std::size_t samples,
                                    const Tape& tape) {
  Executor& device = executor_of(tape);
  const bool weighs = !loss.class_weights().empty() || !targets.weights.empty();
  weights_.resize(weighs ? samples : 0);
  double* const weights = weights_.data();
  for (std::size_t n = 0; n < weights_.size(); ++n) weights[n] = weight_of(loss, targets, n, samples);
  view_ = {.labels = labels_of(targets, tape),
           .values = targets.values.size() == 0 ? nullptr : device.read(targets.values),
           .of_steps = targets.values.shape().rank() == 3 || targets.labels.size() > samples,
           .lengths = put(lengths_, targets.lengths, device),
           .weights = weighs ? device.read(weights_) : nullptr,
           .total_weight = loss.total_weight(targets, samples)};
  return view_;
}

float* SavedLosses::write_losses(std::size_t samples, Executor& device) {
  losses.resize(samples);
  return device.write(losses);
}

double SavedLosses::mean_of(float scale, Executor& device) {
  mean.resize(1);
  device.run(ops::MeanOfSamples{.losses = device.read(losses),
                                .N = losses.size(),
                                .targets = targets.view(),
                                .scale = scale,
                                .loss = device.write(mean)});
  return std::as_const(mean)[0];
}

}  // namespace volley

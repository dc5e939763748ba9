#include <volley/step_loss.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "losses/loss_parts.hpp"

namespace volley {
namespace {

std::uint32_t label_of(const Targets& targets, std::size_t n, std::size_t t, std::size_t N, std::size_t T) {
  return targets.labels[targets.labels.size() == N ? n : n * T + t];
}

/// Of the classes of the steps of a sample.
struct StepWeights {
  const Loss& loss;
  const Targets& targets;
  std::size_t N, T;

  double of(std::size_t n, std::size_t t) const {
    if (loss.class_weights().empty()) return 1;
    return static_cast<double>(loss.class_weights()[label_of(targets, n, t, N, T)]);
  }
  double sum(std::size_t n) const {
    double sum = 0;
    for (std::size_t t = 0; t < targets.steps_of(n, T); ++t) sum += of(n, t);
    return sum;
  }
};

}  // namespace

StepCrossEntropy::StepCrossEntropy(const StepCrossEntropyOptions& options) : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

void StepCrossEntropy::check_targets(const Signal& y, const Targets& targets) const {
  check_labels(kind(), y, targets, true);
}

double StepCrossEntropy::do_forward(const Signal& y, const Targets& targets, Tensor& scores,
                                    Tape& tape) const {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  Buffer<float>& losses = tape.saved<Buffer<float>>();
  losses.resize(N);
  const StepWeights weights{*this, targets, N, T};
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const float* z = y.values() + n * T * K;
    std::copy_n(z, T * K, scores.data() + n * T * K);
    double sum = 0;
    for (std::size_t t = 0; t < targets.steps_of(n, T); ++t) {
      sum += weights.of(n, t) * reference::cross_entropy_forward(z + t * K, label_of(targets, n, t, N, T),
                                                                 options_.label_smoothing, K);
    }
    losses[n] = static_cast<float>(sum / weights.sum(n));
  });
  return mean_of_samples(*this, targets, losses.span());
}

void StepCrossEntropy::do_backward(const Signal& y, const Targets& targets, const Tensor&, Tensor& dy,
                                   Tape& tape) const {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  const double total = total_weight(targets, N);
  const StepWeights weights{*this, targets, N, T};
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    const double share = weight_of(*this, targets, n, N) / total / weights.sum(n);
    for (std::size_t t = 0; t < steps; ++t) {
      const std::size_t first = (n * T + t) * K;
      reference::cross_entropy_backward(dy.data() + first, y.values() + first, label_of(targets, n, t, N, T),
                                        options_.label_smoothing,
                                        static_cast<float>(weights.of(n, t) * share), K);
    }
    std::fill(dy.data() + (n * T + steps) * K, dy.data() + (n + 1) * T * K, 0.0f);
  });
}

double FirstSpikeLoss::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  for (const float value : std::span(y.values(), N * T * K)) {
    if (value == 0 || value == 1) continue;
    throw ArgumentError(kind(), "y must be spikes, 0 or 1", fmt::format("{}", value));
  }
  Buffer<float>& losses = tape.saved<Buffer<float>>();
  losses.resize(N);
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    float* z = scores.data() + n * K;
    reference::first_spikes(z, y.values() + n * T * K, steps, K);
    for (std::size_t k = 0; k < K; ++k) z[k] = -z[k];
    losses[n] = static_cast<float>(sample_loss(z, targets, n, steps, K));
  });
  return mean_of_samples(*this, targets, losses.span());
}

void FirstSpikeLoss::do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                                 Tape& tape) const {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  const reference::SampleWeights weights = weights_of(*this, targets, N);
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    Scratch<float> times(K), dtimes(K);
    const float* z = scores.data() + n * K;
    sample_gradient(dtimes.data(), z, targets, n, steps, K, 1 / weights.count(n, N));
    for (std::size_t k = 0; k < K; ++k) {
      times[k] = -z[k];
      dtimes[k] = -dtimes[k];
    }
    float* first = dy.data() + n * T * K;
    reference::first_spikes_backward(first, dtimes.data(), times.data(), steps, K);
    std::fill(first + steps * K, first + T * K, 0.0f);
  });
}

FirstSpikeCrossEntropy::FirstSpikeCrossEntropy(const FirstSpikeCrossEntropyOptions& options)
    : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

double FirstSpikeCrossEntropy::sample_loss(const float* z, const Targets& targets, std::size_t n, std::size_t,
                                           std::size_t K) const {
  return reference::cross_entropy_forward(z, targets.labels[n], options_.label_smoothing, K);
}

void FirstSpikeCrossEntropy::sample_gradient(float* dz, const float* z, const Targets& targets, std::size_t n,
                                             std::size_t, std::size_t K, double factor) const {
  reference::cross_entropy_backward(dz, z, targets.labels[n], options_.label_smoothing,
                                    static_cast<float>(factor), K);
}

FirstSpikeMse::FirstSpikeMse(const FirstSpikeMseOptions& options) : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

void FirstSpikeMse::check_targets(const Signal& y, const Targets& targets) const {
  if (targets.values.size() == 0) return Loss::check_targets(y, targets);
  const Shape expected{y.samples(), y.features()};
  if (targets.values.shape() != expected) {
    throw ShapeError(kind(), fmt::format("targets must be {}", expected.text()), targets.values.shape());
  }
  if (!targets.labels.empty() || !targets.heads.empty()) {
    throw ArgumentError(kind(), "targets must be labels or values", "both");
  }
}

float FirstSpikeMse::target(const Targets& targets, std::size_t n, std::size_t k, std::size_t T,
                            std::size_t K) const {
  if (targets.labels.empty()) return targets.values.data()[n * K + k];
  return targets.labels[n] == k ? options_.on_step : options_.off_step.value_or(static_cast<float>(T - 1));
}

double FirstSpikeMse::sample_loss(const float* z, const Targets& targets, std::size_t n, std::size_t T,
                                  std::size_t K) const {
  double sum = 0;
  for (std::size_t k = 0; k < K; ++k) {
    const double e = -static_cast<double>(z[k]) - static_cast<double>(target(targets, n, k, T, K));
    sum += e * e;
  }
  return static_cast<double>(options_.scale) * sum / static_cast<double>(K);
}

void FirstSpikeMse::sample_gradient(float* dz, const float* z, const Targets& targets, std::size_t n,
                                    std::size_t T, std::size_t K, double factor) const {
  const double share = 2 * static_cast<double>(options_.scale) * factor / static_cast<double>(K);
  for (std::size_t k = 0; k < K; ++k) {
    const double e = -static_cast<double>(z[k]) - static_cast<double>(target(targets, n, k, T, K));
    dz[k] = static_cast<float>(-share * e);
  }
}

}  // namespace volley

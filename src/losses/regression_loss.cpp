#include <volley/regression_loss.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "losses/loss_parts.hpp"

namespace volley {
namespace {

/// Where the targets of sample n begin.
const float* targets_of(const Targets& targets, std::size_t n, std::size_t t) {
  const Shape& shape = targets.values.shape();
  const std::size_t K = shape[shape.rank() - 1];
  return targets.values.data() + (shape.rank() == 3 ? (n * shape[1] + t) * K : n * K);
}

}  // namespace

Shape RegressionLoss::scores_shape(const Shape& y) const {
  return readout_ == ValueReadout::each_step ? y : Shape{y[0], y[2]};
}

void RegressionLoss::check_targets(const Signal& y, const Targets& targets) const {
  if (!targets.labels.empty() || !targets.heads.empty()) {
    throw ArgumentError(kind(), "targets must be real values", targets.heads.empty() ? "labels" : "heads");
  }
  const Shape& shape = targets.values.shape();
  const Shape of_samples{y.samples(), y.features()};
  if (shape == of_samples || (readout_ == ValueReadout::each_step && shape == y.shape())) return;
  const std::string or_steps =
      readout_ == ValueReadout::each_step ? fmt::format(" or {}", y.shape().text()) : "";
  throw ShapeError(kind(), fmt::format("targets must be {}{}", of_samples.text(), or_steps), shape);
}

double RegressionLoss::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  Buffer<float>& losses = tape.saved<Buffer<float>>();
  losses.resize(N);
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    if (readout_ == ValueReadout::each_step) {
      float* z = scores.data() + n * T * K;
      std::copy_n(y.values() + n * T * K, T * K, z);
      double sum = 0;
      for (std::size_t t = 0; t < steps; ++t) sum += mean_worth(z + t * K, targets_of(targets, n, t), K);
      losses[n] = static_cast<float>(sum / static_cast<double>(steps));
      return;
    }
    float* z = scores.data() + n * K;
    if (readout_ == ValueReadout::last) {
      std::copy_n(y.values() + (n * T + steps - 1) * K, K, z);
    } else {
      sum_over_time(z, y, n, steps, readout_ == ValueReadout::mean ? static_cast<float>(steps) : 1.0f);
    }
    losses[n] = static_cast<float>(mean_worth(z, targets_of(targets, n, 0), K));
  });
  return static_cast<double>(scale_) * mean_of_samples(*this, targets, losses.span());
}

void RegressionLoss::do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                                 Tape& tape) const {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  const reference::SampleWeights weights = weights_of(*this, targets, N);
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    const double share = static_cast<double>(scale_) / weights.count(n, N);
    const double of_step = share / static_cast<double>(steps);
    float* first = dy.data() + n * T * K;
    std::fill(first + steps * K, first + T * K, 0.0f);
    if (readout_ == ValueReadout::each_step) {
      const float* z = scores.data() + n * T * K;
      for (std::size_t t = 0; t < steps; ++t)
        mean_worth_gradient(first + t * K, z + t * K, targets_of(targets, n, t), of_step, K);
      return;
    }
    const float* z = scores.data() + n * K;
    float* last = first + (steps - 1) * K;
    mean_worth_gradient(last, z, targets_of(targets, n, 0), readout_ == ValueReadout::mean ? of_step : share,
                        K);
    for (std::size_t t = 0; t + 1 < steps; ++t) {
      if (readout_ == ValueReadout::last) {
        std::fill_n(first + t * K, K, 0.0f);
      } else {
        std::copy_n(last, K, first + t * K);
      }
    }
  });
}

Mse::Mse(const MseOptions& options) : RegressionLoss(options.scale, options.readout), options_(options) {
  check_fields(kind(), options);
}

double Mse::mean_worth(const float* z, const float* targets, std::size_t count) const {
  return reference::regression_forward(z, targets, reference::SquaredError{}, count);
}

void Mse::mean_worth_gradient(float* dz, const float* z, const float* targets, double factor,
                              std::size_t count) const {
  reference::regression_backward(dz, z, targets, reference::SquaredError{}, factor, count);
}

L1::L1(const L1Options& options) : RegressionLoss(options.scale, options.readout), options_(options) {
  check_fields(kind(), options);
}

double L1::mean_worth(const float* z, const float* targets, std::size_t count) const {
  return reference::regression_forward(z, targets, reference::AbsoluteError{}, count);
}

void L1::mean_worth_gradient(float* dz, const float* z, const float* targets, double factor,
                             std::size_t count) const {
  reference::regression_backward(dz, z, targets, reference::AbsoluteError{}, factor, count);
}

Huber::Huber(const HuberOptions& options)
    : RegressionLoss(options.scale, options.readout), options_(options) {
  check_fields(kind(), options);
}

double Huber::mean_worth(const float* z, const float* targets, std::size_t count) const {
  const reference::HuberError worth{static_cast<double>(options_.delta)};
  return reference::regression_forward(z, targets, worth, count);
}

void Huber::mean_worth_gradient(float* dz, const float* z, const float* targets, double factor,
                                std::size_t count) const {
  const reference::HuberError worth{static_cast<double>(options_.delta)};
  reference::regression_backward(dz, z, targets, worth, factor, count);
}

}  // namespace volley

#include <volley/metrics.hpp>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <vector>

#include <volley/error.hpp>

namespace volley {
namespace {

constexpr const char* kKind = "metrics";

/// Of each class: its samples, the predictions of it, and those of these that are right.
struct Counts {
  std::vector<std::size_t> samples, predicted, right;

  Counts(std::span<const std::uint32_t> predictions, std::span<const std::uint32_t> labels,
         std::size_t classes)
      : samples(classes), predicted(classes), right(classes) {
    if (predictions.size() != labels.size()) {
      throw ArgumentError(kKind, fmt::format("predictions must be one for each of {} labels", labels.size()),
                          fmt::format("{}", predictions.size()));
    }
    const auto check = [&](const char* name, std::uint32_t k) {
      if (k < classes) return;
      throw ArgumentError(kKind, fmt::format("{} must be < {}", name, classes), fmt::format("{}", k));
    };
    for (std::size_t n = 0; n < labels.size(); ++n) {
      check("labels", labels[n]);
      check("predictions", predictions[n]);
      ++samples[labels[n]];
      ++predicted[predictions[n]];
      if (labels[n] == predictions[n]) ++right[labels[n]];
    }
  }
};

/// The mean of numerator / denominator of each class whose denominator is not 0.
template <class Numerator, class Denominator>
double mean_of_classes(std::size_t classes, const Numerator& numerator, const Denominator& denominator) {
  double sum = 0, count = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    const auto of = static_cast<double>(denominator(k));
    if (of == 0) continue;
    sum += static_cast<double>(numerator(k)) / of;
    ++count;
  }
  return sum / count;  // 0 / 0 is NaN
}

void check_pair(const Tensor& values, const Tensor& targets) {
  if (values.shape() == targets.shape()) return;
  throw ShapeError(kKind,
                   fmt::format("values must have the shape of the targets, {}", targets.shape().text()),
                   values.shape());
}

/// The sum of term(value, target).
template <class Term>
double sum_of(const Tensor& values, const Tensor& targets, const Term& term) {
  check_pair(values, targets);
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += term(static_cast<double>(values.data()[i]), static_cast<double>(targets.data()[i]));
  }
  return sum;
}

double square(double x) { return x * x; }

}  // namespace

double macro_accuracy(std::span<const std::uint32_t> predictions, std::span<const std::uint32_t> labels,
                      std::size_t classes) {
  const Counts c(predictions, labels, classes);
  return mean_of_classes(
      classes, [&](std::size_t k) { return c.right[k]; }, [&](std::size_t k) { return c.samples[k]; });
}

double macro_f1(std::span<const std::uint32_t> predictions, std::span<const std::uint32_t> labels,
                std::size_t classes) {
  const Counts c(predictions, labels, classes);
  return mean_of_classes(
      classes, [&](std::size_t k) { return 2 * c.right[k]; },
      [&](std::size_t k) { return c.samples[k] + c.predicted[k]; });
}

double top_k_accuracy(const Tensor& scores, std::span<const std::uint32_t> labels, std::size_t k) {
  if (scores.shape().rank() != 2 || scores.shape()[0] != labels.size()) {
    throw ShapeError(kKind,
                     fmt::format("scores must be (N, K) with a row for each of {} labels", labels.size()),
                     scores.shape());
  }
  const std::size_t K = scores.shape()[1];
  if (k < 1 || k > K) throw ArgumentError(kKind, fmt::format("k must be 1 to {}", K), fmt::format("{}", k));
  std::size_t right = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    if (labels[n] >= K) {
      throw ArgumentError(kKind, fmt::format("labels must be < {}", K), fmt::format("{}", labels[n]));
    }
    const float* score = scores.data() + n * K;
    std::size_t higher = 0;
    for (std::size_t j = 0; j < K; ++j) {
      if (score[j] > score[labels[n]] || (score[j] == score[labels[n]] && j < labels[n])) ++higher;
    }
    if (higher < k) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

double mean_absolute_error(const Tensor& values, const Tensor& targets) {
  return sum_of(values, targets, [](double y, double t) { return std::abs(y - t); }) /
         static_cast<double>(values.size());
}

double root_mean_squared_error(const Tensor& values, const Tensor& targets) {
  return std::sqrt(sum_of(values, targets, [](double y, double t) { return square(y - t); }) /
                   static_cast<double>(values.size()));
}

double r_squared(const Tensor& values, const Tensor& targets) {
  const double mean =
      sum_of(values, targets, [](double, double t) { return t; }) / static_cast<double>(values.size());
  const double spread = sum_of(values, targets, [&](double, double t) { return square(t - mean); });
  if (spread == 0) return std::numeric_limits<double>::quiet_NaN();
  return 1 - sum_of(values, targets, [](double y, double t) { return square(y - t); }) / spread;
}

}  // namespace volley

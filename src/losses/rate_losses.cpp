#include <algorithm>
#include <volley/error.hpp>
#include <volley/loss.hpp>

#include "reference/rate_loss.hpp"

#include <fmt/format.h>

namespace volley {
namespace {

/// (R1) The mean of y (N, T, K) over T.
void rates_of(const Signal& y, Tensor& rates) {
  const std::size_t N = y.samples();
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  rates.resize({N, K});
  float* r = rates.data();
  if (y.is_spikes()) {
    static thread_local Buffer<std::uint32_t> counts;
    counts.resize(N * K);
    y.spikes().count_by_feature(counts.span());
    for (std::size_t i = 0; i < N * K; ++i) r[i] = static_cast<float>(counts[i]) / static_cast<float>(T);
    return;
  }
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t k = 0; k < K; ++k) {
      float sum = 0;
      for (std::size_t t = 0; t < T; ++t) sum += y.values()[(n * T + t) * K + k];
      r[n * K + k] = sum / static_cast<float>(T);
    }
  }
}

/// Every step has the same part in the rate: dy[t] = dr / T. `dr` (N, K) may be the first step of dy itself.
void spread_over_time(Tensor& dy, const Buffer<float>& dr, const Signal& y) {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  dy.resize({y.samples(), T, K});
  const float share = 1 / static_cast<float>(T);
  for (std::size_t n = 0; n < y.samples(); ++n) {
    float* first = dy.data() + n * T * K;
    for (std::size_t k = 0; k < K; ++k) first[k] = dr[n * K + k] * share;
    for (std::size_t t = 1; t < T; ++t) std::copy_n(first, K, first + t * K);
  }
}

void check_labels(std::string_view kind, const Signal& y, std::span<const std::uint8_t> labels) {
  if (labels.size() != y.samples()) {
    throw Error(
        fmt::format("[{}] needs one label for each of {} samples, got {}", kind, y.samples(), labels.size()));
  }
  for (const std::uint8_t label : labels) {
    if (label >= y.features()) {
      throw Error(
          fmt::format("[{}] labels must be < {}, the number of outputs, got {}", kind, y.features(), label));
    }
  }
}

}  // namespace

std::size_t predict(std::span<const float> scores) {
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

RateMse::RateMse(const RateMseOptions& options) : options_(options) {
  check_fields(RateMseOptions::kKind, options);
}

double RateMse::forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores) const {
  check_labels(kind(), y, labels);
  rates_of(y, scores);
  return static_cast<double>(
      reference::rate_mse_forward(scores.data(), labels.data(), options_.scale, y.samples(), y.features()));
}

void RateMse::backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores,
                       Tensor& dy) const {
  static thread_local Buffer<float> dr;
  dr.resize(scores.size());
  reference::rate_mse_backward(dr.data(), scores.data(), labels.data(), options_.scale, y.samples(),
                               y.features());
  spread_over_time(dy, dr, y);
}

double RateCrossEntropy::forward(const Signal& y, std::span<const std::uint8_t> labels,
                                 Tensor& scores) const {
  check_labels(kind(), y, labels);
  rates_of(y, scores);
  return static_cast<double>(
      reference::rate_cross_entropy_forward(scores.data(), labels.data(), y.samples(), y.features()));
}

void RateCrossEntropy::backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores,
                                Tensor& dy) const {
  static thread_local Buffer<float> dr;
  dr.resize(scores.size());
  reference::rate_cross_entropy_backward(dr.data(), scores.data(), labels.data(), y.samples(), y.features());
  spread_over_time(dy, dr, y);
}

}  // namespace volley

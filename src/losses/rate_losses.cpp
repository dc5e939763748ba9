#include <algorithm>
#include <volley/error.hpp>
#include <volley/loss.hpp>

#include "reference/rate_loss.hpp"

#include <fmt/format.h>

namespace volley {
namespace {

constexpr std::size_t kSamples = 8;  // of one piece of work

/// (R1) The mean of y (N, T, K) over T.
void rates_of(const Signal& y, Tensor& rates, ThreadPool& threads) {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  rates.resize({y.samples(), K});
  parallel_for(threads, y.samples(), kSamples, [&](std::size_t begin, std::size_t end) {
    static thread_local Buffer<std::uint32_t> counts;
    counts.resize(K);
    for (std::size_t n = begin; n < end; ++n) {
      float* r = rates.data() + n * K;
      if (y.is_spikes()) {
        y.spikes().count_by_feature(n, counts.span());
        for (std::size_t k = 0; k < K; ++k) r[k] = static_cast<float>(counts[k]) / static_cast<float>(T);
        continue;
      }
      for (std::size_t k = 0; k < K; ++k) {
        float sum = 0;
        for (std::size_t t = 0; t < T; ++t) sum += y.values()[(n * T + t) * K + k];
        r[k] = sum / static_cast<float>(T);
      }
    }
  });
}

/// Every step has the same part in the rate: dy[t] = dr / T, (R3).
void spread_over_time(Tensor& dy, const Buffer<float>& dr, const Signal& y, ThreadPool& threads) {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  dy.resize({y.samples(), T, K});
  const float share = 1 / static_cast<float>(T);
  parallel_for(threads, y.samples(), kSamples, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      float* first = dy.data() + n * T * K;
      for (std::size_t k = 0; k < K; ++k) first[k] = dr[n * K + k] * share;
      for (std::size_t t = 1; t < T; ++t) std::copy_n(first, K, first + t * K);
    }
  });
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

double RateMse::forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                        ThreadPool& threads) const {
  check_labels(kind(), y, labels);
  rates_of(y, scores, threads);
  return static_cast<double>(
      reference::rate_mse_forward(scores.data(), labels.data(), options_.scale, y.samples(), y.features()));
}

void RateMse::backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores,
                       Tensor& dy, ThreadPool& threads) const {
  static thread_local Buffer<float> dr;
  dr.resize(scores.size());
  reference::rate_mse_backward(dr.data(), scores.data(), labels.data(), options_.scale, y.samples(),
                               y.features());
  spread_over_time(dy, dr, y, threads);
}

double RateCrossEntropy::forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                                 ThreadPool& threads) const {
  check_labels(kind(), y, labels);
  rates_of(y, scores, threads);
  return static_cast<double>(
      reference::rate_cross_entropy_forward(scores.data(), labels.data(), y.samples(), y.features()));
}

void RateCrossEntropy::backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores,
                                Tensor& dy, ThreadPool& threads) const {
  static thread_local Buffer<float> dr;
  dr.resize(scores.size());
  reference::rate_cross_entropy_backward(dr.data(), scores.data(), labels.data(), y.samples(), y.features());
  spread_over_time(dy, dr, y, threads);
}

}  // namespace volley

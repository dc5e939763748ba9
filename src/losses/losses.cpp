#include <algorithm>
#include <numeric>
#include <volley/error.hpp>
#include <volley/loss.hpp>

#include "reference/loss.hpp"

#include <fmt/format.h>

namespace volley {
namespace {

constexpr std::size_t kSamples = 8;  // of one piece of work

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

/// body(n) for every sample, shared out.
template <class Body>
void for_samples(std::size_t N, ThreadPool& threads, const Body& body) {
  parallel_for(threads, N, kSamples, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) body(n);
  });
}

/// z (K) = the sum over T of sample n of y (N, T, K), divided by `divisor`.
void sum_over_time(float* z, const Signal& y, std::size_t n, float divisor) {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  if (y.is_spikes()) {
    static thread_local Buffer<std::uint32_t> counts;
    counts.resize(K);
    y.spikes().count_by_feature(n, counts.span());
    for (std::size_t k = 0; k < K; ++k) z[k] = static_cast<float>(counts[k]) / divisor;
    return;
  }
  for (std::size_t k = 0; k < K; ++k) {
    float sum = 0;
    for (std::size_t t = 0; t < T; ++t) sum += y.values()[(n * T + t) * K + k];
    z[k] = sum / divisor;
  }
}

/// The outputs (T, K) of sample n, spikes as 0 and 1; valid until the thread's next call.
const float* real_values(const Signal& y, std::size_t n, std::size_t T, std::size_t K) {
  if (!y.is_spikes()) return y.values() + n * T * K;
  static thread_local Buffer<float> values;
  values.resize(T * K);
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t k = 0; k < K; ++k) values[t * K + k] = y.spikes().fired(n, t, k) ? 1.0f : 0.0f;
  }
  return values.data();
}

reference::TetParameters<float> lower(const TetOptions& o) {
  return {.lamb = o.lamb, .means = o.means, .smoothing = o.label_smoothing};
}

}  // namespace

std::size_t predict(std::span<const float> scores) {
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

double ScoreLoss::forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                          ThreadPool& threads) const {
  check_labels(kind(), y, labels);
  if (of_membranes_ && y.is_spikes())
    throw Error(fmt::format("[{}] y must be real-valued, potentials, got spikes", kind()));
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  scores.resize({y.samples(), K});
  for_samples(y.samples(), threads, [&](std::size_t n) {
    float* z = scores.data() + n * K;
    if (over_ == Over::last) {
      std::copy_n(y.values() + (n * T + T - 1) * K, K, z);
    } else {
      sum_over_time(z, y, n, over_ == Over::mean ? static_cast<float>(T) : 1.0f);  // (R1), (R6)
    }
  });
  return static_cast<double>(criterion(scores, labels, T));
}

void ScoreLoss::backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores,
                         Tensor& dy, ThreadPool& threads) const {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  static thread_local Buffer<float> buffer;
  buffer.resize(scores.size());
  const std::span<float> dz = buffer.span();  // not the buffer of whoever works on a piece
  criterion_gradient(dz, scores, labels, T);
  dy.resize({y.samples(), T, K});
  const float share = over_ == Over::mean ? 1 / static_cast<float>(T) : 1.0f;
  for_samples(y.samples(), threads, [&](std::size_t n) {  // (R7)
    float* first = dy.data() + n * T * K;
    if (over_ == Over::last) {
      std::fill_n(first, (T - 1) * K, 0.0f);
      std::copy_n(dz.data() + n * K, K, first + (T - 1) * K);
      return;
    }
    for (std::size_t k = 0; k < K; ++k) first[k] = dz[n * K + k] * share;
    for (std::size_t t = 1; t < T; ++t) std::copy_n(first, K, first + t * K);
  });
}

float ScoreMse::criterion(const Tensor& z, std::span<const std::uint8_t> labels, std::size_t T) const {
  const float unit = targets_.per_step ? static_cast<float>(T) : 1.0f;
  return reference::mse_forward(z.data(), labels.data(), scale_, targets_.on * unit, targets_.off * unit,
                                z.shape()[0], z.shape()[1]);
}

void ScoreMse::criterion_gradient(std::span<float> dz, const Tensor& z, std::span<const std::uint8_t> labels,
                                  std::size_t T) const {
  const float unit = targets_.per_step ? static_cast<float>(T) : 1.0f;
  reference::mse_backward(dz.data(), z.data(), labels.data(), scale_, targets_.on * unit, targets_.off * unit,
                          z.shape()[0], z.shape()[1]);
}

float ScoreCrossEntropy::criterion(const Tensor& z, std::span<const std::uint8_t> labels, std::size_t) const {
  return reference::mean_cross_entropy_forward(z.data(), labels.data(), label_smoothing_, z.shape()[0],
                                               z.shape()[1]);
}

void ScoreCrossEntropy::criterion_gradient(std::span<float> dz, const Tensor& z,
                                           std::span<const std::uint8_t> labels, std::size_t) const {
  reference::mean_cross_entropy_backward(dz.data(), z.data(), labels.data(), label_smoothing_, z.shape()[0],
                                         z.shape()[1]);
}

RateMse::RateMse(const RateMseOptions& options)
    : ScoreMse(Over::mean, false, options.scale, {}), options_(options) {
  check_fields(kind(), options);
}

CountMse::CountMse(const CountMseOptions& options)
    : ScoreMse(Over::sum, false, options.scale,
               {.on = options.correct_rate, .off = options.incorrect_rate, .per_step = true}),
      options_(options) {
  check_fields(kind(), options);
}

MembraneMse::MembraneMse(const MembraneMseOptions& options)
    : ScoreMse(options.readout == Readout::last ? Over::last : Over::mean, true, options.scale, {}),
      options_(options) {
  check_fields(kind(), options);
}

RateCrossEntropy::RateCrossEntropy(const RateCrossEntropyOptions& options)
    : ScoreCrossEntropy(Over::mean, false, options.label_smoothing), options_(options) {
  check_fields(kind(), options);
}

CountCrossEntropy::CountCrossEntropy(const CountCrossEntropyOptions& options)
    : ScoreCrossEntropy(Over::sum, false, options.label_smoothing), options_(options) {
  check_fields(kind(), options);
}

MembraneCrossEntropy::MembraneCrossEntropy(const MembraneCrossEntropyOptions& options)
    : ScoreCrossEntropy(options.readout == Readout::last ? Over::last : Over::mean, true,
                        options.label_smoothing),
      options_(options) {
  check_fields(kind(), options);
}

Tet::Tet(const TetOptions& options) : options_(options) { check_fields(kind(), options); }

double Tet::forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                    ThreadPool& threads) const {
  check_labels(kind(), y, labels);
  const std::size_t N = y.samples();
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  scores.resize({N, K});
  static thread_local Buffer<float> buffer;
  buffer.resize(N);
  const std::span<float> losses = buffer.span();
  for_samples(N, threads, [&](std::size_t n) {
    sum_over_time(scores.data() + n * K, y, n, static_cast<float>(T));
    losses[n] = reference::tet_forward(real_values(y, n, T, K), labels[n], lower(options_), T, K);
  });
  return static_cast<double>(std::accumulate(losses.begin(), losses.end(), 0.0f) / static_cast<float>(N));
}

void Tet::backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor&, Tensor& dy,
                   ThreadPool& threads) const {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  dy.resize({y.samples(), T, K});
  for_samples(y.samples(), threads, [&](std::size_t n) {
    reference::tet_backward(dy.data() + n * T * K, real_values(y, n, T, K), labels[n], lower(options_),
                            y.samples(), T, K);
  });
}

}  // namespace volley

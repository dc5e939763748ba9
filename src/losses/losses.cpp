#include <volley/loss.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <volley/error.hpp>

#include "core/tree_sum.hpp"
#include "core/workspace.hpp"
#include "layers/signal_forms.hpp"
#include "reference/loss.hpp"

namespace volley {
namespace {

constexpr std::size_t kSamples = 8;  // of one piece of work

/// The forward of a loss that a tape has run last, and the memory of both passes.
struct Pass {
  const Loss* loss = nullptr;  // null until a forward is done
  Signal given;                // y as it came
  Signal y;                    // as the loss reads it
  std::vector<std::uint32_t> labels;
  Tensor scores;
  Tensor dy;
  SignalMemory plain_y, real_y, dy_as_given;
};

void check_tape(std::string_view kind, const Tape& tape) {
  const auto ran_layer = [](const Tape& of) { return of.trace().layer != nullptr; };
  if (ran_layer(tape) || std::ranges::any_of(tape.children(), ran_layer))
    throw ArgumentError(kind, "tape must be the loss's own, got that of a network");
}

void check_output(std::string_view kind, const Signal& y) {
  if (y.shape().rank() != 3 || y.shape().size() == 0 || y.empty()) {
    throw ShapeError(kind, "y must be (N, T, K), none of them 0", y.shape());
  }
}

void check_labels(std::string_view kind, const Signal& y, std::span<const std::uint32_t> labels) {
  if (labels.size() != y.samples()) {
    throw ArgumentError(kind, fmt::format("needs one label for each of {} samples", y.samples()),
                        fmt::format("{}", labels.size()));
  }
  for (const std::uint32_t label : labels) {
    if (label >= y.features()) {
      throw ArgumentError(kind, fmt::format("labels must be < {}, the number of outputs", y.features()),
                          fmt::format("{}", label));
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
    Scratch<std::uint32_t> counts(K);
    y.spikes().count_by_feature(n, counts.span());
    for (std::size_t k = 0; k < K; ++k) z[k] = static_cast<float>(counts[k]) / divisor;
    return;
  }
  for (std::size_t k = 0; k < K; ++k) {
    double sum = 0;
    for (std::size_t t = 0; t < T; ++t) sum += static_cast<double>(y.values()[(n * T + t) * K + k]);
    z[k] = static_cast<float>(sum / static_cast<double>(divisor));
  }
}

/// The outputs (T, K) of sample n, spikes as 0 and 1, which are then in `values` (T, K).
const float* outputs_of(const Signal& y, std::size_t n, std::size_t T, std::size_t K,
                        Scratch<float>& values) {
  if (!y.is_spikes()) return y.values() + n * T * K;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t k = 0; k < K; ++k) values[t * K + k] = y.spikes().fired(n, t, k) ? 1.0f : 0.0f;
  }
  return values.data();
}

/// How much the samples of a batch count in `loss`.
reference::SampleWeights weights_of(const Loss& loss, std::span<const std::uint32_t> labels) {
  if (loss.class_weights().empty()) return {};
  return {loss.class_weights().data(), labels.data(), loss.total_weight(labels)};
}

reference::TetParameters<float> lower(const TetOptions& o) {
  return {.lamb = o.lamb, .means = o.means, .smoothing = o.label_smoothing};
}

}  // namespace

std::size_t predict(std::span<const float> scores) {
  if (scores.empty()) return 0;
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

std::vector<float> balanced_class_weights(std::span<const std::uint32_t> labels, std::size_t classes) {
  std::vector<std::size_t> counts(classes);
  for (const std::uint32_t label : labels) {
    if (label >= classes) {
      throw ArgumentError("balanced_class_weights", fmt::format("labels must be < {}", classes),
                          fmt::format("{}", label));
    }
    ++counts[label];
  }
  std::vector<float> weights;
  for (std::size_t k = 0; k < classes; ++k) {
    if (counts[k] == 0) {
      throw ArgumentError("balanced_class_weights", "every class must have a label",
                          fmt::format("none of class {}", k));
    }
    const double share = static_cast<double>(classes) * static_cast<double>(counts[k]);
    weights.push_back(static_cast<float>(static_cast<double>(labels.size()) / share));
  }
  return weights;
}

void Loss::set_class_weights(const ClassWeights& weights) {
  if (weights.balanced) {
    throw ArgumentError(kind(), "class_weights must be numbers, which balanced_class_weights gives",
                        "'balanced'");
  }
  for (const float w : weights.values) check_range(kind(), "class_weights", static_cast<double>(w), above(0));
  class_weights_ = weights.values;
}

void Loss::check_outputs(std::size_t outputs) const {
  if (class_weights_.empty() || class_weights_.size() == outputs) return;
  throw ArgumentError(kind(), fmt::format("class_weights must be one for each of {} outputs", outputs),
                      fmt::format("{}", class_weights_.size()));
}

double Loss::total_weight(std::span<const std::uint32_t> labels) const {
  if (class_weights_.empty()) return static_cast<double>(labels.size());
  return tree_sum(labels.size(),
                  [&](std::size_t n) { return static_cast<double>(class_weights_[labels[n]]); });
}

double Loss::forward(const Signal& y, std::span<const std::uint32_t> labels, Tensor& scores,
                     Tape& tape) const {
  check_tape(kind(), tape);
  check_output(kind(), y);
  check_outputs(y.features());
  check_labels(kind(), y, labels);
  Pass& pass = tape.saved<Pass>();
  pass.loss = nullptr;
  pass.given = y;
  pass.y = plain(y, pass.plain_y, tape.threads());
  if (!reads_spikes()) pass.y = real_values(pass.y, pass.real_y, tape.threads());
  pass.labels.assign(labels.begin(), labels.end());
  const Shape expected{y.samples(), y.features()};
  scores.resize(expected);
  const double loss = do_forward(pass.y, pass.labels, scores, tape.child(0));
  if (scores.shape() != expected) {
    throw ShapeError(kind(), fmt::format("scores of do_forward must be {}", expected.text()), scores.shape());
  }
  pass.scores = scores;
  pass.loss = this;
  return loss;
}

Signal Loss::backward(Tape& tape) const {
  Pass& pass = tape.saved<Pass>();
  if (pass.loss != this) {
    throw ArgumentError(kind(), "the last forward on the tape of backward must be one of this loss",
                        pass.loss == nullptr ? "none" : "that of another");
  }
  if (!SignalAccess::memory_fits(pass.given)) {
    throw ArgumentError(kind(), "the memory of y must keep its shape until backward is done");
  }
  const Shape shape = pass.y.shape();
  pass.dy.resize(shape);
  do_backward(pass.y, pass.labels, pass.scores, pass.dy, tape.child(0));
  if (pass.dy.shape() != shape) {
    throw ShapeError(kind(), fmt::format("dy of do_backward must be {}", shape.text()), pass.dy.shape());
  }
  return in_form_of(pass.given, pass.dy, pass.dy_as_given, tape.threads());
}

double ScoreLoss::do_forward(const Signal& y, std::span<const std::uint32_t> labels, Tensor& scores,
                             Tape& tape) const {
  if (of_membranes_ && y.is_spikes()) {
    throw ArgumentError(kind(), "y must be real-valued, potentials", "spikes");
  }
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  for_samples(y.samples(), tape.threads(), [&](std::size_t n) {
    float* z = scores.data() + n * K;
    if (over_ == Over::last) {
      std::copy_n(y.values() + (n * T + T - 1) * K, K, z);
    } else {
      sum_over_time(z, y, n, over_ == Over::mean ? static_cast<float>(T) : 1.0f);  // (R1), (R6)
    }
  });
  return criterion(scores, labels, T);
}

void ScoreLoss::do_backward(const Signal& y, std::span<const std::uint32_t> labels, const Tensor& scores,
                            Tensor& dy, Tape& tape) const {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  Buffer<float>& dz = tape.saved<Buffer<float>>();
  dz.resize(scores.size());
  criterion_gradient(dz.span(), scores, labels, T);
  const float share = over_ == Over::mean ? 1 / static_cast<float>(T) : 1.0f;
  for_samples(y.samples(), tape.threads(), [&](std::size_t n) {  // (R7)
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

double ScoreMse::criterion(const Tensor& z, std::span<const std::uint32_t> labels, std::size_t T) const {
  const float unit = targets_.per_step ? static_cast<float>(T) : 1.0f;
  return static_cast<double>(reference::mse_forward(z.data(), labels.data(), scale_, targets_.on * unit,
                                                    targets_.off * unit, z.shape()[0], z.shape()[1],
                                                    weights_of(*this, labels)));
}

void ScoreMse::criterion_gradient(std::span<float> dz, const Tensor& z, std::span<const std::uint32_t> labels,
                                  std::size_t T) const {
  const float unit = targets_.per_step ? static_cast<float>(T) : 1.0f;
  reference::mse_backward(dz.data(), z.data(), labels.data(), scale_, targets_.on * unit, targets_.off * unit,
                          z.shape()[0], z.shape()[1], weights_of(*this, labels));
}

double ScoreCrossEntropy::criterion(const Tensor& z, std::span<const std::uint32_t> labels,
                                    std::size_t) const {
  return static_cast<double>(reference::mean_cross_entropy_forward(
      z.data(), labels.data(), label_smoothing_, z.shape()[0], z.shape()[1], weights_of(*this, labels)));
}

void ScoreCrossEntropy::criterion_gradient(std::span<float> dz, const Tensor& z,
                                           std::span<const std::uint32_t> labels, std::size_t) const {
  reference::mean_cross_entropy_backward(dz.data(), z.data(), labels.data(), label_smoothing_, z.shape()[0],
                                         z.shape()[1], weights_of(*this, labels));
}

RateMse::RateMse(const RateMseOptions& options)
    : ScoreMse(Over::mean, false, options.scale, {}), options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

CountMse::CountMse(const CountMseOptions& options)
    : ScoreMse(Over::sum, false, options.scale,
               {.on = options.correct_rate, .off = options.incorrect_rate, .per_step = true}),
      options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

MembraneMse::MembraneMse(const MembraneMseOptions& options)
    : ScoreMse(options.readout == Readout::last ? Over::last : Over::mean, true, options.scale, {}),
      options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

RateCrossEntropy::RateCrossEntropy(const RateCrossEntropyOptions& options)
    : ScoreCrossEntropy(Over::mean, false, options.label_smoothing), options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

CountCrossEntropy::CountCrossEntropy(const CountCrossEntropyOptions& options)
    : ScoreCrossEntropy(Over::sum, false, options.label_smoothing), options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

MembraneCrossEntropy::MembraneCrossEntropy(const MembraneCrossEntropyOptions& options)
    : ScoreCrossEntropy(options.readout == Readout::last ? Over::last : Over::mean, true,
                        options.label_smoothing),
      options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

Tet::Tet(const TetOptions& options) : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

double Tet::do_forward(const Signal& y, std::span<const std::uint32_t> labels, Tensor& scores,
                       Tape& tape) const {
  const std::size_t N = y.samples();
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  Buffer<float>& losses = tape.saved<Buffer<float>>();
  losses.resize(N);
  for_samples(N, tape.threads(), [&](std::size_t n) {
    sum_over_time(scores.data() + n * K, y, n, static_cast<float>(T));
    Scratch<float> values(y.is_spikes() ? T * K : 0);
    losses[n] = reference::tet_forward(outputs_of(y, n, T, K, values), labels[n], lower(options_), T, K);
  });
  const reference::SampleWeights weights = weights_of(*this, labels);
  const double sum =
      tree_sum(N, [&](std::size_t n) { return weights.of(n) * static_cast<double>(losses[n]); });
  return sum / weights.sum(N);
}

void Tet::do_backward(const Signal& y, std::span<const std::uint32_t> labels, const Tensor&, Tensor& dy,
                      Tape& tape) const {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  const reference::SampleWeights weights = weights_of(*this, labels);
  for_samples(y.samples(), tape.threads(), [&](std::size_t n) {
    Scratch<float> values(y.is_spikes() ? T * K : 0);
    reference::tet_backward(dy.data() + n * T * K, outputs_of(y, n, T, K, values), labels[n], lower(options_),
                            weights.count(n, y.samples()), T, K);
  });
}

}  // namespace volley

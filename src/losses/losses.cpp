#include <volley/loss.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "core/tree_sum.hpp"
#include "layers/signal_forms.hpp"
#include "layers/views.hpp"
#include "losses/counted_steps.hpp"
#include "losses/loss_parts.hpp"
#include "reference/loss.hpp"

namespace volley {
namespace {

/// The forward of a loss that a tape has run last, and the memory of both passes.
struct Pass {
  const Loss* loss = nullptr;  // null until a forward is done
  Signal given;                // y as it came
  Signal y;                    // as the loss reads it
  Targets targets;
  Targets asked;        // labels that are checked
  bool counts = false;  // whether any sample does
  Tensor scores;
  Tensor dy;
  SignalMemory plain_y, real_y, dy_as_given;
  CountedSteps counted;  // of targets with a mask
  Tensor counted_dy;
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

void check_mask(std::string_view kind, std::size_t N, std::size_t T, const Targets& targets) {
  if (targets.mask.size() != N * T) {
    throw ArgumentError(kind, fmt::format("mask must be one for each of {} steps of {} samples", T, N),
                        fmt::format("{}", targets.mask.size()));
  }
  for (std::size_t n = 0; n < N; ++n) {
    bool counts = false;
    for (std::size_t t = 0; t < targets.steps_of(n, T); ++t) {
      const std::uint8_t bit = targets.mask[n * T + t];
      if (bit > 1) throw ArgumentError(kind, "mask must be 0 or 1", fmt::format("{}", bit));
      counts |= bit == 1;
    }
    if (!counts)
      throw ArgumentError(kind, "mask must leave each sample a step", fmt::format("none of sample {}", n));
  }
}

/// Throws unless the weights, lengths and mask are those of the samples of y.
void check_samples(std::string_view kind, const Signal& y, const Targets& targets) {
  const auto check_size = [&](const char* name, std::size_t size) {
    if (size == 0 || size == y.samples()) return;
    throw ArgumentError(kind, fmt::format("{} must be one for each of {} samples", name, y.samples()),
                        fmt::format("{}", size));
  };
  check_size("weights", targets.weights.size());
  check_size("lengths", targets.lengths.size());
  for (const float weight : targets.weights)
    check_range(kind, "weights", static_cast<double>(weight), at_least(0));
  for (const std::uint32_t length : targets.lengths) {
    if (length >= 1 && length <= y.steps()) continue;
    throw ArgumentError(kind, fmt::format("lengths must be 1 to {}", y.steps()), fmt::format("{}", length));
  }
  if (!targets.mask.empty()) check_mask(kind, y.samples(), y.steps(), targets);
}

reference::TetParameters<float> lower(const TetOptions& o) {
  return {.lamb = o.lamb, .means = o.means, .smoothing = o.label_smoothing};
}

}  // namespace

std::size_t predict(std::span<const float> scores) {
  if (scores.empty()) return 0;
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

double share_of(const Hits& hits) {
  if (hits.of == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(hits.right) / static_cast<double>(hits.of);
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

void sum_over_time(float* z, const Signal& y, std::size_t n, std::size_t steps, float divisor) {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  if (y.is_spikes()) {
    Scratch<std::uint32_t> counts(K);
    y.spikes().count_by_feature(n, counts.span(), steps);
    for (std::size_t k = 0; k < K; ++k) z[k] = static_cast<float>(counts[k]) / divisor;
    return;
  }
  const float* const values = y.values() + n * T * K;
  for (std::size_t k = 0; k < K; ++k) {
    double sum = 0;
    for (std::size_t t = 0; t < steps; ++t) sum += static_cast<double>(values[t * K + k]);
    z[k] = static_cast<float>(sum / static_cast<double>(divisor));
  }
}

void copy_spikes(std::uint64_t* row, const Spikes& y, std::size_t n, std::size_t t, std::size_t first,
                 std::size_t count) {
  std::fill_n(row, (count + 63) / 64, std::uint64_t{0});
  for (std::size_t k = 0; k < count; ++k) row[k / 64] |= std::uint64_t{y.fired(n, t, first + k)} << k % 64;
}

const float* outputs_of(const Signal& y, std::size_t n, Scratch<float>& values) {
  const std::size_t T = y.steps(), K = y.features();
  if (!y.is_spikes()) return y.values() + n * T * K;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t k = 0; k < K; ++k) values[t * K + k] = y.spikes().fired(n, t, k) ? 1.0f : 0.0f;
  }
  return values.data();
}

reference::SampleWeights weights_of(const Loss& loss, const Targets& targets, std::size_t samples) {
  const bool of_classes = !loss.class_weights().empty() && targets.labels.size() == samples;
  if (!of_classes && targets.weights.empty()) return {};
  return {.of_class = of_classes ? loss.class_weights().data() : nullptr,
          .labels = targets.labels.data(),
          .total = loss.total_weight(targets, samples),
          .of_sample = targets.weights.empty() ? nullptr : targets.weights.data()};
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

double mean_of_samples(const Loss& loss, const Targets& targets, std::span<const float> losses) {
  const std::size_t N = losses.size();
  const double sum = tree_sum(
      N, [&](std::size_t n) { return weight_of(loss, targets, n, N) * static_cast<double>(losses[n]); });
  return sum / loss.total_weight(targets, N);
}

void Loss::check_outputs(std::size_t outputs) const {
  if (class_weights_.empty() || class_weights_.size() == outputs) return;
  throw ArgumentError(kind(), fmt::format("class_weights must be one for each of {} outputs", outputs),
                      fmt::format("{}", class_weights_.size()));
}

double Loss::total_weight(const Targets& targets, std::size_t samples) const {
  if (class_weights_.empty() && targets.weights.empty()) return static_cast<double>(samples);
  return tree_sum(samples, [&](std::size_t n) { return weight_of(*this, targets, n, samples); });
}

double Loss::total_weight(std::span<const std::uint32_t> labels) const {
  if (class_weights_.empty()) return static_cast<double>(labels.size());
  return tree_sum(labels.size(),
                  [&](std::size_t n) { return static_cast<double>(class_weights_[labels[n]]); });
}

Hits Loss::hits(const Tensor& scores, const Targets& targets) const {
  const Shape& shape = scores.shape();
  const std::size_t N = shape[0], K = shape[shape.rank() - 1], T = shape.rank() == 3 ? shape[1] : 1;
  if (targets.labels.empty()) return {};
  Hits hits;
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t t = 0; t < T; ++t) {
      if (shape.rank() == 3 && !targets.counts(n, t, T)) continue;
      ++hits.of;
      const std::uint32_t label = targets.labels[targets.labels.size() == N ? n : n * T + t];
      hits.right += predict({scores.data() + (n * T + t) * K, K}) == label;
    }
  }
  return hits;
}

void Loss::check_targets(const Signal& y, const Targets& targets) const {
  check_labels(kind(), y, targets, false);
}

double Loss::forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  check_forward(y, targets, tape);
  Pass& pass = tape.saved<Pass>();
  pass.targets = targets;
  return run_forward(y, scores, tape);
}

double Loss::forward(const Signal& y, std::span<const std::uint32_t> labels, Tensor& scores,
                     Tape& tape) const {
  Pass& pass = tape.saved<Pass>();
  pass.asked.labels.assign(labels.begin(), labels.end());
  check_forward(y, pass.asked, tape);
  if (pass.targets.values.size() > 0 || !pass.targets.heads.empty()) pass.targets = {};
  pass.targets.weights.clear();
  pass.targets.lengths.clear();
  pass.targets.mask.clear();
  std::swap(pass.targets.labels, pass.asked.labels);
  return run_forward(y, scores, tape);
}

void Loss::check_forward(const Signal& y, const Targets& targets, const Tape& tape) const {
  check_tape(kind(), tape);
  check_output(kind(), y);
  check_outputs(y.features());
  check_samples(kind(), y, targets);
  check_targets(y, targets);
}

double Loss::run_forward(const Signal& y, Tensor& scores, Tape& tape) const {
  Pass& pass = tape.saved<Pass>();
  pass.loss = nullptr;
  pass.given = y;
  pass.y = plain(y, pass.plain_y, executor_of(tape));
  if (!reads_spikes()) pass.y = real_values(pass.y, pass.real_y, executor_of(tape));
  const auto run = [&](const Signal& of, const Targets& targets, Tensor& its_scores) {
    const Shape expected = scores_shape(of.shape());
    its_scores.resize(expected);
    const double loss = do_forward(of, targets, its_scores, tape.child(0));
    if (its_scores.shape() == expected) return loss;
    throw ShapeError(kind(), fmt::format("scores of do_forward must be {}", expected.text()),
                     its_scores.shape());
  };
  double loss = 0;
  const bool masked = !pass.targets.mask.empty();
  if (masked) {
    pass.counted.take(pass.y, pass.targets, tape.threads());
    loss = run(pass.counted.y(), pass.counted.targets(), pass.scores);
  } else {
    loss = run(pass.y, pass.targets, pass.scores);
  }
  if (masked && pass.scores.shape().rank() == 3) {
    pass.counted.put_back(scores, pass.scores, tape.threads());
  } else {
    scores = std::as_const(pass.scores);
  }
  pass.loss = this;
  pass.counts = pass.targets.weights.empty() || total_weight(pass.targets, y.samples()) > 0;
  return pass.counts ? loss : 0;
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
  const auto run = [&](const Signal& of, const Targets& targets, Tensor& dy) {
    const Shape shape = of.shape();
    dy.resize(shape);
    if (pass.counts) {
      do_backward(of, targets, pass.scores, dy, tape.child(0));
    } else {
      dy.zero();
    }
    if (dy.shape() == shape) return;
    throw ShapeError(kind(), fmt::format("dy of do_backward must be {}", shape.text()), dy.shape());
  };
  if (pass.targets.mask.empty()) {
    run(pass.y, pass.targets, pass.dy);
  } else {
    run(pass.counted.y(), pass.counted.targets(), pass.counted_dy);
    pass.counted.put_back(pass.dy, pass.counted_dy, tape.threads());
  }
  return in_form_of(pass.given, pass.dy, pass.dy_as_given, executor_of(tape));
}

/// A comparison of scores with labels, where a device finds it.
struct ScoreLoss::Comparison {
  Executor& device;
  const float* z;  // (N, K)
  std::size_t N, K, T;
  const std::uint32_t* labels;
  const std::uint32_t* lengths;  // none: all have T
  ops::SampleWeights weights;
  double* loss = nullptr;  // one of these is asked for
  float* dz = nullptr;
};

namespace {

/// What a loss of scores keeps on its tape.
struct SavedScores {
  Buffer<std::uint32_t> labels, lengths;
  Buffer<float> of_class, of_sample;
  Buffer<double> loss;
  Buffer<float> dz;
};

template <class T>
const T* put(Buffer<T>& to, const std::vector<T>& from, Executor& device) {
  to.resize(from.size());
  if (from.empty()) return nullptr;
  std::ranges::copy(from, to.data());
  return device.read(to);
}

ops::ReadOver read_over(bool last, bool mean) {
  return last ? ops::ReadOver::last : mean ? ops::ReadOver::mean : ops::ReadOver::sum;
}

}  // namespace

double ScoreLoss::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  if (of_membranes_ && y.is_spikes()) {
    throw ArgumentError(kind(), "y must be real-valued, potentials", "spikes");
  }
  Executor& device = executor_of(tape);
  SavedScores& saved = tape.saved<SavedScores>();
  const std::size_t N = y.samples(), K = y.features();
  const std::uint32_t* const lengths = put(saved.lengths, targets.lengths, device);
  device.run(ops::ReadScores{.y = view_of(y, device),
                             .lengths = lengths,
                             .over = read_over(over_ == Over::last, over_ == Over::mean),
                             .scores = device.write(scores)});
  saved.loss.resize(1);
  compare({.device = device,
           .z = device.read(scores),
           .N = N,
           .K = K,
           .T = y.steps(),
           .labels = put(saved.labels, targets.labels, device),
           .lengths = lengths,
           .weights = {.of_class = put(saved.of_class, class_weights(), device),
                       .of_sample = put(saved.of_sample, targets.weights, device),
                       .total = total_weight(targets, N)},
           .loss = device.write(saved.loss)});
  return std::as_const(saved.loss)[0];
}

void ScoreLoss::do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                            Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedScores& saved = tape.saved<SavedScores>();
  const std::size_t N = y.samples(), K = y.features();
  const std::uint32_t* const lengths = targets.lengths.empty() ? nullptr : device.read(saved.lengths);
  saved.dz.resize(N * K);
  compare({.device = device,
           .z = device.read(scores),
           .N = N,
           .K = K,
           .T = y.steps(),
           .labels = device.read(saved.labels),
           .lengths = lengths,
           .weights = {.of_class = class_weights().empty() ? nullptr : device.read(saved.of_class),
                       .of_sample = targets.weights.empty() ? nullptr : device.read(saved.of_sample),
                       .total = total_weight(targets, N)},
           .dz = device.write(saved.dz)});
  device.run(ops::SpreadScores{.dscores = device.read(saved.dz),
                               .N = N,
                               .T = y.steps(),
                               .K = K,
                               .lengths = lengths,
                               .over = read_over(over_ == Over::last, over_ == Over::mean),
                               .dy = device.write(dy)});
}

void ScoreMse::compare(const Comparison& what) const {
  const bool by_sample = goals_.per_step && what.lengths != nullptr;
  what.device.run(ops::ScoreMse{.z = what.z,
                                .labels = what.labels,
                                .N = what.N,
                                .K = what.K,
                                .weights = what.weights,
                                .scale = scale_,
                                .on = goals_.on,
                                .off = goals_.off,
                                .unit = goals_.per_step && !by_sample ? static_cast<float>(what.T) : 1.0f,
                                .units = by_sample ? what.lengths : nullptr,
                                .loss = what.loss,
                                .dz = what.dz});
}

void ScoreCrossEntropy::compare(const Comparison& what) const {
  what.device.run(ops::ScoreCrossEntropy{.z = what.z,
                                         .labels = what.labels,
                                         .N = what.N,
                                         .K = what.K,
                                         .weights = what.weights,
                                         .smoothing = label_smoothing_,
                                         .loss = what.loss,
                                         .dz = what.dz});
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

double Tet::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  const std::size_t N = y.samples();
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  Buffer<float>& losses = tape.saved<Buffer<float>>();
  losses.resize(N);
  for_samples(N, tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    sum_over_time(scores.data() + n * K, y, n, steps, static_cast<float>(steps));
    Scratch<float> values(y.is_spikes() ? T * K : 0);
    losses[n] =
        reference::tet_forward(outputs_of(y, n, values), targets.labels[n], lower(options_), steps, K);
  });
  return mean_of_samples(*this, targets, losses.span());
}

void Tet::do_backward(const Signal& y, const Targets& targets, const Tensor&, Tensor& dy, Tape& tape) const {
  const std::size_t T = y.steps();
  const std::size_t K = y.features();
  const reference::SampleWeights weights = weights_of(*this, targets, y.samples());
  for_samples(y.samples(), tape.threads(), [&](std::size_t n) {
    const std::size_t steps = targets.steps_of(n, T);
    Scratch<float> values(y.is_spikes() ? T * K : 0);
    float* first = dy.data() + n * T * K;
    reference::tet_backward(first, outputs_of(y, n, values), targets.labels[n], lower(options_),
                            weights.count(n, y.samples()), steps, K);
    std::fill(first + steps * K, first + T * K, 0.0f);
  });
}

}  // namespace volley

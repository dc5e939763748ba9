#include <volley/loss.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "core/tree_sum.hpp"
#include "losses/counted_steps.hpp"
#include "losses/loss_parts.hpp"
#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

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

/// to = from, on the device.
void copy(Tensor& to, const Tensor& from, Executor& device) {
  const std::size_t N = from.shape()[0], count = from.size() / N;
  to.resize(from.shape());
  device.run(ops::PutOutputs{
      .from = device.read(from), .N = N, .U = 1, .count = count, .to = device.write(to), .T = 1, .K = count});
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
  const float* const values = scores.data();
  Hits hits;
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t t = 0; t < T; ++t) {
      if (shape.rank() == 3 && !targets.counts(n, t, T)) continue;
      ++hits.of;
      const std::uint32_t label = targets.labels[targets.labels.size() == N ? n : n * T + t];
      hits.right += predict({values + (n * T + t) * K, K}) == label;
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
    pass.counted.take(pass.y, pass.targets, executor_of(tape));
    loss = run(pass.counted.y(), pass.counted.targets(), pass.scores);
  } else {
    loss = run(pass.y, pass.targets, pass.scores);
  }
  if (masked && pass.scores.shape().rank() == 3) {
    pass.counted.put_back(scores, pass.scores, executor_of(tape));
  } else {
    copy(scores, pass.scores, executor_of(tape));
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
      executor_of(tape).run(ops::Fill{.values = executor_of(tape).write(dy), .size = dy.size(), .value = 0});
    }
    if (dy.shape() == shape) return;
    throw ShapeError(kind(), fmt::format("dy of do_backward must be {}", shape.text()), dy.shape());
  };
  if (pass.targets.mask.empty()) {
    run(pass.y, pass.targets, pass.dy);
  } else {
    run(pass.counted.y(), pass.counted.targets(), pass.counted_dy);
    pass.counted.put_back(pass.dy, pass.counted_dy, executor_of(tape));
  }
  return in_form_of(pass.given, pass.dy, pass.dy_as_given, executor_of(tape));
}

}  // namespace volley

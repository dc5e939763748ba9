#include <volley/heads.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "signal/views.hpp"

namespace volley {
namespace {

/// The pass of one head.
struct Part {
  Tensor values;  // its outputs, or
  Spikes spikes;
  Targets targets;
  Tensor scores;
};

struct Saved {
  std::vector<Part> parts;
};

/// Outputs `first` to first + outputs of y, as y has them.
Signal cut(Part& part, const Signal& y, std::size_t first, std::size_t outputs, Executor& device) {
  const Shape shape{y.samples(), y.steps(), outputs};
  ops::PickOutputs pick{.y = view_of(y, device), .first = first, .count = outputs, .U = y.steps()};
  if (y.is_spikes()) {
    SpikeWords::shape_steps(part.spikes, shape);
    pick.words = SpikeWords::write(part.spikes, device);
    device.run(pick);
    return part.spikes;
  }
  part.values.resize(shape);
  pick.values = device.write(part.values);
  device.run(pick);
  return part.values;
}

}  // namespace

Heads::Heads(std::vector<Head> heads) : heads_(std::move(heads)) {
  if (heads_.empty()) throw ArgumentError(kind(), "needs at least one head", "none");
  for (const Head& head : heads_) {
    if (head.loss == nullptr) throw ArgumentError(kind(), "loss must not be null");
    check_range(kind(), "outputs", static_cast<double>(head.outputs), at_least(1));
    check_range(kind(), "weight", static_cast<double>(head.weight), above(0));
    const Shape expected{2, head.outputs};
    if (head.loss->scores_shape({2, 3, head.outputs}) != expected) {
      throw ArgumentError(kind(), "a head must have one score for each of its outputs", head.loss->kind());
    }
    head.loss->check_outputs(head.outputs);
  }
}

void Heads::check_outputs(std::size_t outputs) const {
  std::size_t sum = 0;
  for (const Head& head : heads_) sum += head.outputs;
  if (sum == outputs) return;
  throw ArgumentError(kind(), fmt::format("the heads must have the {} outputs of y", outputs),
                      fmt::format("{}", sum));
}

void Heads::check_targets(const Signal&, const Targets& targets) const {
  if (targets.heads.size() == heads_.size() && targets.labels.empty() && targets.values.size() == 0) {
    for (const Targets& of : targets.heads) {
      if (of.weights.empty() && of.lengths.empty() && of.mask.empty()) continue;
      throw ArgumentError(kind(), "weights, lengths and mask must be those of the targets as a whole");
    }
    return;
  }
  throw ArgumentError(kind(), fmt::format("needs the targets of {} heads, and no others", heads_.size()),
                      fmt::format("{}", targets.heads.size()));
}

Hits Heads::hits(const Tensor& scores, const Targets& targets) const {
  Hits hits;
  const std::size_t N = scores.shape()[0], K = scores.shape()[1];
  const float* const values = scores.data();
  std::size_t first = 0;
  for (std::size_t h = 0; h < heads_.size() && h < targets.heads.size(); ++h) {
    Tensor part(Shape{N, heads_[h].outputs});
    for (std::size_t n = 0; n < N; ++n)
      std::copy_n(values + n * K + first, heads_[h].outputs, part.data() + n * heads_[h].outputs);
    const Hits of = heads_[h].loss->hits(part, targets.heads[h]);
    hits.right += of.right;
    hits.of += of.of;
    first += heads_[h].outputs;
  }
  return hits;
}

double Heads::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.parts.resize(heads_.size());
  float* const all = device.write(scores);
  double loss = 0;
  std::size_t first = 0;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const Head& head = heads_[h];
    Part& part = saved.parts[h];
    part.targets = targets.heads[h];
    part.targets.weights = targets.weights;
    part.targets.lengths = targets.lengths;
    const Signal of = cut(part, y, first, head.outputs, device);
    loss +=
        static_cast<double>(head.weight) * head.loss->forward(of, part.targets, part.scores, tape.child(h));
    device.run(ops::PutOutputs{.from = device.read(part.scores),
                               .N = y.samples(),
                               .U = 1,
                               .count = head.outputs,
                               .to = all,
                               .T = 1,
                               .K = y.features(),
                               .first = first});
    first += head.outputs;
  }
  return loss;
}

void Heads::do_backward(const Signal& y, const Targets&, const Tensor&, Tensor& dy, Tape& tape) const {
  Executor& device = executor_of(tape);
  float* const all = device.write(dy);
  std::size_t first = 0;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const Head& head = heads_[h];
    const Signal of = head.loss->backward(tape.child(h));
    device.run(ops::PutOutputs{.from = values_of(of, device),
                               .N = y.samples(),
                               .U = y.steps(),
                               .count = head.outputs,
                               .factor = head.weight,
                               .to = all,
                               .T = y.steps(),
                               .K = y.features(),
                               .first = first});
    first += head.outputs;
  }
}

}  // namespace volley

#include <volley/heads.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "layers/spike_words.hpp"
#include "losses/loss_parts.hpp"

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

/// Outputs `first` to first + part.outputs of y, as y has them.
Signal cut(Part& part, const Signal& y, std::size_t first, std::size_t outputs, ThreadPool& threads) {
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  const Shape shape{N, T, outputs};
  if (!y.is_spikes()) {
    part.values.resize(shape);
    for_samples(N, threads, [&](std::size_t n) {
      for (std::size_t row = n * T; row < (n + 1) * T; ++row)
        std::copy_n(y.values() + row * K + first, outputs, part.values.data() + row * outputs);
    });
    return part.values;
  }
  std::uint64_t* words = SpikeWords::make_steps(part.spikes, shape);
  const std::size_t row_words = SpikeWords::row_words(part.spikes);
  for_samples(N, threads, [&](std::size_t n) {
    for (std::size_t t = 0; t < T; ++t)
      copy_spikes(words + (n * T + t) * row_words, y.spikes(), n, t, first, outputs);
  });
  return part.spikes;
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
  std::size_t first = 0;
  for (std::size_t h = 0; h < heads_.size() && h < targets.heads.size(); ++h) {
    Tensor part(Shape{N, heads_[h].outputs});
    for (std::size_t n = 0; n < N; ++n)
      std::copy_n(scores.data() + n * K + first, heads_[h].outputs, part.data() + n * heads_[h].outputs);
    const Hits of = heads_[h].loss->hits(part, targets.heads[h]);
    hits.right += of.right;
    hits.of += of.of;
    first += heads_[h].outputs;
  }
  return hits;
}

double Heads::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.parts.resize(heads_.size());
  const std::size_t K = y.features();
  double loss = 0;
  std::size_t first = 0;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const Head& head = heads_[h];
    Part& part = saved.parts[h];
    part.targets = targets.heads[h];
    part.targets.weights = targets.weights;
    part.targets.lengths = targets.lengths;
    const Signal of = cut(part, y, first, head.outputs, tape.threads());
    loss +=
        static_cast<double>(head.weight) * head.loss->forward(of, part.targets, part.scores, tape.child(h));
    for (std::size_t n = 0; n < y.samples(); ++n)
      std::copy_n(part.scores.data() + n * head.outputs, head.outputs, scores.data() + n * K + first);
    first += head.outputs;
  }
  return loss;
}

void Heads::do_backward(const Signal& y, const Targets&, const Tensor&, Tensor& dy, Tape& tape) const {
  const std::size_t rows = y.samples() * y.steps(), K = y.features();
  std::size_t first = 0;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const Head& head = heads_[h];
    const Signal of = head.loss->backward(tape.child(h));
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t k = 0; k < head.outputs; ++k)
        dy.data()[row * K + first + k] = head.weight * of.values()[row * head.outputs + k];
    }
    first += head.outputs;
  }
}

}  // namespace volley

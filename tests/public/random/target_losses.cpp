#include <cmath>
#include <memory>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

struct Drawn {
  std::unique_ptr<Loss> loss;
  std::string name;
  bool spikes = false;     // y must be
  bool of_values = false;  // targets are real
  bool per_step = false;   // each step is scored
};

template <class L>
void draw_one(Program& p, Drawn& drawn, const char* name) {
  typename L::Options options;
  draw_fields(p, options, 0);
  if constexpr (requires { options.class_weights; }) options.class_weights = {};
  drawn.name = name;
  drawn.loss =
      construct<L>(p, name, cat(name, "{", fields_text(options), "}"), Expect::works, options, options);
  if (drawn.loss == nullptr) return;
  p.count(cat(name, "::options"));
  static_cast<void>(static_cast<const L&>(*drawn.loss).options());
  if constexpr (requires { options.readout; }) {
    drawn.of_values = true;
    drawn.per_step = options.readout == ValueReadout::each_step;
  }
}

Drawn draw(Program& p, std::size_t K) {
  Drawn drawn;
  switch (p.random.below(7)) {
    case 0: draw_one<Mse>(p, drawn, "Mse"); break;
    case 1: draw_one<L1>(p, drawn, "L1"); break;
    case 2: draw_one<Huber>(p, drawn, "Huber"); break;
    case 3:
      draw_one<StepCrossEntropy>(p, drawn, "StepCrossEntropy");
      drawn.per_step = true;
      break;
    case 4:
      draw_one<FirstSpikeCrossEntropy>(p, drawn, "FirstSpikeCrossEntropy");
      drawn.spikes = true;
      break;
    case 5:
      draw_one<FirstSpikeMse>(p, drawn, "FirstSpikeMse");
      drawn.spikes = true;
      break;
    default: {
      std::vector<Head> heads{{std::make_shared<RateMse>(), K, 2.0f}};
      p.must("Heads::Heads", "Heads heads({{make_shared<RateMse>(), K, 2}});",
             [&] { drawn.loss = std::make_unique<Heads>(heads); });
      p.count("Heads::heads");
      p.check(static_cast<const Heads&>(*drawn.loss).heads().size() == 1,
              "a loss has the heads it was made of");
      drawn.name = "Heads";
    }
  }
  return drawn;
}

Tensor draw_tensor(Program& p, const Shape& shape) {
  Tensor tensor(shape);
  for (float& value : tensor.values()) value = static_cast<float>(p.random.real(-2, 2));
  return tensor;
}

}  // namespace

void check_target_losses(Program& p) {
  const std::size_t N = p.random.between(1, 6), T = p.random.between(1, 5), K = p.random.between(1, 5);
  const Drawn drawn = draw(p, K);
  if (drawn.loss == nullptr) return;
  p.count(cat("loss ", drawn.loss->kind()));
  Tensor y = draw_tensor(p, {N, T, K});
  if (drawn.spikes) {
    for (float& value : y.values()) value = value > 0 ? 1.0f : 0.0f;
  }
  Targets targets;
  if (drawn.of_values) {
    targets.values = draw_tensor(p, drawn.per_step && p.random.chance(0.5) ? Shape{N, T, K} : Shape{N, K});
  } else {
    targets.labels = draw_labels(p, drawn.per_step && p.random.chance(0.5) ? N * T : N, K);
  }
  if (drawn.name == "Heads") targets = {.heads = {targets}};
  if (p.random.chance(0.5)) {
    for (std::size_t n = 0; n < N; ++n)
      targets.lengths.push_back(static_cast<std::uint32_t>(p.random.between(1, T)));
  }
  if (p.random.chance(0.5)) {
    for (std::size_t n = 0; n < N; ++n) targets.weights.push_back(static_cast<float>(p.random.below(3)));
  }
  if (p.random.chance(0.4)) {
    for (std::size_t i = 0; i < N * T; ++i)
      targets.mask.push_back(i % T == 0 || p.random.chance(0.5) ? 1 : 0);
  }
  p.count("Targets::steps_of");
  p.check(targets.steps_of(0, T) >= 1 && targets.steps_of(0, T) <= T, "a sample has steps");
  const Loss& loss = *drawn.loss;
  Tape tape(pool_of(p.random.between(1, p.threads())));
  Tensor scores;
  double value = 0;
  const std::string text = cat(drawn.name, ": loss.forward(y, targets, scores, tape);");
  p.must("Loss::forward", text, [&] { value = loss.forward(y, targets, scores, tape); });
  p.count("Loss::scores_shape");
  p.check(scores.shape() == loss.scores_shape(y.shape()), "scores have their shape", scores.shape().text());
  p.check(std::isfinite(value), "a loss is finite", cat(value));
  p.count("Loss::hits");
  const Hits hits = loss.hits(scores, targets);
  p.check(hits.right <= hits.of, "what is right is predicted");
  p.count("share_of");
  const double share = share_of(hits);
  p.check((hits.of == 0 && std::isnan(share)) || (share >= 0 && share <= 1), "a share is one");
  const double weight = loss.total_weight(targets, N);
  p.check(weight >= 0, "a batch weighs something");
  Signal dy;
  p.must("Loss::backward", "dy = loss.backward(tape);", [&] { dy = loss.backward(tape); });
  p.count("Targets::counts");
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t i = 0; i < T * K; ++i) {
      p.check(targets.counts(n, i / K, T) || dy.values()[n * T * K + i] == 0,
              "nothing is taught where no step counts");
    }
  }
  // Misuse.
  Targets wrong = targets;
  const std::size_t which = p.random.below(3);
  if (which == 0) {
    wrong.weights.assign(N + 1, 1.0f);
  } else if (which == 1) {
    wrong.mask.assign(N * T, 0);
  } else {
    wrong.lengths.assign(N, static_cast<std::uint32_t>(T + 1));
  }
  p.must_throw("Loss::forward", "loss.forward(y, wrong, scores, tape);",
               [&] { loss.forward(y, wrong, scores, tape); });
  const EpochRecord record{.test_acc = p.random.chance(0.5) ? 0.5 : std::nan("")};
  p.count("EpochRecord::predicts");
  p.check(record.predicts() == !std::isnan(record.test_acc), "an epoch with an accuracy predicts");
}

}  // namespace volley::test

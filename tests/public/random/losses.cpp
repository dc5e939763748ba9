#include <algorithm>
#include <cmath>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

using Outputs = std::vector<double>;  // (T, K) of one sample

enum class Over { mean, sum, last };

Outputs scores_of(Over over, const Outputs& y, std::size_t T, std::size_t K) {
  Outputs z(K);
  for (std::size_t t = over == Over::last ? T - 1 : 0; t < T; ++t) {
    for (std::size_t k = 0; k < K; ++k) z[k] += y[t * K + k];
  }
  for (double& score : z) score /= over == Over::mean ? static_cast<double>(T) : 1;
  return z;
}

double squares(const Outputs& z, std::size_t label, double scale, double on, double off) {
  double sum = 0;
  for (std::size_t k = 0; k < z.size(); ++k) {
    const double error = z[k] - (k == label ? on : off);
    sum += error * error;
  }
  return scale * sum / static_cast<double>(z.size());
}

double cross_entropy(const Outputs& z, std::size_t label, double smoothing) {
  const double most = *std::ranges::max_element(z);
  double sum = 0;
  for (const double score : z) sum += std::exp(score - most);
  double loss = 0;
  for (std::size_t k = 0; k < z.size(); ++k) {
    const double target = (k == label ? 1 - smoothing : 0) + smoothing / static_cast<double>(z.size());
    loss -= target * (z[k] - most - std::log(sum));
  }
  return loss;
}

template <class L, class Value>
DrawnLoss make_loss(Program& p, const char* name, double invalid, bool membranes, const Value& value) {
  typename L::Options options;
  draw_fields(p, options, invalid);
  DrawnLoss drawn;
  drawn.text = cat(name, "{", fields_text(options), "}");
  drawn.membranes = membranes;
  drawn.value = value(options);
  const Expect expect = in_ranges(options) ? Expect::works : Expect::throws;
  drawn.loss = construct<L>(p, name, drawn.text, expect, options, options);
  return drawn;
}

Over over_of(Readout readout) { return readout == Readout::last ? Over::last : Over::mean; }

double double_of(float value) { return static_cast<double>(value); }

/// The mean over the batch of `value`.
double batch_value(const DrawnLoss& drawn, const std::vector<double>& y,
                   const std::vector<std::uint32_t>& labels, std::size_t T, std::size_t K) {
  double sum = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const auto begin = y.begin() + static_cast<std::ptrdiff_t>(n * T * K);
    sum += drawn.value({begin, begin + static_cast<std::ptrdiff_t>(T * K)}, labels[n], T, K);
  }
  return sum / static_cast<double>(labels.size());
}

/// A few entries of the gradient by central differences.
void check_gradient(Program& p, const DrawnLoss& drawn, const std::vector<double>& y,
                    const std::vector<std::uint32_t>& labels, std::size_t K, const std::vector<float>& dy) {
  const std::size_t T = y.size() / labels.size() / K;
  constexpr double kStep = 1e-4;
  double scale = 1e-6;
  for (const float value : dy) scale = std::max(scale, std::abs(double_of(value)));
  for (int i = 0; i < 4; ++i) {
    const std::size_t at = p.random.below(y.size());
    std::vector<double> moved = y;
    moved[at] = y[at] + kStep;
    const double above = batch_value(drawn, moved, labels, T, K);
    moved[at] = y[at] - kStep;
    const double expected = (above - batch_value(drawn, moved, labels, T, K)) / (2 * kStep);
    p.check(std::abs(expected - double_of(dy[at])) <= 1e-3 * scale + 1e-5 * std::abs(above) + 1e-7,
            "the gradient of a loss", cat(drawn.text, ": dy[", at, "] is ", dy[at], ", not ", expected));
  }
}

}  // namespace

DrawnLoss draw_loss(Program& p, double invalid) {
  switch (p.random.below(7)) {
    case 0:
      return make_loss<RateMse>(p, "RateMse", invalid, false, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          return squares(scores_of(Over::mean, y, T, K), label, double_of(o.scale), 1, 0);
        };
      });
    case 1:
      return make_loss<CountMse>(p, "CountMse", invalid, false, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          const auto steps = static_cast<double>(T);
          return squares(scores_of(Over::sum, y, T, K), label, double_of(o.scale),
                         double_of(o.correct_rate) * steps, double_of(o.incorrect_rate) * steps);
        };
      });
    case 2:
      return make_loss<MembraneMse>(p, "MembraneMse", invalid, true, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          return squares(scores_of(over_of(o.readout), y, T, K), label, double_of(o.scale), 1, 0);
        };
      });
    case 3:
      return make_loss<RateCrossEntropy>(p, "RateCrossEntropy", invalid, false, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          return cross_entropy(scores_of(Over::mean, y, T, K), label, double_of(o.label_smoothing));
        };
      });
    case 4:
      return make_loss<CountCrossEntropy>(p, "CountCrossEntropy", invalid, false, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          return cross_entropy(scores_of(Over::sum, y, T, K), label, double_of(o.label_smoothing));
        };
      });
    case 5:
      return make_loss<MembraneCrossEntropy>(p, "MembraneCrossEntropy", invalid, true, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          return cross_entropy(scores_of(over_of(o.readout), y, T, K), label, double_of(o.label_smoothing));
        };
      });
    default:
      return make_loss<Tet>(p, "Tet", invalid, false, [](const auto& o) {
        return [o](const Outputs& y, std::size_t label, std::size_t T, std::size_t K) {
          double entropy = 0, squared = 0;
          for (std::size_t t = 0; t < T; ++t) {
            const auto begin = y.begin() + static_cast<std::ptrdiff_t>(t * K);
            entropy += cross_entropy({begin, begin + static_cast<std::ptrdiff_t>(K)}, label,
                                     double_of(o.label_smoothing));
          }
          for (const double value : y) squared += (value - double_of(o.means)) * (value - double_of(o.means));
          const double lamb = double_of(o.lamb);
          return (1 - lamb) * entropy / static_cast<double>(T) + lamb * squared / static_cast<double>(T * K);
        };
      });
  }
}

std::vector<std::uint32_t> draw_labels(Program& p, std::size_t samples, std::size_t classes) {
  std::vector<std::uint32_t> labels(samples);
  for (std::uint32_t& label : labels) label = static_cast<std::uint32_t>(p.random.below(classes));
  return labels;
}

void check_loss(Program& p, const DrawnLoss& drawn, const Signal& y, const std::vector<float>& plain) {
  const std::size_t K = y.features();
  if (y.samples() == 0 || y.steps() == 0 || K == 0 || K > 256) return;
  const std::vector<std::uint32_t> labels = draw_labels(p, y.samples(), K);
  LossPass pass(*drawn.loss, pool_of(p.random.between(1, p.threads())));
  double loss = 0;
  const std::string text = cat("double loss = ", drawn.text, ".forward(y, labels, scores, tape);  // y is ",
                               y.is_spikes() ? "spikes" : "real", y.constant() ? ", constant in time" : "");
  const auto run = [&] { loss = pass.forward(y, labels); };
  p.count("Loss::kind");
  p.count(cat("loss ", drawn.loss->kind()));
  if (drawn.membranes && y.is_spikes()) return p.must_throw("Loss::forward", text, run);
  p.must("Loss::forward", text, run);
  p.count("Loss::scores_are_rates");
  static_cast<void>(drawn.loss->scores_are_rates());
  if (std::ranges::any_of(plain, [](float v) { return !(std::abs(v) < 1e6f); })) return;
  const std::vector<double> wide(plain.begin(), plain.end());
  const double expected = batch_value(drawn, wide, labels, y.steps(), K);
  if (std::abs(expected) > 1e30) return;  // terms are floats: their squares may be infinite
  p.check(std::abs(loss - expected) <= 1e-4 * std::abs(expected) + 1e-5, "the value of a loss",
          cat(drawn.text, ": ", loss, ", not ", expected));
  p.count("predict");
  const Tensor& scores = pass.scores();
  p.check(scores.shape() == Shape{y.samples(), K}, "the scores of a loss are (N, K)");
  p.check(predict({scores.data(), K}) < K, "predict gives a class");
  Signal dy;
  p.must("Loss::backward", "Signal dy = loss.backward(tape);", [&] { dy = pass.backward(); });
  p.check(dy.shape() == y.shape(), "dy of a loss has the shape of y", cat(dy.shape(), " for ", y.shape()));
  if (std::ranges::any_of(plain, [](float v) { return !(std::abs(v) < 1e2f); })) return;
  if (dy.stored_steps() == dy.steps()) check_gradient(p, drawn, wide, labels, K, plain_values(p, dy));
}

/// A loss with class weights is the mean of what it is for each sample by itself, weighed.
template <class L>
void check_class_weights(Program& p, const char* name, const Signal& y) {
  typename L::Options options;
  if constexpr (requires { options.class_weights.values; }) {
    const std::size_t N = y.samples(), K = y.features();
    std::vector<float> weights(K);
    for (float& w : weights) w = static_cast<float>(p.random.real(0.1, 4));
    const L plain(options);
    options.class_weights = weights;
    const L weighted(options);
    const std::vector<std::uint32_t> labels = draw_labels(p, N, K);
    const auto loss_with = [&](const Loss& loss, const std::vector<std::uint32_t>& of) {
      double value = 0;
      LossPass pass(loss, pool_of(1));
      p.must("Loss::forward", cat(name, " with class_weights: forward(y, labels, scores, tape);"),
             [&] { value = pass.forward(y, of); });
      return value;
    };
    p.count("Loss::class_weights");
    p.check(weighted.class_weights() == weights && plain.class_weights().empty(), "the weights of a loss");
    p.count("Loss::total_weight");
    double total = 0;
    for (const std::uint32_t label : labels) total += static_cast<double>(weights[label]);
    p.check(std::abs(weighted.total_weight(labels) - total) <= 1e-9 * total, "the weight of a batch");
    p.check(plain.total_weight(labels) == static_cast<double>(N), "a batch weighs its samples");
    p.count("Loss::check_outputs");
    p.must("Loss::check_outputs", "weighted.check_outputs(K);", [&] { weighted.check_outputs(K); });
    p.must_throw("Loss::check_outputs", "weighted.check_outputs(K + 1);",
                 [&] { weighted.check_outputs(K + 1); });
    // All samples of one class: the weights cancel.
    const std::vector<std::uint32_t> one(N, labels[0]);
    const double expected = loss_with(plain, one), got = loss_with(weighted, one);
    p.check(std::abs(got - expected) <= 1e-5 * std::abs(expected) + 1e-6,
            "class weights cancel in a batch of one class", cat(name, ": ", got, ", not ", expected));
    loss_with(weighted, labels);
    p.count("balanced_class_weights");
    p.count("ClassWeights::ClassWeights");
    p.must("balanced_class_weights", "balanced_class_weights({0, 0, 1, 0}, 2);", [&] {
      p.check(balanced({0, 0, 1, 0}, 2) == std::vector<float>{4.0f / 6, 2}, "N / (K count)");
    });
    options.class_weights = std::vector<float>{1, p.random.one_of({0.0f, -1.0f, std::nanf("")})};
    p.must_throw(cat(name, "::", name), cat(name, "{{.class_weights = {1, wrong}}}"), [&] { L{options}; });
  }
}

void loss_scene(Program& p) {
  const std::size_t N = p.random.between(1, 9), T = p.random.between(1, 9);
  const std::size_t K = p.random.one_of<std::size_t>({1, 2, 3, 10, 10, 33, 100});
  const Input y = draw_input(p, "y", {N, T, K}, Want::either);
  const DrawnLoss drawn = draw_loss(p, 0);
  check_loss(p, drawn, y.x(), y.plain());
  check_metrics(p, N, K);
  check_target_losses(p);
  const bool small = std::ranges::all_of(y.plain(), [](float v) { return std::abs(v) < 1e2f; });
  if (small && p.random.chance(0.5)) check_class_weights<RateMse>(p, "RateMse", y.x());
  if (small && p.random.chance(0.5)) check_class_weights<CountCrossEntropy>(p, "CountCrossEntropy", y.x());
  if (small && p.random.chance(0.5)) check_class_weights<Tet>(p, "Tet", y.x());
  // Misuse: labels out of range, too few, too many; no samples, steps or outputs.
  LossPass pass(*drawn.loss);
  std::vector<std::uint32_t> labels = draw_labels(p, N, K);
  if (p.random.chance(0.5))
    labels.back() = static_cast<std::uint32_t>(K);
  else if (p.random.chance(0.5))
    labels.pop_back();
  else
    labels.push_back(0);
  p.must_throw("Loss::forward", "loss.forward(y, wrong_labels, scores, tape);",
               [&] { pass.forward(y.x(), labels); });
  Shape empty{N, T, K};
  empty = Shape{p.random.chance(0.5) ? 0 : N, p.random.chance(0.5) ? 0 : T, p.random.chance(0.3) ? 0 : K};
  if (empty.size() != 0) return;
  const Input none = draw_input(p, "none", empty, {});
  p.may("Loss::forward", "loss.forward(none, labels, scores, tape);",
        [&] { pass.forward(none.x(), draw_labels(p, empty[0], std::max<std::size_t>(1, K))); });
  if (kHasContract && p.random.chance(0.5)) {
    LossPass fresh(*drawn.loss);
    p.must_throw("Loss::backward", "loss.backward(fresh_tape);", [&] { fresh.backward(); });
  }
}

}  // namespace volley::test

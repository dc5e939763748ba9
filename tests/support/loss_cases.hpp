#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <volley/volley.hpp>

#include "support/random.hpp"
#include "support/random_tensor.hpp"

namespace volley::test {

/// A loss and targets for an y (kN, kT, kK).
struct LossCase {
  static constexpr std::size_t kN = 5, kT = 6, kK = 4;

  std::string name;
  std::unique_ptr<Loss> loss;
  Targets targets;
  bool spikes = false;  // y must be
  bool smooth = true;   // has a gradient in the usual sense

  /// An y that the loss takes: real values, 0 and 1 where it must be spikes.
  Tensor outputs(std::uint32_t seed) const {
    Tensor y = random_tensor({kN, kT, kK}, seed);
    if (spikes) {
      for (float& value : y.values()) value = value > 0.3f ? 1.0f : 0.0f;
    }
    return y;
  }
};

template <class L>
LossCase case_of(std::string name, const L& loss, Targets targets, bool spikes = false, bool smooth = true) {
  return {std::move(name), std::make_unique<L>(loss), std::move(targets), spikes, smooth};
}

inline std::vector<LossCase> every_loss() {
  const std::vector<std::uint32_t> labels{3, 0, 1, 1, 2};
  std::vector<std::uint32_t> step_labels;
  constexpr std::size_t kN = LossCase::kN, kT = LossCase::kT, kK = LossCase::kK;
  Random random(5);
  for (std::size_t i = 0; i < kN * kT; ++i) step_labels.push_back(random.below(kK));
  const Targets classes{.labels = labels};
  const Targets classes_of_steps{.labels = step_labels};
  const Targets values{.values = random_tensor({kN, kK}, 7)};
  const Targets values_of_steps{.values = random_tensor({kN, kT, kK}, 8)};
  const ClassWeights weights{1.0f, 2.0f, 0.5f, 3.0f};
  std::vector<LossCase> all;
  all.push_back(case_of("rate_mse", RateMse{}, classes));
  all.push_back(case_of("count_mse", CountMse{{.correct_rate = 0.8f, .incorrect_rate = 0.1f}}, classes));
  all.push_back(case_of("rate_cross_entropy", RateCrossEntropy{{.class_weights = weights}}, classes));
  all.push_back(case_of("count_cross_entropy", CountCrossEntropy{{.label_smoothing = 0.2f}}, classes));
  all.push_back(case_of("membrane_mse last", MembraneMse{}, classes));
  all.push_back(
      case_of("membrane_cross_entropy mean", MembraneCrossEntropy{{.readout = Readout::mean}}, classes));
  all.push_back(case_of("tet", Tet{{.lamb = 0.3f, .class_weights = weights}}, classes));
  for (const auto& [readout, name] : {std::pair(ValueReadout::mean, "mean"),
                                      {ValueReadout::last, "last"},
                                      {ValueReadout::sum, "sum"},
                                      {ValueReadout::each_step, "each_step"}}) {
    all.push_back(case_of(std::string("mse ") + name, Mse{{.scale = 0.5f, .readout = readout}}, values));
    L1Options l1;
    l1.readout = readout;
    all.push_back(case_of(std::string("l1 ") + name, L1{l1}, values));
    all.push_back(case_of(std::string("huber ") + name, Huber{{.readout = readout, .delta = 0.4f}}, values));
  }
  all.push_back(case_of("mse of steps", Mse{{.readout = ValueReadout::each_step}}, values_of_steps));
  all.push_back(case_of("huber of steps", Huber{{.readout = ValueReadout::each_step}}, values_of_steps));
  StepCrossEntropyOptions step;
  all.push_back(case_of("step_cross_entropy", StepCrossEntropy{step}, classes_of_steps));
  all.push_back(case_of("step_cross_entropy of a label", StepCrossEntropy{step}, classes));
  step.class_weights = weights;
  step.label_smoothing = 0.1f;
  all.push_back(case_of("step_cross_entropy weighed", StepCrossEntropy{step}, classes_of_steps));
  all.push_back(case_of("first_spike_cross_entropy", FirstSpikeCrossEntropy{}, classes, true, false));
  all.push_back(case_of("first_spike_mse", FirstSpikeMse{{.on_step = 1}}, classes, true, false));
  all.push_back(case_of("first_spike_mse of values", FirstSpikeMse{}, values, true, false));
  FirstSpikeCrossEntropyOptions first;
  first.class_weights = weights;
  all.push_back(
      case_of("first_spike_cross_entropy weighed", FirstSpikeCrossEntropy{first}, classes, true, false));
  Targets heads;
  heads.heads = {Targets{.labels = {1, 0, 1, 1, 0}}, Targets{.values = random_tensor({kN, 2}, 9)}};
  all.push_back(case_of(
      "heads", Heads{{{std::make_shared<RateCrossEntropy>(), 2, 0.7f}, {std::make_shared<Mse>(), 2, 2.0f}}},
      heads));
  return all;
}

}  // namespace volley::test

// Batch normalisation and voting against PyTorch and SpikingJelly, by tests/golden/norm.safetensors of
// peers/golden_norm.py.

#include <gtest/gtest.h>

#include <memory>

#include <volley/batch_norm.hpp>
#include <volley/voting.hpp>

#include "parity/golden.hpp"
#include "support/gradient_check.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

struct Case {
  std::string name;
  std::shared_ptr<Layer> layer;
  int trainings;  // passes of training before the one of evaluation
};

std::vector<Case> cases() {
  return {{"2d", std::make_shared<BatchNorm>(5), 2},
          {"1d", std::make_shared<BatchNorm>(5), 1},
          {"cumulative", std::make_shared<BatchNorm>(5, BatchNormOptions{.momentum = std::nullopt}), 3},
          {"td",
           std::make_shared<ThresholdDependentBatchNorm>(
               5, ThresholdDependentBatchNormOptions{.alpha = 0.7f, .v_threshold = 0.8f}),
           1},
          {"voting", std::make_shared<Voting>(VotingOptions{.voting_size = 4}), 1}};
}

TEST(NormParity, PassesOfTrainingAndEvaluationAreThoseOfThePeer) {
  const test::Golden golden("norm.safetensors");
  for (const Case& c : cases()) {
    Tape tape;
    for (const auto& [name, parameter] : c.layer->parameters()) {
      const Tensor& before = golden.tensor(c.name + ".before." + name);
      if (c.name == "2d") parameter->value = before;
      EXPECT_TRUE(std::ranges::equal(parameter->value.values(), before.values()))
          << c.name << "'s first " << name;
    }
    for (int i = 0; i <= c.trainings; ++i) {
      const std::string pass = c.name + "." + std::to_string(i) + ".";
      SCOPED_TRACE(pass);
      const Tensor& x = golden.tensor(pass + "x");
      const Tensor& dy = golden.tensor(pass + "dy");
      zero_gradients(c.layer->parameters());
      tape.set_context({.training = i < c.trainings});
      SignalMemory y_memory, dy_memory, dx_memory;
      const Signal y = c.layer->forward(x, tape);
      const Signal y_plain = plain(y, y_memory, tape.threads());
      const Signal dx = plain(c.layer->backward(tape, in_form_of(y, dy, dy_memory, tape.threads())),
                              dx_memory, tape.threads());
      const auto near = [](std::span<const float> got, std::span<const float> expected) {
        EXPECT_LT(test::relative_error(got, expected), 2e-6);
      };
      near({y_plain.values(), y.shape().size()}, golden.values(pass + "y"));
      near({dx.values(), dx.shape().size()}, golden.values(pass + "dx"));
      for (const auto& [name, parameter] : c.layer->parameters()) {
        near(parameter->gradient.values(), golden.values(pass + "d" + name));
      }
      for (const auto& [name, tensor] : c.layer->buffers()) {
        near(tensor->values(), golden.values(pass + "after." + name));
      }
    }
  }
}

}  // namespace
}  // namespace volley

// Recurrent against SpikingJelly's containers, by tests/golden/recurrent.safetensors of
// peers/golden_recurrent.py.

#include <volley/recurrent.hpp>

#include <gtest/gtest.h>

#include <algorithm>

#include "parity/golden.hpp"
#include "support/gradient_check.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

constexpr std::size_t kF = 5;

/// The columns [first, first + F) of (F, 2 F): of the map of what comes in, or of what comes back.
std::vector<float> columns(const Tensor& both, std::size_t first) {
  std::vector<float> part;
  for (std::size_t r = 0; r < kF; ++r) {
    const float* row = both.data() + r * 2 * kF + first;
    part.insert(part.end(), row, row + kF);
  }
  return part;
}

void expect_pass(const test::Golden& golden, const std::string& name, Layer& layer) {
  Tape tape;
  const Tensor& x = golden.tensor(name + ".x");
  SignalMemory memory;
  const Signal y = real_values(layer.forward(x, tape), memory, tape.threads());
  const auto spikes = golden.values(name + ".y");
  EXPECT_TRUE(std::equal(spikes.begin(), spikes.end(), y.values()));
  EXPECT_GT(std::ranges::count(spikes, 1.0f), 20);
  const Signal dx = layer.backward(tape, golden.tensor(name + ".dy"));
  EXPECT_LT(test::relative_error(std::span(dx.values(), x.size()), golden.values(name + ".dx")), 2e-6);
}

TEST(RecurrentParity, LinearThenLinearFeedbackIsTheLinearContainer) {
  const test::Golden golden("recurrent.safetensors");
  Sequential net{Linear{kF, kF}, Recurrent{kF}};
  const auto parameters = net.parameters();
  std::ranges::copy(columns(golden.tensor("linear.rc.weight"), 0), parameters[0].parameter->value.data());
  std::ranges::copy(golden.values("linear.rc.bias"), parameters[1].parameter->value.data());
  std::ranges::copy(columns(golden.tensor("linear.rc.weight"), kF), parameters[2].parameter->value.data());
  expect_pass(golden, "linear", net);
  const Tensor& dweight = golden.tensor("linear.drc.weight");
  EXPECT_LT(test::relative_error(parameters[0].parameter->gradient.values(), columns(dweight, 0)), 2e-6);
  EXPECT_LT(test::relative_error(parameters[2].parameter->gradient.values(), columns(dweight, kF)), 2e-6);
  EXPECT_LT(
      test::relative_error(parameters[1].parameter->gradient.values(), golden.values("linear.drc.bias")),
      2e-6);
}

TEST(RecurrentParity, ElementWiseFeedbackBeginsAsTheElementWiseContainerWithASum) {
  const test::Golden golden("recurrent.safetensors");
  Recurrent layer(kF, {.feedback = Feedback::element_wise,
                       .neuron = IFOptions{.v_reset = std::nullopt, .surrogate = Sigmoid{}}});
  expect_pass(golden, "element_wise", layer);
}

}  // namespace
}  // namespace volley

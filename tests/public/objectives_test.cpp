// Losses, optimizers and schedules with what they cannot take.

#include <algorithm>
#include <cmath>
#include <limits>

#include "support.hpp"

namespace volley::test {
namespace {

/// Those of recipes, with what else some can be told.
std::vector<std::unique_ptr<Loss>> all_losses() {
  std::vector<std::unique_ptr<Loss>> all;
  for_each_type(Losses{}, [&]<class L>() { all.push_back(std::make_unique<L>()); });
  for (const ValueReadout readout : {ValueReadout::last, ValueReadout::sum, ValueReadout::each_step})
    all.push_back(std::make_unique<Huber>(HuberOptions{.readout = readout}));
  all.push_back(std::make_unique<MembraneMse>(MembraneMseOptions{.readout = Readout::mean}));
  all.push_back(
      std::make_unique<MembraneCrossEntropy>(MembraneCrossEntropyOptions{.readout = Readout::mean}));
  all.push_back(std::make_unique<Tet>(TetOptions{.lamb = 0.5f, .label_smoothing = 0.1f}));
  return all;
}

bool is_regression(const Loss& loss) { return dynamic_cast<const RegressionLoss*>(&loss) != nullptr; }
bool is_of_first_spikes(const Loss& loss) { return dynamic_cast<const FirstSpikeLoss*>(&loss) != nullptr; }

/// Labels 2 and 0 at the most, or real values, of K outputs.
Targets targets_for(const Loss& loss, std::size_t K) {
  if (!is_regression(loss))
    return {.labels = {static_cast<std::uint32_t>(std::min<std::size_t>(2, K - 1)), 0}};
  return {.values = some_values({2, K})};
}

TEST(PublicObjectives, SpikesAreZerosAndOnes) {
  const Spikes spikes = some_spikes({2, 5, 4});
  const Tensor values = to_tensor(spikes);
  for (const auto& loss : all_losses()) {
    SCOPED_TRACE(loss->kind());
    Tape one, two;
    Tensor scores;
    const Targets targets = targets_for(*loss, 4);
    const double expected = loss->forward(values, targets, scores, one);
    if (works_or_throws([&] { EXPECT_NEAR(loss->forward(spikes, targets, scores, two), expected, 1e-6); },
                        "spikes")) {
      EXPECT_EQ(values_of(loss->backward(two)), values_of(loss->backward(one)));
    } else {
      EXPECT_NE(std::string(loss->kind()).find("membrane"), std::string::npos);
    }
  }
}

TEST(PublicObjectives, OutputsWithoutSizeAreRefused) {
  for (const auto& loss : all_losses()) {
    SCOPED_TRACE(loss->kind());
    const std::string name = "[" + std::string(loss->kind()) + "]";
    for (const Shape& shape : {Shape{0, 3, 4}, Shape{2, 0, 4}, Shape{2, 3, 0}, Shape{0, 0, 0}}) {
      const Tensor y(shape);
      Tape tape;
      Tensor scores;
      const std::vector<std::uint32_t> labels(shape[0], 0);
      EXPECT_FALSE(works_or_throws([&] { loss->forward(y, labels, scores, tape); }, name)) << shape.text();
    }
    Tape tape;
    Tensor scores;
    EXPECT_FALSE(works_or_throws([&] { loss->forward(Signal{}, Targets{}, scores, tape); }, name));
  }
}

TEST(PublicObjectives, WhatIsNotFiniteIsReturnedAsItIs) {
  Tensor y = some_values({2, 3, 4});
  y.data()[5] = kNaN;
  for (const auto& loss : all_losses()) {
    SCOPED_TRACE(loss->kind());
    if (is_of_first_spikes(*loss)) continue;  // of spikes alone
    Tape tape;
    Tensor scores;
    const double value = loss->forward(y, targets_for(*loss, 4), scores, tape);
    const auto* huber = dynamic_cast<const Huber*>(loss.get());
    const bool last = loss->kind() == "membrane_mse" || loss->kind() == "membrane_cross_entropy" ||
                      (huber != nullptr && huber->options().readout == ValueReadout::last);
    if (!last) {
      EXPECT_TRUE(std::isnan(value));
    }
    EXPECT_EQ(loss->backward(tape).shape(), y.shape());
  }
  EXPECT_EQ(predict(std::vector<float>{1, 3, 3}), 1u);
  EXPECT_LT(predict(std::vector<float>{kNaN, kNaN}), 2u);
}

TEST(PublicObjectives, OneClassAndManyClasses) {
  for (const std::size_t K : {1u, 1000u}) {
    const Tensor values = some_values({2, 3, K});
    const Spikes spikes = some_spikes({2, 3, K});
    const Tensor zeros_and_ones = to_tensor(spikes);
    for (const auto& loss : all_losses()) {
      const Tensor& y = is_of_first_spikes(*loss) ? zeros_and_ones : values;
      Targets targets = targets_for(*loss, K);
      if (!targets.labels.empty()) targets.labels = {0, static_cast<std::uint32_t>(K - 1)};
      Tape tape;
      Tensor scores;
      EXPECT_TRUE(std::isfinite(loss->forward(y, targets, scores, tape))) << loss->kind();
      for (const float g : values_of(loss->backward(tape))) EXPECT_TRUE(std::isfinite(g));
    }
  }
}

TEST(PublicObjectives, RefuseOptionsOutOfRange) {
  expect_throws<ArgumentError>([] { RateMse{{.scale = 0}}; }, {"[rate_mse]", "scale"});
  expect_throws<ArgumentError>([] { CountMse{{.correct_rate = 2}}; }, {"[count_mse]", "correct_rate"});
  expect_throws<ArgumentError>([] { RateCrossEntropy{{.label_smoothing = -1}}; },
                               {"[rate_cross_entropy]", "label_smoothing"});
  expect_throws<ArgumentError>([] { Tet{{.lamb = kNaN}}; }, {"[tet]", "lamb"});
}

void set_gradients(Layer& layer) {
  for (const NamedParameter& named : layer.parameters())
    for (float& g : named.parameter->gradient.values()) g = 0.5f;
}

template <class O>
class PublicOptimizers : public ::testing::Test {};
using AllOptimizers = ::testing::Types<Sgd, Adam, AdamW>;
TYPED_TEST_SUITE(PublicOptimizers, AllOptimizers);

TYPED_TEST(PublicOptimizers, OtherParametersAreRefusedAndNothingChanges) {
  TypeParam optimizer;
  ThreadPool& threads = ThreadPool::shared();
  Linear a(4, 3), same(4, 3), shorter(4, 3, {.bias = false}), wider(5, 3);
  for (Layer* layer : std::initializer_list<Layer*>{&a, &same, &shorter, &wider}) set_gradients(*layer);
  optimizer.step(a.parameters(), threads);
  EXPECT_EQ(optimizer.steps_taken(), 1u);
  for (Layer* layer : std::initializer_list<Layer*>{&shorter, &wider}) {
    const std::vector<float> before = tensors_of(*layer);
    expect_throws<ArgumentError>([&] { optimizer.step(layer->parameters(), threads); },
                                 {"[" + std::string(optimizer.kind()) + "]"});
    expect_throws<ArgumentError>([&] { optimizer.prepare(layer->parameters()); }, {"["});
    EXPECT_EQ(tensors_of(*layer), before);
  }
  EXPECT_THROW(optimizer.step({}, threads), ArgumentError);
  EXPECT_EQ(optimizer.steps_taken(), 1u);
  optimizer.step(same.parameters(), threads);
  a.weight().gradient.resize({1});
  EXPECT_THROW(optimizer.step(a.parameters(), threads), ArgumentError);
  EXPECT_EQ(optimizer.steps_taken(), 2u);
}

TYPED_TEST(PublicOptimizers, NullAndNothing) {
  TypeParam optimizer;
  expect_throws<ArgumentError>([&] { optimizer.prepare({{"weight", nullptr}}); }, {"weight"});
  EXPECT_TRUE(optimizer.state().empty());
  EXPECT_NO_THROW(optimizer.step({}, ThreadPool::shared()));
  expect_throws<ArgumentError>([&] { optimizer.set_lr(kNaN); }, {"lr"});
  expect_throws<ArgumentError>([&] { optimizer.set_lr(-1); }, {"lr"});
  expect_throws<ArgumentError>([&] { TypeParam{kNaN}; }, {"lr"});
}

TEST(PublicOptimizerOptions, AreChecked) {
  expect_throws<ArgumentError>([] { Sgd{{.nesterov = true}}; }, {"[sgd]", "nesterov", "momentum"});
  expect_throws<ArgumentError>([] { Adam{{.beta1 = 1}}; }, {"[adam]", "beta1"});
  expect_throws<ArgumentError>([] { AdamW{{.weight_decay = -1}}; }, {"[adamw]", "weight_decay"});
}

TEST(PublicOptimizerOptions, ClippingTakesAnyGradient) {
  Linear layer(4, 3);
  set_gradients(layer);
  layer.weight().gradient.data()[0] = kNaN;
  EXPECT_TRUE(std::isnan(gradient_norm(layer.parameters())));
  EXPECT_EQ(gradient_norm({}), 0);
  works_or_throws([&] { clip_gradient_norm(layer.parameters(), 1, kNaN, ThreadPool::shared()); }, "clip");
  works_or_throws([&] { clip_gradient_norm(layer.parameters(), -1, 1, ThreadPool::shared()); }, "clip");
  works_or_throws([&] { clip_gradient_value(layer.parameters(), -1, ThreadPool::shared()); }, "clip");
  works_or_throws([&] { clip_gradient_value(layer.parameters(), kNaN, ThreadPool::shared()); }, "clip");
}

TEST(PublicSchedules, OddNumbersAreCheckedOrComputed) {
  expect_throws<ArgumentError>([] { check_schedule(StepSchedule{}); }, {"step_size", "0"});
  expect_throws<ArgumentError>([] { check_schedule(CosineSchedule{}); }, {"T_max", "0"});
  expect_throws<ArgumentError>([] { check_schedule(ExponentialSchedule{}); }, {"gamma", "0"});
  MultiStepSchedule falls;
  falls.milestones = {5, 3};
  expect_throws<ArgumentError>([&] { check_schedule(falls); }, {"milestones"});
  StepSchedule step;
  step.step_size = 3;
  EXPECT_DOUBLE_EQ(scheduled_lr(step, 1, 7, 0), 0.1 * 0.1);
  EXPECT_EQ(scheduled_lr(step, 1, ~std::uint64_t{0}, 0), 0);
  expect_throws<ArgumentError>([] { static_cast<void>(scheduled_lr(StepSchedule{}, 1, 5, 5)); },
                               {"step_size"});
  expect_throws<ArgumentError>([] { static_cast<void>(scheduled_lr(CosineSchedule{}, 1, 5, 5)); }, {"T_max"});
  CosineSchedule cosine;
  cosine.T_max = 10;
  EXPECT_NEAR(scheduled_lr(cosine, 1, 5, 0), 0.5, 1e-12);
  EXPECT_TRUE(std::isfinite(scheduled_lr(cosine, 1, ~std::uint64_t{0}, ~std::uint64_t{0})));
}

}  // namespace
}  // namespace volley::test

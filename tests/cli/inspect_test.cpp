#include "inspect.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include <volley/volley.hpp>

#include "class_report.hpp"
#include "support/error_text.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

constexpr std::size_t kSteps = 20;

Dataset one_picture(const Shape& shape) {
  Dataset data{.name = "one", .shape = shape, .pixels = {}, .labels = {0}, .classes = {"a"}};
  test::Random random(5);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  return data;
}

TrainerParts parts() {
  return {.optimizer = std::make_unique<Adam>(),
          .loss = std::make_unique<RateMse>(),
          .encoder = std::make_unique<Poisson>()};
}

/// Whether the potentials tell the spikes that the layer gave, but for those that are close to the threshold.
void expect_potentials_fit(const LayerLife& layer, bool fires_at_threshold = true,
                           std::size_t refractory = 0) {
  std::size_t fired = 0;
  const auto is_held = [&](std::size_t i) {
    for (std::size_t k = 1; k <= refractory && k * layer.neurons() <= i; ++k) {
      if (layer.spikes[i - k * layer.neurons()] == 1) return true;
    }
    return false;
  };
  for (std::size_t i = 0; i < layer.spikes.size(); ++i) {
    if (is_held(i)) {
      EXPECT_EQ(layer.spikes[i], 0) << layer.kind << " " << i;
      continue;
    }
    const float above = layer.potential.data()[i] - layer.threshold.data()[i];
    fired += layer.spikes[i];
    if (!(std::abs(above) >= 1e-4f)) continue;  // or no number: some neurons run away under a soft reset
    EXPECT_EQ(layer.spikes[i] == 1, fires_at_threshold ? above >= 0 : above > 0) << layer.kind << " " << i;
  }
  EXPECT_GT(fired, 0u) << layer.kind;
  EXPECT_LT(fired, layer.spikes.size()) << layer.kind;
}

template <class Layer>
LayerLife life_in(Layer neurons, std::size_t steps = kSteps) {
  Linear linear(36, 12);
  for (float& w : linear.weight().value.values()) w = w * 3 + 0.02f;
  Sequential net{Flatten{}, std::move(linear), std::move(neurons)};
  const SampleLife life = inspect(net, parts(), one_picture({1, 6, 6}), 0, steps, {});
  EXPECT_EQ(life.layers.size(), 1u);
  return life.layers.at(0);
}

TEST(Inspect, PotentialsOfEveryNeuronTellItsSpikes) {
  test::for_every_neuron(ATan{}, [](const auto& options, const std::string& name) {
    const LayerLife layer = life_in(Neuron<std::decay_t<decltype(options)>>(options));
    SCOPED_TRACE(name);
    EXPECT_EQ(layer.name, "2");
    EXPECT_EQ(layer.features, (Shape{12}));
    expect_potentials_fit(layer, true, options.refractory);
  });
  expect_potentials_fit(life_in(Recurrent(12, {.neuron = LIFOptions{.tau = 3.0f}})));
  const LIFOptions pausing{.v_threshold = 0.5f, .refractory = 2};
  expect_potentials_fit(life_in(Recurrent(12, {.neuron = pausing})), true, 2);
  expect_potentials_fit(
      life_in(Recurrent(12, {.feedback = Feedback::element_wise, .neuron = ALIFOptions{}})));
  expect_potentials_fit(life_in(SlidingPSN({.k = 3})));
  expect_potentials_fit(life_in(PSN({.steps = kSteps})));
}

TEST(Inspect, UsesTheNumbersThatWereTrained) {
  for (const std::size_t numbers : {3u, 48u}) {  // one a channel, one a neuron
    PLIF neurons({.channels = numbers});
    const std::vector<NamedParameter> parameters = neurons.parameters();
    for (std::size_t i = 0; i < numbers; ++i) {
      parameters[0].parameter->value.data()[i] = 3 * static_cast<float>(i) / static_cast<float>(numbers) - 1;
    }
    Conv2d conv({.in_channels = 1, .out_channels = 3, .kernel_size = {3, 3}});
    for (float& w : conv.parameters()[0].parameter->value.values()) w = w * 3 + 0.2f;
    Sequential net{std::move(conv), std::move(neurons), Flatten{}};
    const SampleLife life = inspect(net, parts(), one_picture({1, 6, 6}), 0, kSteps, {});
    ASSERT_EQ(life.layers.size(), 1u);
    EXPECT_EQ(life.layers[0].features, (Shape{3, 4, 4}));
    expect_potentials_fit(life.layers[0]);
  }
}

// Currents that the network makes as its neurons read them.
TEST(Inspect, SeesCurrentsThatAreNotInMemory) {
  Sequential net{Conv2d({.in_channels = 1, .out_channels = 3, .kernel_size = {3, 3}}), BatchNorm(3),
                 LIF{{.tau = 3.0f, .v_threshold = 0.1f}}, Flatten{}};
  const SampleLife life = inspect(net, parts(), one_picture({1, 6, 6}), 0, kSteps, {});
  ASSERT_EQ(life.layers.size(), 1u);
  EXPECT_EQ(life.layers[0].name, "2");
  expect_potentials_fit(life.layers[0]);
}

TEST(Inspect, LayersThatDoNotFireHaveAPotentialToo) {
  const LayerLife li = life_in(LI{});
  EXPECT_TRUE(li.spikes.empty());
  EXPECT_NE(li.potential.data()[li.potential.size() - 1], 0.0f);
  const LayerLife soft = life_in(SoftLIF{});
  EXPECT_EQ(soft.kind, "soft_lif");
  EXPECT_NE(soft.potential.data()[0], 0.0f);
}

TEST(Inspect, SeesWhatTheEvaluationSaw) {
  test::ToyTraining toy(test::toy_recipe());
  toy.fit();
  const Evaluation evaluation = toy.trainer.evaluate(toy.data.test, 2);
  const TrainerParts parts = toy.recipe.build_parts();
  const Draw draw{toy.recipe.training.seed, 2, Draw::Purpose::test};
  for (std::size_t n = 0; n < toy.data.test.size(); ++n) {
    const SampleLife life = inspect(toy.net, parts, toy.data.test, n, toy.recipe.training.steps, draw);
    ASSERT_EQ(life.layers.size(), 2u);
    EXPECT_EQ(life.layers[0].name, "2");
    EXPECT_EQ(life.layers[1].name, "4");
    EXPECT_TRUE(life.input_spikes);
    EXPECT_EQ(life.prediction, evaluation.predictions[n]);
    const std::vector<double> rates = firing_rates(life.layers[1]);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(life.scores[k], evaluation.scores.data()[n * 3 + k]) << n;
      EXPECT_FLOAT_EQ(static_cast<float>(rates[k]), life.scores[k]);
    }
  }
  test::expect_has(test::error_text([&] { inspect(toy.net, parts, toy.data.test, 45, 6, draw); }),
                   "[inspect] sample of stripes must be 0 to 44, got 45");
}

TEST(ClassReport, CountsByClass) {
  Dataset data{.name = "four", .shape = {1, 1, 1}, .labels = {0, 0, 1, 1}, .classes = {"a", "b", "none"}};
  Evaluation evaluation{.predictions = {0, 1, 1, 3}};
  evaluation.scores.resize({4, 4});
  evaluation.scores.zero();
  evaluation.scores.data()[0] = 0.5f;
  evaluation.scores.data()[5] = 1.0f;
  const ClassReport report = class_report(evaluation, data);
  EXPECT_EQ(report.confusion[0], (std::vector<std::size_t>{1, 1, 0, 0}));
  EXPECT_EQ(report.confusion[1], (std::vector<std::size_t>{0, 1, 0, 1}));
  EXPECT_EQ((std::vector{report.accuracy[0], report.accuracy[1]}), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ((std::vector{report.rate[0], report.rate[1]}), (std::vector<double>{0.25, 0}));
  EXPECT_TRUE(std::isnan(report.accuracy[2]) && std::isnan(report.rate[2])) << "a class without pictures";
  EXPECT_EQ(report.rates[0], (std::vector<double>{0.25, 0.5, 0, 0}));
}

}  // namespace
}  // namespace volley

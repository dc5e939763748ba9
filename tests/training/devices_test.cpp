// A training on a device whose operations run later, on memory that no other code can reach, has the CPU's
// bits: what reads pictures, and what counts.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <volley/volley.hpp>

#include "support/deferred_device.hpp"
#include "support/stripes.hpp"

namespace volley {
namespace {

using test::all_weights;
using test::stripes;

/// What a training gives.
struct Result {
  std::vector<float> weights;
  std::vector<float> scores;
  std::vector<LayerActivity> activity;
  std::uint64_t copied = 0;
};

void expect_same(const Result& result, const Result& expected) {
  EXPECT_EQ(result.weights, expected.weights);
  EXPECT_EQ(result.scores, expected.scores);
  ASSERT_EQ(result.activity.size(), expected.activity.size());
  for (std::size_t i = 0; i < expected.activity.size(); ++i) {
    const LayerActivity &a = result.activity[i], &b = expected.activity[i];
    EXPECT_EQ(a.layer, b.layer);
    EXPECT_EQ(a.rate, b.rate) << a.layer;
    EXPECT_EQ(a.dead, b.dead) << a.layer;
    EXPECT_EQ(a.saturated, b.saturated) << a.layer;
    EXPECT_EQ(a.synops, b.synops) << a.layer;
    EXPECT_EQ(a.macs, b.macs) << a.layer;
  }
}

using Train = std::function<Result()>;

/// On the CPU and on a deferred device.
void expect_the_same(const Train& train) {
  const Result expected = train();
  const test::UseDeferredDevices use;
  const Result result = train();
  EXPECT_GT(result.copied, 0u);
  expect_same(result, expected);
}

TrainerParts parts_of(std::shared_ptr<const Encoder> encoder) {
  return {.optimizer = std::make_shared<Adam>(0.01f),
          .loss = std::make_shared<RateMse>(),
          .encoder = std::move(encoder)};
}

constexpr std::size_t kSteps = 6;

Result result_of(Sequential& net, Trainer& trainer, const Dataset& test) {
  const Evaluation evaluation = trainer.evaluate(test);
  return {all_weights(net),
          {evaluation.scores.values().begin(), evaluation.scores.values().end()},
          evaluation.activity,
          trainer.device().copied_bytes()};
}

Result train(TrainerParts parts, Recorder* recorder = nullptr) {
  const Dataset data = stripes(30, 1), test = stripes(20, 2);
  Sequential net = test::small_network();
  Trainer trainer(net, std::move(parts), {.steps = kSteps, .batch = 8, .threads = 2, .monitors = true});
  trainer.fit(data, test, 2, recorder);
  return result_of(net, trainer, test);
}

TEST(TrainingOnDevices, AugmentedPicturesOfEveryEncoder) {
  for (const EncoderOptions& options :
       {EncoderOptions(PoissonOptions{}), EncoderOptions(DirectOptions{}), EncoderOptions(LatencyOptions{}),
        EncoderOptions(PopulationOptions{.neurons = 2, .mode = PopulationMode::random}),
        EncoderOptions(PeriodicOptions{.period = 3, .of = PoissonOptions{}})}) {
    for (const bool augmented : {false, true}) {
      expect_the_same([&] {
        TrainerParts parts = parts_of(make_encoder(options));
        if (augmented) parts.augment = Augment({.crop_padding = 1, .flip = true});
        if (!std::holds_alternative<PopulationOptions>(options)) return train(std::move(parts));
        const Dataset data = stripes(24, 1);
        Sequential net{Flatten{}, Linear{72, 3}, LIF{}};
        Trainer trainer(net, std::move(parts), {.steps = kSteps, .batch = 8, .threads = 2});
        trainer.fit(data, data, 2);
        return result_of(net, trainer, data);
      });
    }
  }
}

/// An encoder, and a rule, of the user, which look at the pixels on the host.
class Halves final : public Encoder {
 public:
  std::string_view kind() const override { return "halves"; }

 private:
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw&, Tape& tape) const override {
    Tensor& x = tape.saved<Tensor>();
    x.resize(data.shape.after({samples.size(), 1}));
    for (std::size_t n = 0; n < samples.size(); ++n) {
      std::ranges::transform(data.picture(samples[n]), x.data() + n * data.shape.size(),
                             [](std::uint8_t k) { return static_cast<float>(k) / 128; });
    }
    return {x, data.shape.after({samples.size(), steps})};
  }
};

class Watching final : public LearningRule {
 public:
  std::string_view kind() const override { return "watching"; }
  void gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) override {
    bptt_.gradients(net, loss, batch, tape);
    const std::size_t first = batch.data.picture(batch.samples[0])[8];
    net.parameters()[0].parameter->gradient.data()[0] += static_cast<float>(first) / 255;
  }

 private:
  Bptt bptt_;
};

TEST(TrainingOnDevices, PartsOfTheUserReadPixelsOnTheHost) {
  for (const bool own_rule : {false, true}) {
    for (const bool own_encoder : {false, true}) {
      expect_the_same([&] {
        TrainerParts parts = parts_of(std::make_shared<Poisson>());
        if (own_encoder) parts.encoder = std::make_shared<Halves>();
        if (own_rule) parts.rule = std::make_shared<Watching>();
        parts.augment = Augment({.crop_padding = 2, .flip = true});
        return train(std::move(parts));
      });
    }
  }
}

TEST(TrainingOnDevices, TheArticlesRule) {
  for (const bool augmented : {false, true}) {
    expect_the_same([&] {
      const Dataset data = stripes(30, 3);
      Sequential net{Flatten{}, Linear{36, 3, {.bias = false}}, SoftLIF{}};
      net.initialize(4);
      TrainerParts parts = parts_of(std::make_shared<Poisson>());
      parts.rule = std::make_shared<ArticleRule>();
      if (augmented) parts.augment = Augment({.flip = true});
      Trainer trainer(net, std::move(parts), {.steps = kSteps, .batch = 8, .threads = 2});
      trainer.fit(data, data, 2);
      return result_of(net, trainer, data);
    });
  }
}

/// Evaluates pictures that lie where others did before.
struct Asking final : Recorder {
  std::vector<std::vector<float>> scores;
  Dataset data = stripes(10, 5);
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    data.pixels = stripes(10, static_cast<std::uint32_t>(record.iteration)).pixels;
    const Evaluation evaluation = trainer.evaluate(data);
    scores.emplace_back(evaluation.scores.values().begin(), evaluation.scores.values().end());
  }
};

TEST(TrainingOnDevices, PicturesMayChangeWhereNoFitHasThem) {
  Asking expected, result;
  train(parts_of(std::make_shared<Poisson>()), &expected);
  const test::UseDeferredDevices use;
  train(parts_of(std::make_shared<Poisson>()), &result);
  EXPECT_EQ(result.scores, expected.scores);
}

TEST(TrainingOnDevices, PicturesMayChangeBetweenFits) {
  expect_the_same([&] {
    Dataset data = stripes(30, 1);
    Sequential net = test::small_network();
    Trainer trainer(net, parts_of(std::make_shared<Poisson>()), {.steps = kSteps, .batch = 8, .threads = 2});
    trainer.fit(data, data, 1);
    data = stripes(30, 6);
    const Evaluation between = trainer.evaluate(data);
    data = stripes(30, 7);
    trainer.fit(data, data, 1);
    Result result = result_of(net, trainer, data);
    result.scores.insert(result.scores.end(), between.scores.values().begin(), between.scores.values().end());
    return result;
  });
}

/// Samples of different lengths, spikes channels-last, a recurrent layer.
TEST(TrainingOnDevices, MonitorsCountTheSame) {
  const auto activity = [] {
    const Device device("cpu", 2);
    Tape tape(device);
    const LIFOptions easy{.v_threshold = 0.1f};
    Sequential net{Conv2d{1, 3, 3}, LIF{easy}, Flatten{}, Linear{48, 5}, Recurrent{5, {.neuron = easy}}};
    net.initialize(1);
    const Dataset data = stripes(4, 8);
    Tape encoder_tape(device);
    Monitor monitor;
    const std::vector<std::uint32_t> samples{0, 1, 2, 3}, lengths{6, 1, 3, 6};
    const Signal x = Poisson{}.encode(data, samples, kSteps, {}, encoder_tape);
    for (const std::span<const std::uint32_t> counted :
         {std::span<const std::uint32_t>{}, std::span(lengths)}) {
      tape.set_context({.draw = {}, .samples = {}, .lengths = counted});
      net.forward(x, tape);
      monitor.look(tape);
    }
    return Result{{}, {}, monitor.activity(), 0};
  };
  const Result expected = activity();
  EXPECT_GT(expected.activity.back().synops, 0);
  const test::UseDeferredDevices use;
  expect_same(activity(), expected);
}

}  // namespace
}  // namespace volley

#include <volley/trainer.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include <volley/batch_norm.hpp>
#include <volley/conv.hpp>
#include <volley/error.hpp>
#include <volley/neuron.hpp>

#include "support/counting_layer.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/stripes.hpp"

namespace volley {
namespace {

using test::all_weights;
using test::error_text;
using test::small_network;
using test::stripes;

TEST(Trainer, LearnsTheStripesWithAnySeed) {
  const Dataset train = stripes(600, 1), test = stripes(200, 2);
  for (const std::uint32_t seed : {0u, 1u, 2u}) {
    Sequential net = small_network(seed);
    Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 16, .batch = 20, .seed = seed}};
    const History history = trainer.fit(train, test, 8);
    ASSERT_EQ(history.epochs.size(), 8u);
    EXPECT_GT(history.epochs.back().max_test_acc, 0.93) << "seed " << seed;
    EXPECT_LT(history.epochs.back().train_loss, 0.5 * history.epochs.front().train_loss);
  }
}

TEST(Trainer, LearnsWithSgdAndCrossEntropyToo) {
  const Dataset train = stripes(600, 1), test = stripes(200, 2);
  Sequential net = small_network();
  Trainer trainer{
      net, Sgd{0.5f, {.momentum = 0.9f}}, RateCrossEntropy{}, Poisson{}, {.steps = 16, .batch = 20}};
  EXPECT_GT(trainer.fit(train, test, 8).epochs.back().max_test_acc, 0.85);
}

TEST(Trainer, SameBitsForAnyNumberOfThreads) {
  const Dataset train = stripes(203, 1), test = stripes(50, 2);
  std::vector<float> first;
  for (const std::size_t threads : {1u, 2u, 3u, 8u}) {
    Sequential net = small_network();
    Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 10, .batch = 20, .threads = threads}};
    EXPECT_EQ(trainer.threads(), threads);
    trainer.fit(train, test, 2);
    if (first.empty()) first = all_weights(net);
    EXPECT_EQ(all_weights(net), first) << threads << " threads";
  }
}

TEST(Trainer, SeedsGiveDifferentRunsAndTheSameSeedTheSame) {
  const Dataset data = stripes(100, 1);
  const auto weights = [&](std::uint32_t seed) {
    Sequential net = small_network();
    Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 10, .batch = 20, .seed = seed}};
    trainer.fit(data, data, 1);
    return all_weights(net);
  };
  EXPECT_EQ(weights(3), weights(3));
  EXPECT_NE(weights(3), weights(4));
}

TEST(Trainer, OneFitOfTwoEpochsIsTwoFitsOfOne) {
  const Dataset data = stripes(100, 1);
  Sequential a = small_network(), b = small_network();
  Trainer once{a, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 10, .batch = 20}};
  Trainer twice{b, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 10, .batch = 20}};
  const History history = once.fit(data, data, 2);
  twice.fit(data, data, 1);
  const History second = twice.fit(data, data, 1);
  EXPECT_EQ(all_weights(a), all_weights(b));
  EXPECT_EQ(second.epochs.back().epoch, 2u);
  EXPECT_EQ(second.epochs.back().test_loss, history.epochs.back().test_loss);
}

TEST(Trainer, TellsTheLayersWhichPassItIs) {
  const Dataset train = stripes(20, 1), test = stripes(7, 2);
  std::vector<test::CountingLayer::Seen> seen;
  Sequential net{Flatten{}, test::CountingLayer{&seen}, Linear{36, 3}, LIF{}};
  Trainer trainer{net, Sgd{0.1f}, RateMse{}, Poisson{}, {.steps = 4, .batch = 10, .seed = 5}};
  trainer.fit(train, test, 1);
  ASSERT_EQ(seen.size(), 3u);  // two batches of training, one of evaluation
  std::set<std::uint32_t> trained;
  for (std::size_t b = 0; b < 2; ++b) {
    EXPECT_TRUE(seen[b].training);
    EXPECT_EQ(seen[b].draw.seed, 5u);
    EXPECT_EQ(seen[b].draw.epoch, 1u);
    trained.insert(seen[b].addresses.begin(), seen[b].addresses.end());
  }
  EXPECT_EQ(trained.size(), 20u);
  EXPECT_FALSE(seen[2].training);
  EXPECT_EQ(seen[2].addresses, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(net.buffers()[0].tensor->data()[0], 2) << "backward reaches a layer that has buffers alone";
}

/// Notes all that it is told.
struct Listener : Recorder {
  std::size_t iterations_per_epoch = 0, test_batches = 0, test_seen = 0, epochs = 0;
  std::vector<IterationRecord> iterations;
  std::size_t stop_after = ~std::size_t{0};

  void begin(std::size_t, std::size_t iterations_, std::size_t test_batches_) override {
    iterations_per_epoch = iterations_;
    test_batches = test_batches_;
  }
  void iteration(const IterationRecord& record, Trainer&) override { iterations.push_back(record); }
  void test_batch(std::size_t, std::size_t) override { ++test_seen; }
  void epoch(const EpochRecord&, Trainer&) override { ++epochs; }
  bool stop() override { return iterations.size() >= stop_after; }
};

TEST(Trainer, DropsTheLastBatchOfTrainingAndKeepsThatOfTheTest) {
  const Dataset train = stripes(107, 1), test = stripes(53, 2);
  Sequential net = small_network();
  Listener listener;
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 20}};
  trainer.fit(train, test, 2, &listener);
  EXPECT_EQ(listener.iterations_per_epoch, 5u);
  EXPECT_EQ(listener.test_batches, 3u);
  EXPECT_EQ(listener.iterations.size(), 10u);
  EXPECT_EQ(listener.iterations.back().iteration, 10u);
  EXPECT_EQ(listener.iterations.back().epoch, 2u);
  EXPECT_EQ(listener.test_seen, 6u);
  EXPECT_GT(listener.iterations.front().grad_norm, 0);

  Listener keeping;
  Trainer keeper{net, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 20, .drop_last = false}};
  keeper.fit(train, test, 1, &keeping);
  EXPECT_EQ(keeping.iterations.size(), 6u);
}

TEST(Trainer, StopsAfterAWholeStepAndRecordsNoHalfEpoch) {
  const Dataset data = stripes(100, 1);
  Sequential net = small_network();
  Listener listener;
  listener.stop_after = 7;
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 20}};
  const History history = trainer.fit(data, data, 5, &listener);
  EXPECT_TRUE(history.stopped);
  EXPECT_EQ(history.epochs.size(), 1u);
  EXPECT_EQ(listener.iterations.size(), 7u);
}

TEST(Trainer, EvaluationIsThatOfTheWholeSetInOrder) {
  const Dataset data = stripes(53, 3);
  Sequential net = small_network();
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 8, .batch = 20}};
  const Evaluation all = trainer.evaluate(data);
  ASSERT_EQ(all.predictions.size(), 53u);
  std::size_t right = 0;
  for (std::size_t n = 0; n < 53; ++n) right += all.predictions[n] == data.labels[n];
  EXPECT_DOUBLE_EQ(all.accuracy, static_cast<double>(right) / 53);
  // Spikes are addressed by sample, so a cut into other batches changes nothing.
  Trainer other{net, Adam{}, RateMse{}, Poisson{}, {.steps = 8, .batch = 7}};
  const Evaluation again = other.evaluate(data);
  EXPECT_EQ(again.predictions, all.predictions);
  EXPECT_NEAR(again.loss, all.loss, 1e-6);
}

TEST(Trainer, EvaluatesOnWhatIsHeldOutAndTellsTheTestAtItsBest) {
  Split data{stripes(300, 1), stripes(100, 2)};
  hold_out(data, 60, 0);
  Sequential net = small_network();
  Listener listener;
  Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 8, .batch = 20}};
  const History history = trainer.fit(data, 4, &listener);
  EXPECT_EQ(listener.iterations_per_epoch, 12u);
  EXPECT_EQ(listener.test_batches, 3u + 5u);
  EXPECT_EQ(listener.test_seen, 4 * (3u + 5u));
  double best = -1, test_at_best = 0;
  for (const EpochRecord& e : history.epochs) {
    ASSERT_TRUE(e.validation.has_value());
    if (e.validation->acc > best) best = e.validation->acc, test_at_best = e.test_acc;
    EXPECT_EQ(e.validation->test_acc_at_best, test_at_best);
    EXPECT_EQ(e.score(), e.validation->acc);
  }
  EXPECT_EQ(trainer.evaluate(data.validation, 4, nullptr, Draw::Purpose::validation).accuracy,
            history.epochs.back().validation->acc);
  EXPECT_EQ(trainer.evaluate(data.test, 4).accuracy, history.epochs.back().test_acc);
  EXPECT_FALSE(trainer.fit(data.train, data.test, 1).epochs[0].validation.has_value());
}

TEST(Trainer, MonitorsOfAnEvaluationDoNotDependOnItsBatches) {
  const Dataset data = stripes(53, 3);
  Sequential net = small_network();
  std::vector<LayerActivity> first;
  for (const std::size_t batch : {53u, 20u, 7u}) {
    Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 8, .batch = batch}};
    const std::vector<LayerActivity> layers = trainer.evaluate(data).activity;
    ASSERT_EQ(layers.size(), 5u);  // input, linear, lif, linear, lif
    if (first.empty()) first = layers;
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(layers[i].rate, first[i].rate);
      EXPECT_EQ(layers[i].dead, first[i].dead);
      EXPECT_EQ(layers[i].synops, first[i].synops);
    }
  }
  EXPECT_NEAR(first[0].rate * 36 * 8 * 24, first[1].synops, 1e-6);
  Trainer blind{net, Adam{}, RateMse{}, Poisson{}, {.steps = 8, .batch = 20, .monitors = false}};
  EXPECT_TRUE(blind.evaluate(data).activity.empty());
}

TEST(Trainer, AugmentationReachesTheTrainingAlone) {
  const Dataset data = stripes(100, 1);
  const auto trained = [&](const AugmentOptions& augment, std::size_t threads) {
    Sequential net = small_network();
    TrainerParts parts{.optimizer = std::make_unique<Adam>(),
                       .loss = std::make_unique<RateMse>(),
                       .encoder = std::make_unique<Poisson>(),
                       .augment = Augment(augment)};
    Trainer trainer(net, std::move(parts), {.steps = 8, .batch = 20, .threads = threads});
    const Evaluation before = trainer.evaluate(data);
    trainer.fit(data, data, 1);
    return std::pair{before.loss, all_weights(net)};
  };
  const auto plain = trained({}, 1), changed = trained({.crop_padding = 2, .flip = true}, 1);
  EXPECT_EQ(plain.first, changed.first);
  EXPECT_NE(plain.second, changed.second);
  EXPECT_EQ(trained({.crop_padding = 2, .flip = true}, 3).second, changed.second);
  EXPECT_NE(error_text([&] { trained({.crop_padding = 6}, 1); }).find("crop_padding must be < 6"),
            std::string::npos);
}

TEST(Trainer, RefusesWhatItCannotTrain) {
  const Dataset data = stripes(10, 1);
  Sequential net = small_network();
  EXPECT_EQ(error_text([&] { Trainer(net, Adam{}, RateMse{}, Poisson{}, {.steps = 0}); }),
            "[trainer] steps must be >= 1 and <= 65536, got 0");
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 64}};
  EXPECT_EQ(error_text([&] { trainer.fit(data, data, 1); }),
            "[trainer] stripes: 10 samples do not fill one batch of 64");
  Dataset none = data.first(1);
  none.pixels.clear(), none.labels.clear();
  EXPECT_EQ(error_text([&] { trainer.evaluate(none); }).find("must have at least one sample, got none") !=
                std::string::npos,
            true);
  Sequential narrow{Flatten{}, Linear{36, 2}, LIF{}};
  Trainer two{narrow, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 5}};
  EXPECT_EQ(error_text([&] { two.fit(data, data, 1); }),
            "[trainer] stripes: the network's output must be one score for each of 3 classes, got (2)");
}

TEST(Trainer, CountsWhatNoOutputFiredForAndTies) {
  const Dataset data = stripes(30, 1);
  Sequential net{Flatten{}, Linear{36, 3}, LIF{}};
  for (const NamedParameter& p : net.parameters()) p.parameter->value.zero();
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 7}};
  const Evaluation silent = trainer.evaluate(data);
  EXPECT_EQ(silent.silent, 30u);
  EXPECT_EQ(silent.tied, 0u);
  EXPECT_EQ(silent.predictions, std::vector<std::uint32_t>(30, 0));
  std::ranges::fill(net.parameters()[1].parameter->value.values(), 5.0f);  // biases: all fire at every step
  const Evaluation tied = trainer.evaluate(data);
  EXPECT_EQ(tied.silent, 0u);
  EXPECT_EQ(tied.tied, 30u);
  net.parameters()[1].parameter->value.data()[2] = 0;
  EXPECT_EQ(trainer.evaluate(data).tied, 30u) << "the first two";
  net.parameters()[1].parameter->value.data()[1] = 0;
  EXPECT_EQ(trainer.evaluate(data).tied, 0u);
}

TEST(Trainer, AnEpochTellsOfSilence) {
  const Dataset data = stripes(30, 1);
  Sequential net{Flatten{}, Linear{36, 3}, LIF{{.v_threshold = 1e6f}}};
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}, {.steps = 4, .batch = 10}};
  EXPECT_EQ(trainer.fit(data, data, 1).epochs[0].test_silent, 30u);
}

TEST(Trainer, ALastBatchThatBatchNormCannotTakeIsRefusedBeforeTheFirstStep) {
  const Dataset data = stripes(66, 1);
  const auto fit = [&](std::size_t batch, bool drop_last, std::size_t steps, bool flat) {
    Sequential net = flat ? Sequential{Flatten{}, Linear{36, 8}, BatchNorm{8}, LIF{}, Linear{8, 3}, LIF{}}
                          : Sequential{Conv2d{1, 2, 3}, BatchNorm{2}, LIF{}, Flatten{}, Linear{32, 3}, LIF{}};
    Trainer trainer{
        net, Adam{}, RateMse{}, Poisson{}, {.steps = steps, .batch = batch, .drop_last = drop_last}};
    std::string text;
    try {
      trainer.fit(data, data, 1);
    } catch (const ArgumentError& error) {
      EXPECT_EQ(trainer.position().iterations, 0u);
      text = error.what();
    }
    return text;
  };
  EXPECT_EQ(
      fit(13, false, 1, true),
      "[trainer] stripes: no batch may have a single sample of a single step; set another batch, or "
      "drop_last, got 66 mod 13 = 1 ([batch_norm] x of a training must have more than one value per channel, "
      "got (1, 1, 8))");
  EXPECT_EQ(fit(13, true, 1, true), "");
  EXPECT_EQ(fit(13, false, 2, true), "");
  EXPECT_EQ(fit(11, false, 1, true), "");
  EXPECT_EQ(fit(13, false, 1, false), "") << "a picture has more than one value per channel";
  EXPECT_NE(fit(1, true, 1, true).find("got batch = 1 ("), std::string::npos);
}

Sequential article_network() {
  return Sequential{Flatten{}, Linear{36, 3, {.bias = false, .init = Init::normal}}, SoftLIF{}};
}

// One step of the hand-made rule, computed here from its statement: W -= lr sum ((r - y) sigmoid'(v[T]))^T
// image.
TEST(ArticleRule, IsTheStatedUpdate) {
  const Dataset data = stripes(4, 9);
  Sequential net = article_network();
  const std::vector<float> before = all_weights(net);
  const TrainerOptions options{.steps = 12, .batch = 4, .seed = 5};
  TrainerParts parts{.optimizer = std::make_unique<Sgd>(0.5f),
                     .loss = std::make_unique<RateMse>(RateMseOptions{.scale = 0.5f}),
                     .encoder = std::make_unique<Poisson>(),
                     .rule = std::make_unique<ArticleRule>()};
  Trainer trainer(net, std::move(parts), options);

  const auto sigmoid = [](double u) { return 1 / (1 + std::exp(-u)); };
  std::vector<double> expected(before.begin(), before.end());
  const std::vector<std::uint32_t> samples{0, 1, 2, 3};
  Tape tape;
  const Signal x = Poisson{}.encode(data, samples, 12, {.seed = 5, .epoch = 1}, tape);
  for (std::uint32_t n = 0; n < 4; ++n) {
    for (std::size_t k = 0; k < 3; ++k) {
      double v = 0, rate = 0;
      for (std::size_t t = 0; t < 12; ++t) {
        double current = 0;
        for (std::size_t f = 0; f < 36; ++f) {
          current += static_cast<double>(before[k * 36 + f]) * x.spikes().fired(n, t, f);
        }
        const double h = v + (current - v) / 2;
        const double p = sigmoid(h - 1);
        v = (1 - p) * h;
        rate += p / 12;
      }
      const double delta = (rate - (data.labels[n] == k)) * sigmoid(v) * (1 - sigmoid(v));
      for (std::size_t f = 0; f < 36; ++f) expected[k * 36 + f] -= 0.5 * delta * data.picture(n)[f] / 255;
    }
  }
  trainer.fit(data, data, 1);
  EXPECT_LT(test::relative_error(all_weights(net), expected), 1e-5);
}

TEST(ArticleRule, RefusesOtherNetworks) {
  Sequential net = small_network();
  TrainerParts parts{.optimizer = std::make_unique<Sgd>(0.5f),
                     .loss = std::make_unique<RateMse>(),
                     .encoder = std::make_unique<Poisson>(),
                     .rule = std::make_unique<ArticleRule>()};
  EXPECT_EQ(error_text([&] { Trainer(net, std::move(parts)); }),
            "[article] network must be flatten, linear without bias, soft_lif; got flatten, linear, lif, "
            "linear, lif");
}

TEST(ArticleRule, RefusesLossesWhoseScoresAreNoRates) {
  Sequential net = article_network();
  TrainerParts parts{.optimizer = std::make_unique<Sgd>(0.5f),
                     .loss = std::make_unique<MembraneMse>(),
                     .encoder = std::make_unique<Poisson>(),
                     .rule = std::make_unique<ArticleRule>()};
  EXPECT_EQ(error_text([&] { Trainer(net, std::move(parts)); }),
            "[article] loss must be one of firing rates, such as rate_mse, got membrane_mse");
  EXPECT_TRUE(RateMse().scores_are_rates() && RateCrossEntropy().scores_are_rates());
  EXPECT_FALSE(CountMse().scores_are_rates() || Tet().scores_are_rates());
}

// The same soft network trains by true BPTT as well.
TEST(SoftLIFLayer, TrainsByBptt) {
  const Dataset train = stripes(400, 1);
  Sequential net = article_network();
  Trainer trainer{net, Adam{0.05f}, RateMse{}, Poisson{}, {.steps = 10, .batch = 20}};
  const History history = trainer.fit(train, train, 6);
  EXPECT_LT(history.epochs.back().train_loss, 0.6 * history.epochs.front().train_loss);
}

}  // namespace
}  // namespace volley

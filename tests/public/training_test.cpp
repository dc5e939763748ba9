// Trainers and recorders: what may be asked when, and data that does not fit.

#include <functional>
#include <limits>
#include <stdexcept>

#include "support.hpp"

namespace volley::test {
namespace {

const Dataset kTrain = pictures({1, 3, 3}, 8, 2), kTest = pictures({1, 3, 3}, 3, 2);
const TrainerOptions kOptions{.steps = 3, .batch = 4, .threads = 2};

Sequential trained_net() {
  Sequential net{Flatten{}, Linear{9, 2}, LIF{}};
  net.initialize(1);
  return net;
}

/// A recorder whose callbacks do what a test says.
class Asks final : public Recorder {
 public:
  std::function<void(Trainer&)> on_iteration = [](Trainer&) {};
  std::function<bool()> on_stop = [] { return false; };

  void iteration(const IterationRecord&, Trainer& trainer) override { on_iteration(trainer); }
  bool stop() override { return on_stop(); }
};

TEST(PublicTraining, AnExceptionOfARecorderComesThroughAndTheTrainerGoesOn) {
  std::vector<std::vector<float>> weights;
  for (const bool throws : {false, true}) {
    Sequential net = trained_net();
    Trainer trainer(net, Sgd{0.1f}, RateMse{}, Poisson{}, kOptions);
    Asks recorder;
    std::size_t steps = 0;
    recorder.on_iteration = [&](Trainer&) {
      if (throws && ++steps == 1) throw std::runtime_error("mine");
    };
    if (throws) {
      EXPECT_THROW(trainer.fit(kTrain, kTest, 2, &recorder), std::runtime_error);
    }
    trainer.fit(kTrain, kTest, 2 - trainer.position().epoch + 1, &recorder);
    EXPECT_EQ(trainer.position().epoch, 3u);
    weights.push_back(tensors_of(net));
  }
  EXPECT_EQ(weights[0], weights[1]);
}

TEST(PublicTraining, StoppedAnywhereItGoesOnWithTheSameBits) {
  std::vector<float> expected;
  for (int stop_at = -1; stop_at < 8; ++stop_at) {
    Sequential net = trained_net();
    Trainer trainer(net, Adam{0.05f}, RateMse{}, Poisson{}, kOptions);
    Asks recorder;
    int asked = 0;
    recorder.on_stop = [&] { return asked++ == stop_at; };
    for (int round = 0; round < 9 && trainer.position().epoch < 3; ++round)
      trainer.fit(kTrain, kTest, 3 - trainer.position().epoch, &recorder);
    ASSERT_EQ(trainer.position().epoch, 3u) << stop_at;
    if (stop_at < 0) expected = tensors_of(net);
    EXPECT_EQ(tensors_of(net), expected) << stop_at;
  }
}

TEST(PublicTraining, DataThatDoesNotFitIsNamed) {
  Sequential net = trained_net();
  const std::vector<float> before = tensors_of(net);
  Trainer trainer(net, Sgd{0.1f}, RateMse{}, Poisson{}, kOptions);
  const auto refuses = [&](const Dataset& data) {
    EXPECT_THROW(trainer.evaluate(data), Error);
    EXPECT_THROW(trainer.fit(data, kTest, 1), Error);
    EXPECT_THROW(trainer.fit(kTrain, data, 1), Error);
    EXPECT_EQ(tensors_of(net), before);
  };
  refuses(Dataset{});
  refuses(pictures({1, 3, 2}, 8, 2));
  refuses(pictures({1, 3, 3}, 8, 3));
  Dataset cut = kTrain;
  cut.pixels.resize(10);
  refuses(cut);
  Dataset more = kTrain;
  more.labels.push_back(0);
  refuses(more);
  EXPECT_THROW(trainer.fit(kTrain.first(3), kTest, 1), Error);  // no batch of four
  EXPECT_EQ(tensors_of(net), before);
}

TEST(PublicTraining, ANetworkThatDoesNotFitIsNamed) {
  const auto refuses = [](Sequential net) {
    EXPECT_THROW(
        {
          Trainer trainer(net, Sgd{0.1f}, RateMse{}, Poisson{}, kOptions);
          trainer.fit(kTrain, kTest, 1);
        },
        Error);
  };
  refuses(Sequential{});
  refuses(Sequential{Flatten{}, Linear{8, 2}});
  refuses(Sequential{Flatten{}, Linear{9, 1}});
  refuses(Sequential{Flatten{}, LIF{}});
  refuses(Sequential{Linear{3, 2}});
}

TEST(PublicTraining, OptionsAreChecked) {
  Sequential net = trained_net();
  const auto refuses = [&](const TrainerOptions& options, const std::string& word) {
    expect_throws<ArgumentError>([&] { Trainer(net, Sgd{}, RateMse{}, Poisson{}, options); },
                                 {"[trainer]", word});
  };
  refuses({.steps = 0}, "steps");
  refuses({.batch = 0}, "batch");
  refuses({.steps = std::numeric_limits<std::size_t>::max()}, "steps");
  refuses({.threads = 5000}, "threads");
  refuses({.clip_norm = 0.0f}, "clip_norm");
  refuses({.clip_norm = 1.0f, .clip_value = 1.0f}, "clip_value");
}

TEST(PublicTraining, PositionsAreChecked) {
  Sequential net = trained_net();
  Trainer trainer(net, Sgd{}, RateMse{}, Poisson{}, kOptions);
  expect_throws<ArgumentError>([&] { trainer.set_position({.epoch = 0}); }, {"[trainer]", "epoch"});
  expect_throws<ArgumentError>([&] { trainer.set_position({.max_test_acc = 2}); },
                               {"[trainer]", "max_test_acc"});
  trainer.set_position({.epoch = 2, .iteration = 99});
  EXPECT_THROW(trainer.fit(kTrain, kTest, 1), Error);
  trainer.set_position({.epoch = (1u << 24) - 1});
  works_or_throws([&] { trainer.fit(kTrain, kTest, 3); }, "[trainer]");
}

TEST(PublicTraining, TheArticleRuleRefusesOtherNetworks) {
  Sequential net = trained_net();
  TrainerParts parts{.optimizer = std::make_unique<Sgd>(),
                     .loss = std::make_unique<RateMse>(),
                     .encoder = std::make_unique<Poisson>()};
  parts.rule = std::make_unique<ArticleRule>();
  EXPECT_FALSE(works_or_throws([&] { Trainer(net, std::move(parts)); }, "article"));
}

TEST(PublicTraining, ARuleNeedsItsForward) {
  Sequential net = trained_net();
  const Tensor x = some_values({2, 3, 1, 3, 3});
  Tape tape, of_loss;
  const Signal y = net.forward(x, tape);
  Tensor scores(Shape{2, 2});
  const std::vector<std::uint32_t> samples{0, 1}, labels{0, 1};
  Bptt rule;
  EXPECT_THROW(rule.gradients(net, RateMse{}, {kTrain, samples, labels, y, scores, of_loss}, tape), Error);
}

}  // namespace
}  // namespace volley::test

#include <volley/source.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include <volley/volley.hpp>

#include "support/bars.hpp"
#include "support/error_text.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

/// Sequences of unequal length: the class says in which half of its life a sample is strong.
class Waves final : public Source {
 public:
  static constexpr std::size_t kSteps = 9, kFeatures = 5;

  explicit Waves(std::size_t size, std::uint32_t seed = 1)
      : Source({.name = "waves",
                .size = size,
                .kind = SampleKind::sequences,
                .shape = {kFeatures},
                .steps = kSteps,
                .outputs = 2}),
        seed_(seed) {}

  std::size_t length(std::uint32_t id) const { return 4 + (id * 7 + seed_) % (kSteps - 3); }
  std::vector<float> sample(std::uint32_t id) const {
    test::Random random(id * 1000 + seed_);
    const std::size_t L = length(id);
    std::vector<float> values(L * kFeatures);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool early = i / kFeatures < L / 2;
      values[i] = static_cast<float>(random.uniform(0, 1) + (early == (id % 2 == 0) ? 1.5 : 0));
    }
    return values;
  }

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override {
    std::size_t T = 0;
    samples.targets.lengths.clear();
    samples.targets.labels.clear();
    for (const std::uint32_t id : ids) {
      samples.targets.lengths.push_back(static_cast<std::uint32_t>(length(id)));
      samples.targets.labels.push_back(id % 2);
      T = std::max(T, length(id));
    }
    samples.values.resize({ids.size(), T, kFeatures});
    std::ranges::fill(samples.values.values(), 77.0f);  // what lies beyond the lengths
    for (std::size_t n = 0; n < ids.size(); ++n)
      std::ranges::copy(sample(ids[n]), samples.values.data() + n * T * kFeatures);
  }

  std::uint32_t seed_;
};

Sequential wave_net() {
  return Sequential{Linear(5, 12),
                    BatchNorm(12),
                    LIF{},
                    Linear(12, 6),
                    Recurrent(6, {.neuron = PLIFOptions{}}),
                    RatePenalty{{.target = 0.2f, .weight = 0.1f}},
                    Linear(6, 2),
                    LI{}};
}

/// Everything that a training pass of a batch of sequences gives, and of each sample by itself.
struct PassResult {
  double loss = 0;
  Tensor y, scores;
  std::vector<std::vector<float>> gradients;
  std::vector<LayerActivity> activity;
};

PassResult pass(Sequential& net, const Loss& loss, const Signal& x, const Targets& targets,
                std::size_t threads, bool training) {
  ThreadPool pool(threads);
  Tape tape(pool), loss_tape(pool);
  tape.set_context({.training = training, .lengths = targets.lengths});
  PassResult result;
  const Signal y = net.forward(x, tape);
  result.y = to_tensor(y);
  result.loss = loss.forward(y, targets, result.scores, loss_tape);
  zero_gradients(net.parameters());
  net.backward(tape, loss.backward(loss_tape));
  for (const NamedParameter& p : net.parameters()) {
    const auto values = p.parameter->gradient.values();
    result.gradients.emplace_back(values.begin(), values.end());
  }
  Monitor monitor;
  monitor.look(tape);
  result.activity = monitor.activity();
  return result;
}

/// What lies beyond a sample's length, and how far the batch is padded, changes no bit: forward, gradients,
/// batch statistics, penalties, monitors.
TEST(Sources, PaddingChangesNoBit) {
  const Waves waves(40);
  Samples samples;
  const std::vector<std::uint32_t> ids{3, 8, 1, 20, 5, 6, 7, 31, 12, 9, 4, 17, 22, 2, 13, 30, 33, 35};
  waves.read(ids, samples);
  const std::size_t N = ids.size(), T = samples.values.shape()[1], F = 5, longer = T + 4;
  Tensor padded = random_tensor({N, longer, F}, 3, -2, 2);
  for (std::size_t n = 0; n < N; ++n) {
    const std::size_t L = samples.targets.lengths[n];
    std::copy_n(samples.values.data() + n * T * F, L * F, padded.data() + n * longer * F);
  }
  Sequential net = wave_net();
  const MembraneCrossEntropy loss;
  for (const bool training : {false, true}) {
    const PassResult a = pass(net, loss, samples.values, samples.targets, 1, training);
    const PassResult b = pass(net, loss, padded, samples.targets, 2, training);
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_TRUE(std::ranges::equal(a.scores.values(), b.scores.values()));
    EXPECT_EQ(a.gradients, b.gradients);
    ASSERT_EQ(a.activity.size(), b.activity.size());
    for (std::size_t i = 0; i < a.activity.size(); ++i) {
      EXPECT_EQ(a.activity[i].rate, b.activity[i].rate);
      EXPECT_EQ(a.activity[i].synops, b.activity[i].synops);
      EXPECT_EQ(a.activity[i].macs, b.activity[i].macs);
      EXPECT_EQ(a.activity[i].saturated, b.activity[i].saturated);
    }
    EXPECT_GT(a.activity[1].rate, 0) << "something must fire";
    double steps = 0;
    for (const std::uint32_t length : samples.targets.lengths) steps += length;
    EXPECT_DOUBLE_EQ(a.activity[0].macs, steps / static_cast<double>(N) * 60);
    if (training) continue;
    for (std::size_t n = 0; n < N; ++n) {  // each sample by itself
      Tensor one(Shape{1, samples.targets.lengths[n], F});
      std::ranges::copy(waves.sample(ids[n]), one.data());
      const PassResult alone = pass(net, loss, one, {.labels = {samples.targets.labels[n]}}, 1, false);
      EXPECT_TRUE(std::ranges::equal(alone.y.values(), a.y.values().subspan(n * T * 2, one.shape()[1] * 2)));
      EXPECT_TRUE(std::ranges::equal(alone.scores.values(), a.scores.values().subspan(n * 2, 2)));
    }
  }
}

/// The gradients of one sequence are the same bits with padding and alone, for every neuron.
TEST(Sources, PaddingChangesNoGradientOfAnyNeuron) {
  test::for_every_neuron(ATan{}, [&](const auto& options, const std::string& name) {
    SCOPED_TRACE(name);
    for (const bool recurrent : {false, true}) {
      Sequential net{Linear(4, 6)};
      if (recurrent) {
        net.add(std::make_shared<Recurrent>(6, RecurrentOptions{.neuron = options}));
      } else {
        net.add(std::make_shared<NeuronLayer>(options));
      }
      net.add(std::make_shared<Linear>(6, 2));
      const Tensor x = random_tensor({1, 7, 4}, 3, -1, 4), longer = random_tensor({1, 12, 4}, 4, -1, 4);
      Tensor padded = longer;
      std::copy_n(x.data(), x.size(), padded.data());
      const RateCrossEntropy loss;
      const PassResult a = pass(net, loss, x, {.labels = {1}}, 1, true);
      const PassResult b = pass(net, loss, padded, {.labels = {1}, .lengths = {7}}, 1, true);
      EXPECT_EQ(a.loss, b.loss);
      EXPECT_EQ(a.gradients, b.gradients);
    }
  });
}

TEST(Sources, ATrainingLearnsSequencesOfUnequalLength) {
  const Waves train(240), test(60, 2);
  History first;
  std::vector<std::vector<float>> weights;
  for (const std::size_t threads : {1, 2}) {
    Sequential net{Linear(5, 24), Recurrent(24, {.neuron = LIFOptions{}}), Linear(24, 2), LI{}};
    net.initialize(3);
    Trainer trainer{net,
                    Adam{{.lr = 5e-3f}},
                    MembraneCrossEntropy{{.readout = Readout::mean}},
                    {.batch = 20, .threads = threads}};
    const History history = trainer.fit(train, test, 12);
    EXPECT_GT(history.epochs.back().test_acc, 0.85);
    EXPECT_LT(history.epochs.back().train_loss, history.epochs.front().train_loss);
    std::vector<float> all;
    for (const NamedParameter& p : net.parameters())
      all.insert(all.end(), p.parameter->value.values().begin(), p.parameter->value.values().end());
    weights.push_back(all);
  }
  EXPECT_EQ(weights[0], weights[1]);
}

/// Pictures that a source reads are those that lie in memory, changed and encoded alike.
class ReadPictures final : public Source {
 public:
  explicit ReadPictures(const Dataset& data)
      : Source({.name = data.name,
                .size = data.size(),
                .kind = SampleKind::bytes,
                .shape = data.shape,
                .outputs = data.classes.size(),
                .classes = data.classes}),
        of_(data) {}
  std::size_t threads() const {
    const std::lock_guard lock(mutex_);
    return seen_.size();
  }

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override {
    of_.read(ids, samples);
    const std::lock_guard lock(mutex_);
    seen_.insert(std::this_thread::get_id());
  }

  PictureSource of_;
  mutable std::mutex mutex_;
  mutable std::set<std::thread::id> seen_;
};

TEST(Sources, PicturesThatAreReadTrainToTheSameBits) {
  const Dataset train = test::bars(90, 1), test = test::bars(45, 2);
  const auto run = [&](const Source& a, const Source& b, bool augmented) {
    Sequential net{Flatten{}, Linear(24, 3), LIF{}};
    TrainerParts parts{.optimizer = std::make_unique<Adam>(),
                       .loss = std::make_unique<RateMse>(),
                       .encoder = std::make_unique<Poisson>()};
    if (augmented) parts.augment = Augment{{.crop_padding = 1, .flip = true}};
    Trainer trainer(net, std::move(parts), {.steps = 8, .batch = 16, .threads = 2, .drop_last = false});
    const History history = trainer.fit(a, b, 2);
    const Evaluation evaluation = trainer.evaluate(b);
    const auto weights = net.parameters()[0].parameter->value.values();
    std::vector<float> all(weights.begin(), weights.end());
    all.push_back(static_cast<float>(history.epochs.back().test_loss));
    all.push_back(static_cast<float>(evaluation.loss));
    return all;
  };
  const ReadPictures read_train(train), read_test(test);
  for (const bool augmented : {false, true}) {
    const auto expected = run(PictureSource(train), PictureSource(test), augmented);
    EXPECT_EQ(run(read_train, read_test, augmented), expected);
  }
  EXPECT_GT(read_train.threads(), 1u) << "batches are read in another thread than the one that fits";
}

/// y = the mean of x over time, times 2.
class Line final : public Source {
 public:
  explicit Line(std::size_t size)
      : Source({.name = "line", .size = size, .kind = SampleKind::values, .shape = {1}, .outputs = 1}) {}

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override {
    samples.values.resize({ids.size(), 1});
    samples.targets.values.resize({ids.size(), 1});
    samples.targets.weights.assign(ids.size(), 2.0f);
    for (std::size_t n = 0; n < ids.size(); ++n) {
      const float x = static_cast<float>(ids[n] % 16) / 16;
      samples.values.data()[n] = x;
      samples.targets.values.data()[n] = 2 * x;
    }
  }
};

TEST(Sources, ATrainingLearnsARegression) {
  const Line line(64);
  Sequential net{Linear(1, 32), LIF{}, Linear(32, 1), LI{}};
  Trainer trainer{net, Adam{{.lr = 2e-2f}}, Mse{}, {.steps = 10, .batch = 16, .threads = 1}};
  const History history = trainer.fit(line, line, 40);
  EXPECT_LT(history.epochs.back().test_loss, 0.02);
  EXPECT_LT(history.epochs.back().test_loss, history.epochs.front().test_loss / 5);
  EXPECT_TRUE(std::isnan(history.epochs.back().test_acc));
  EXPECT_EQ(history.epochs.back().score(), -history.epochs.back().test_loss);
  const Evaluation evaluation = trainer.evaluate(line);
  EXPECT_TRUE(evaluation.predictions.empty());
  EXPECT_EQ(evaluation.scores.shape(), Shape({64, 1}));
  EXPECT_TRUE(std::isnan(evaluation.accuracy));
}

TEST(Sources, EarlyStoppingOfARegressionGoesByTheLoss) {
  const Line line(64);
  Sequential net{Linear(1, 4), LIF{}, Linear(4, 1), LI{}};
  Trainer trainer{
      net, Sgd{{.lr = 1e-30f}}, Mse{}, {.steps = 3, .batch = 64, .threads = 1, .early_stopping = 4}};
  const History history = trainer.fit(line, line, 100);
  EXPECT_TRUE(history.stopped_early);
  EXPECT_EQ(epochs_since_best(history.epochs), 4u);
}

TEST(Sources, ASubsetIsSomeOfTheSamples) {
  const auto waves = std::make_shared<Waves>(40);
  const Subset some(waves, {30, 2, 17}, "some");
  EXPECT_EQ(some.size(), 3u);
  EXPECT_EQ(some.info().name, "some");
  Samples a, b;
  some.read(std::vector<std::uint32_t>{2, 0}, a);
  waves->read(std::vector<std::uint32_t>{17, 30}, b);
  EXPECT_EQ(a.targets.labels, b.targets.labels);
  EXPECT_TRUE(std::ranges::equal(a.values.values(), b.values.values()));
  EXPECT_EQ(error_text([&] { Subset(waves, {3, 40}, "bad"); }), "[source] bad: samples must be < 40, got 40");
  EXPECT_EQ(error_text([&] { Subset(nullptr, {3}, "bad"); }),
            "[source] a subset must be of a source, got null");
}

/// Whatever a test says, for N samples.
class AnySource final : public Source {
 public:
  AnySource(SourceInfo info, std::function<void(Samples&, std::size_t)> fill)
      : Source(std::move(info)), fill_(std::move(fill)) {}

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override {
    fill_(samples, ids.size());
  }
  std::function<void(Samples&, std::size_t)> fill_;
};

TEST(Sources, AreHeldToWhatTheySay) {
  const std::vector<std::uint32_t> two{0, 1};
  const auto text = [&](const SourceInfo& info, const std::function<void(Samples&, std::size_t)>& fill) {
    return error_text([&] {
      Samples samples;
      AnySource(info, fill).read(two, samples);
    });
  };
  const SourceInfo values{.name = "own", .size = 9, .shape = {3}};
  SourceInfo sequences = values;
  sequences.kind = SampleKind::sequences;
  sequences.steps = 4;
  const auto three = [](Samples& s, std::size_t N) { s.values.resize({N, 3}); };
  EXPECT_EQ(text(values,
                 [](Samples& s, std::size_t N) {
                   s.values.resize({N, 4});
                 }),
            "[source] own: values must be (2, 3), got (2, 4)");
  EXPECT_EQ(text(sequences,
                 [](Samples& s, std::size_t N) {
                   s.values.resize({N, 5, 3});
                 }),
            "[source] own: a batch must have 1 to 4 steps, got (2, 5, 3)");
  EXPECT_EQ(text(sequences,
                 [](Samples& s, std::size_t N) {
                   s.values.resize({N, 4, 3});
                   s.targets.lengths = {4, 5};
                 }),
            "[source] own: lengths must be 1 to 4, got 5");
  EXPECT_EQ(text(sequences,
                 [](Samples& s, std::size_t N) {
                   s.values.resize({N, 4, 3});
                   s.targets.mask.assign(N * 3, 1);
                 }),
            "[source] own: mask must be one for each of 4 steps of 2 samples, got 6");
  EXPECT_EQ(text(values,
                 [&](Samples& s, std::size_t N) {
                   three(s, N);
                   s.targets.labels = {1};
                 }),
            "[source] own: labels must be one for each of 2 samples, got 1");
  EXPECT_EQ(error_text([] { AnySource({.name = "own", .size = 2, .shape = {}}, {}); }),
            "[source] own: the shape of a sample must have 1 to 6 dimensions, none of them 0, got ()");
  EXPECT_EQ(error_text([&] {
              Samples samples;
              AnySource(values, three).read(std::vector<std::uint32_t>{9}, samples);
            }),
            "[source] own: samples must be < 9, got 9");
  // A source that throws ends the fit with its error, and the trainer can go on with another.
  const AnySource broken(values, [](Samples&, std::size_t) { throw Error("the disk has gone"); });
  const Line line(64);
  Sequential net{Linear(3, 1), LI{}};
  Trainer trainer{net, Sgd{}, Mse{}, {.steps = 2, .batch = 2, .threads = 2}};
  EXPECT_EQ(error_text([&] { trainer.fit(broken, broken, 1); }), "the disk has gone");
  const AnySource whole(values, [&](Samples& s, std::size_t N) {
    three(s, N);
    s.values.zero();
    s.targets.values.resize({N, 1});
    s.targets.values.zero();
  });
  EXPECT_NO_THROW(trainer.fit(whole,
                              AnySource({.name = "even", .size = 2, .shape = {3}},
                                        [&](Samples& s, std::size_t N) {
                                          three(s, N);
                                          s.values.zero();
                                          s.targets.values.resize({N, 1});
                                          s.targets.values.zero();
                                        }),
                              1));
}

TEST(Sources, WhatCannotBeTrainedIsSaid) {
  const Waves waves(40);
  Sequential net{Linear(5, 2), LIF{}};
  const auto fit = [&](std::unique_ptr<Encoder> encoder, const Source& source, AugmentOptions augment = {}) {
    return error_text([&] {
      Trainer trainer(net,
                      {.optimizer = std::make_unique<Sgd>(),
                       .loss = std::make_unique<RateMse>(),
                       .encoder = std::move(encoder),
                       .augment = Augment(augment)},
                      {.batch = 4, .threads = 1});
      trainer.fit(source, source, 1);
    });
  };
  EXPECT_EQ(fit(std::make_unique<Poisson>(), waves),
            "[poisson] takes samples without steps, to which it gives theirs, got samples with steps");
  EXPECT_EQ(fit(std::make_unique<Direct>(), waves, {.flip = true}),
            "[trainer] waves: augmentation is for pictures");
  const AnySource events({.name = "dvs", .size = 4, .kind = SampleKind::events, .shape = {2, 8, 8}}, {});
  EXPECT_EQ(fit(std::make_unique<Direct>(), events),
            "[trainer] dvs: samples must be bytes, values, sequences or spikes, got events");
  const AnySource values({.name = "own", .size = 8, .shape = {5}}, [](Samples& s, std::size_t N) {
    s.values.resize({N, 5});
    s.values.zero();
    s.targets.labels.assign(N, 1);
  });
  EXPECT_EQ(fit(std::make_unique<Latency>(), values), "[latency] takes pictures of bytes, got real values");
}

TEST(Sources, SpikesAndValuesOfAnyEncoderTrain) {
  const AnySource spikes(
      {.name = "spikes", .size = 8, .kind = SampleKind::spikes, .shape = {6}, .steps = 5},
      [](Samples& s, std::size_t N) {
        s.spikes = Spikes::from_bytes({N, 5, 6}, test::Random(2).spikes<std::uint8_t>(N * 30, 0.5));
        s.targets.labels.assign(N, 2);
        s.targets.lengths.assign(N, 3);
      });
  Sequential net{Linear(6, 3), LIF{}};
  Trainer trainer{net, Adam{}, RateMse{}, {.batch = 4, .threads = 2}};
  const History history = trainer.fit(spikes, spikes, 2);
  EXPECT_EQ(history.epochs.size(), 2u);
  EXPECT_EQ(history.epochs.back().activity[0].layer, "input");
  const AnySource values({.name = "values", .size = 8, .shape = {6}}, [](Samples& s, std::size_t N) {
    s.values = random_tensor({N, 6}, 1, 0, 1);
    s.targets.labels.assign(N, 2);
  });
  Trainer rates{net, Adam{}, RateMse{}, Poisson{}, {.steps = 12, .batch = 4, .threads = 2}};
  EXPECT_EQ(rates.fit(values, values, 1).epochs.size(), 1u);
}

}  // namespace
}  // namespace volley

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "pictures.hpp"

namespace volley {
namespace {

using test::refusal;
using test::shades;
using test::weights_of;

Sequential network(std::size_t hidden = 12) {
  Sequential net{Flatten{}, Linear{16, hidden}, BatchNorm{hidden}, LIF{}, Linear{hidden, 3}, LIF{}};
  net.initialize(2);
  return net;
}

TrainerParts parts_with(const AugmentOptions& augment = {}, const Schedule& schedule = ConstantSchedule{}) {
  return {.optimizer = std::make_unique<Adam>(5e-3f),
          .loss = std::make_unique<RateMse>(),
          .encoder = std::make_unique<Poisson>(),
          .augment = Augment(augment),
          .schedule = schedule};
}

const TrainerOptions kOptions{.steps = 6, .batch = 10, .seed = 4, .threads = 2};

/// Calls what it is given in every callback.
class Asker final : public Recorder {
 public:
  using Ask = std::function<void(const char* where)>;
  explicit Asker(Ask ask) : ask_(std::move(ask)) {}

  void begin(std::size_t, std::size_t, std::size_t) override { ask_("begin"); }
  void iteration(const IterationRecord&, Trainer&) override { ask_("iteration"); }
  void test_batch(std::size_t, std::size_t) override { ask_("test_batch"), within_ = true; }
  void epoch(const EpochRecord&, Trainer&) override { ask_("epoch"); }
  bool stop() override {
    ask_(within_ ? "stop of an evaluation" : "stop");
    within_ = false;
    return false;
  }

 private:
  Ask ask_;
  bool within_ = false;
};

TEST(PublicTrainer, EvaluatingBetweenStepsChangesNoBit) {
  const Dataset train = shades(60, 3), test = shades(25, 3), other = shades(33, 3);
  const auto trained = [&](bool asks, const AugmentOptions& augment) {
    Sequential net = network();
    Trainer trainer(net, parts_with(augment), kOptions);
    std::size_t evaluations = 0, refused = 0;
    std::vector<double> seen;
    Asker asker([&](const char* where) {
      if (!asks) return;
      try {
        const Evaluation evaluation = trainer.evaluate(other, 5);
        ++evaluations;
        if (std::string(where) == "epoch") seen.push_back(evaluation.loss);
        EXPECT_EQ(evaluation.scores.shape(), (Shape{33, 3}));
      } catch (const ArgumentError&) {
        ++refused;
        EXPECT_NE(std::string(where).find("test_batch") != std::string::npos ||
                      std::string(where).find("evaluation") != std::string::npos,
                  false)
            << where;
      }
    });
    const History history = trainer.fit(train, test, 2, &asker);
    if (asks) {
      EXPECT_EQ(evaluations, 1u + 2u * (6 + 6 + 1));  // begin; iteration and stop of each step; epoch
      EXPECT_EQ(refused, 2u * 2u * 3u);               // test_batch and stop of each batch
      EXPECT_EQ(seen.back(), trainer.evaluate(other, 5).loss);
    }
    std::vector<float> all = weights_of(net);
    for (const NamedTensor& b : net.buffers()) {
      all.insert(all.end(), b.tensor->values().begin(), b.tensor->values().end());
    }
    return std::pair(all, history.epochs.back().test_loss);
  };
  for (const AugmentOptions& augment : {AugmentOptions{}, AugmentOptions{.crop_padding = 1, .flip = true}}) {
    EXPECT_EQ(trained(true, augment), trained(false, augment));
  }
}

TEST(PublicTrainer, FitAndSetPositionWithinAFitAreErrors) {
  const Dataset data = shades(30, 3);
  Sequential net = network();
  Trainer trainer(net, parts_with(), kOptions);
  std::size_t calls = 0;
  Asker asker([&](const char*) {
    ++calls;
    EXPECT_EQ(refusal([&] { trainer.fit(data, data, 1); }),
              "[trainer] fit must not be called within a fit or an evaluation");
    EXPECT_EQ(refusal([&] { trainer.set_position({}); }),
              "[trainer] set_position must not be called within a fit");
  });
  EXPECT_EQ(trainer.fit(data, data, 1, &asker).epochs.size(), 1u);
  EXPECT_GT(calls, 10u);
  trainer.evaluate(data, 0, &asker);
  // An exception of a callback leaves a trainer that can go on.
  Asker thrower([](const char* where) {
    if (std::string(where) == "iteration") throw std::runtime_error("enough");
  });
  EXPECT_THROW(trainer.fit(data, data, 1, &thrower), std::runtime_error);
  EXPECT_EQ(trainer.fit(data, data, 1).epochs.size(), 1u);
}

/// A rule that asks for an evaluation in the middle of a step.
class Meddling final : public LearningRule {
 public:
  Trainer* trainer = nullptr;
  const Dataset* data = nullptr;
  std::string_view kind() const override { return "meddling"; }
  void gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) override {
    EXPECT_EQ(refusal([&] { trainer->evaluate(*data); }),
              "[trainer] evaluate must not be called within a step or another evaluation");
    bptt_.gradients(net, loss, batch, tape);
  }

 private:
  Bptt bptt_;
};

TEST(PublicTrainer, EvaluatingWithinAStepIsAnError) {
  const Dataset data = shades(20, 3);
  Sequential net = network();
  TrainerParts parts = parts_with();
  auto rule = std::make_unique<Meddling>();
  Meddling& meddling = *rule;
  parts.rule = std::move(rule);
  Trainer trainer(net, std::move(parts), kOptions);
  meddling.trainer = &trainer;
  meddling.data = &data;
  trainer.fit(data, data, 1);
}

TEST(PublicTrainer, TrainsTheNetworkThatTookTheFirstOnesPlace) {
  const Dataset data = shades(30, 3);
  Sequential net = network();
  Trainer trainer(net, parts_with(), kOptions);
  trainer.fit(data, data, 1);
  net = network();
  const std::vector<float> before = weights_of(net);
  trainer.fit(data, data, 1);
  EXPECT_NE(weights_of(net), before);
  net = network(7);
  EXPECT_EQ(refusal([&] { trainer.fit(data, data, 1); }),
            "[adam] every step must be given the same parameters: '1.weight' (12, 16) at first, got "
            "'1.weight' (7, 16)");
  EXPECT_EQ(trainer.evaluate(data).predictions.size(), 30u);
  net = Sequential{Flatten{}, Linear{16, 2}};
  EXPECT_EQ(refusal([&] { trainer.evaluate(data); }),
            "[trainer] shades: the network's output must be one score for each of 3 classes, got (2)");
}

TEST(PublicTrainer, RefusesNullParts) {
  Sequential net = network();
  const auto without = [&](const auto& take) {
    TrainerParts parts = parts_with();
    take(parts);
    return refusal([&] { Trainer(net, std::move(parts)); });
  };
  EXPECT_EQ(without([](TrainerParts& p) { p.optimizer = nullptr; }), "[trainer] optimizer must not be null");
  EXPECT_EQ(without([](TrainerParts& p) { p.loss = nullptr; }), "[trainer] loss must not be null");
  EXPECT_EQ(without([](TrainerParts& p) { p.encoder = nullptr; }), "[trainer] encoder must not be null");
  EXPECT_EQ(without([](TrainerParts& p) { p.rule = nullptr; }), "[trainer] rule must not be null");
}

TEST(PublicTrainer, RefusesSetsThatDoNotFit) {
  const Dataset good = shades(30, 3);
  Sequential net = network();
  Trainer trainer(net, parts_with(), kOptions);
  Dataset bad = good;
  bad.labels[7] = 9;
  const std::string text = "[dataset] shades: labels must be < 3, the number of classes, got 9 for picture 7";
  EXPECT_EQ(refusal([&] { trainer.fit(bad, good, 1); }), text);
  EXPECT_EQ(refusal([&] { trainer.fit(good, bad, 1); }), text);
  EXPECT_EQ(refusal([&] { trainer.fit({good, good, bad}, 1); }), text);
  EXPECT_EQ(refusal([&] { trainer.evaluate(bad); }), text);
  bad.classes.clear();  // no names: the network's outputs are what labels must be below
  EXPECT_EQ(refusal([&] { trainer.evaluate(bad); }),
            "[trainer] shades: the network's output must be one score for each of 10 classes, got (3)");
  EXPECT_EQ(refusal([&] { trainer.evaluate(good, std::size_t{1} << 32); }),
            "[trainer] epoch must be >= 0 and <= 16777215, got 4294967296");
  EXPECT_NE(refusal([&] { trainer.fit(good, good, std::size_t{1} << 24); }), "no exception");
}

TEST(PublicTrainer, ALearningRateThatACallbackSetsHolds) {
  const Dataset data = shades(30, 3);
  const auto trained = [&](bool frozen, const Schedule& schedule) {
    Sequential net = network();
    Trainer trainer(net, parts_with({}, schedule), kOptions);
    std::vector<float> after_first;
    Asker asker([&](const char* where) {
      if (std::string(where) != "iteration" || !after_first.empty()) return;
      after_first = weights_of(net);
      if (frozen) trainer.optimizer().set_lr(0);
    });
    trainer.fit(data, data, 1, &asker);
    return weights_of(net) == after_first;
  };
  EXPECT_TRUE(trained(true, ConstantSchedule{}));
  EXPECT_FALSE(trained(false, ConstantSchedule{}));
  EXPECT_FALSE(trained(true, StepSchedule{{}, 1, 0.5})) << "the schedule has set another since";
  Adam adam;
  EXPECT_EQ(refusal([&] { adam.set_lr(-1); }), "[adam] lr must be >= 0, got -1");
}

/// A network that is no Sequential.
class Wrapped final : public Layer {
 public:
  explicit Wrapped(Sequential inner) : inner_(std::move(inner)) {}
  std::string_view kind() const override { return "wrapped"; }
  Shape output_shape(const Shape& features) const override { return inner_.output_shape(features); }

 private:
  Form reads(const Shape&) const override {
    return {.values = Form::Values::any, .layout = {}, .constant = true};
  }
  Signal do_forward(const Signal& x, Tape& tape) const override { return inner_.forward(x, tape.child(0)); }
  Signal do_backward(Tape& tape, const Signal& dy) override { return inner_.backward(tape.child(0), dy); }
  std::vector<NamedLayer> do_children() override { return {{"inner", &inner_}}; }

  Sequential inner_;
};

TEST(PublicTrainer, TakesAnyLayer) {
  const Dataset data = shades(30, 3);
  Sequential net = network();
  Wrapped wrapped(network());
  Trainer(net, parts_with(), kOptions).fit(data, data, 1);
  Trainer(wrapped, parts_with(), kOptions).fit(data, data, 1);
  EXPECT_EQ(weights_of(wrapped), weights_of(net));
  TrainerParts article = parts_with();
  article.rule = std::make_unique<ArticleRule>();
  EXPECT_NE(refusal([&] { Trainer(wrapped, std::move(article)); }), "no exception");
}

// The bits of a training on pictures that were all changed before its first step.
TEST(PublicTrainer, AugmentsByBatchWithTheBitsOfTheWholeSet) {
  const Dataset data = shades(43, 3);
  const AugmentOptions options{.crop_padding = 2, .flip = true};
  const auto trained = [&](const Dataset& train, const AugmentOptions& augment, std::size_t threads) {
    Sequential net = network();
    TrainerOptions with_threads = kOptions;
    with_threads.threads = threads;
    Trainer(net, parts_with(augment), with_threads).fit(train, data, 1);
    return weights_of(net);
  };
  std::vector<std::uint32_t> all(data.size());
  for (std::uint32_t n = 0; n < all.size(); ++n) all[n] = n;
  Dataset changed;
  Augment(options).apply(changed, data, all, {.seed = kOptions.seed, .epoch = 1}, ThreadPool::shared());
  const std::vector<float> expected = trained(changed, {}, 1);
  for (const std::size_t threads : {1u, 2u, 3u}) EXPECT_EQ(trained(data, options, threads), expected);
  EXPECT_NE(trained(data, {}, 1), expected);
}

TEST(PublicTrainer, TheValidationSetHasDrawsOfItsOwn) {
  const Dataset data = shades(30, 3);
  Sequential net{Flatten{}, Linear{16, 3}, LI{}};
  Trainer trainer{net, Adam{}, MembraneMse{}, Poisson{}, kOptions};
  const Evaluation as_test = trainer.evaluate(data, 1);
  const Evaluation held_out = trainer.evaluate(data, 1, nullptr, Draw::Purpose::validation);
  EXPECT_FALSE(std::ranges::equal(as_test.scores.values(), held_out.scores.values()));
  const History history = trainer.fit({data, data, data}, 1);
  ASSERT_TRUE(history.epochs[0].validation.has_value());
  EXPECT_EQ(history.epochs[0].validation->loss,
            trainer.evaluate(data, 1, nullptr, Draw::Purpose::validation).loss);
  EXPECT_EQ(history.epochs[0].test_loss, trainer.evaluate(data, 1).loss);
  // Evaluation has no part in training, whatever it draws for.
  const std::vector<float> before = weights_of(net);
  trainer.evaluate(data, 1, nullptr, Draw::Purpose::train);
  EXPECT_EQ(weights_of(net), before);
}

std::string step_refusal(Optimizer& optimizer, const std::vector<NamedParameter>& parameters) {
  return refusal([&] { optimizer.step(parameters, ThreadPool::shared()); });
}

/// w -= lr sign(g).
class Signs final : public Optimizer {
 public:
  Signs() : Optimizer(0.5f) {}
  std::string_view kind() const override { return "signs"; }
  std::vector<NamedTensor> state() override { return {}; }

 private:
  void do_prepare(const std::vector<NamedParameter>&) override {}
  void do_step(const std::vector<NamedParameter>& parameters, const Device&) override {
    for (const NamedParameter& p : parameters) {
      for (std::size_t i = 0; i < p.parameter->value.size(); ++i) {
        p.parameter->value.data()[i] -= lr() * (p.parameter->gradient.data()[i] > 0 ? 1.0f : -1.0f);
      }
    }
  }
};

TEST(PublicOptimizer, RefusesOtherParameters) {
  Adam adam;
  Sgd sgd{0.1f, {.momentum = 0.9f}};
  Signs signs;
  for (Optimizer* optimizer : std::initializer_list<Optimizer*>{&adam, &sgd, &signs}) {
    const std::string kind = "[" + std::string(optimizer->kind()) + "] ";
    SCOPED_TRACE(kind);
    Parameter w(Shape{2, 3}), same(Shape{2, 3}), other(Shape{4});
    EXPECT_EQ(step_refusal(*optimizer, {{"w", nullptr}}), kind + "parameter 'w' must not be null");
    EXPECT_EQ(step_refusal(*optimizer, {{"w", &w}}), "no exception");
    EXPECT_EQ(step_refusal(*optimizer, {{"w", &same}}), "no exception") << "where it lives is of no matter";
    const std::string rule = kind + "every step must be given the same parameters: ";
    EXPECT_EQ(step_refusal(*optimizer, {}), rule + "1 at first, got 0");
    EXPECT_EQ(step_refusal(*optimizer, {{"v", &w}}), rule + "'w' (2, 3) at first, got 'v' (2, 3)");
    EXPECT_EQ(step_refusal(*optimizer, {{"w", &other}}), rule + "'w' (2, 3) at first, got 'w' (4)");
    w.gradient.resize({2});
    EXPECT_EQ(step_refusal(*optimizer, {{"w", &w}}), kind + "the gradient of 'w' must be (2, 3), got (2)");
    EXPECT_EQ(optimizer->steps_taken(), 2u);
  }
}

TEST(PublicOptimizer, ClippingRefusesWhatItCannotDo) {
  Parameter w(Shape{2});
  ThreadPool& threads = ThreadPool::shared();
  EXPECT_NE(refusal([&] { gradient_norm({{"w", nullptr}}); }), "no exception");
  EXPECT_NE(refusal([&] { clip_gradient_norm({{"w", &w}}, 0, 1, threads); }), "no exception");
  EXPECT_NE(refusal([&] { clip_gradient_value({{"w", &w}}, -1, threads); }), "no exception");
  w.gradient.resize({1});
  EXPECT_NE(refusal([&] { clip_gradient_value({{"w", &w}}, 1, threads); }), "no exception");
}

TEST(PublicOptimizer, OfANewKindTrains) {
  const Dataset data = shades(30, 3);
  Sequential net = network();
  const std::vector<float> before = weights_of(net);
  Trainer trainer{net, Signs{}, RateMse{}, Poisson{}, kOptions};
  trainer.fit(data, data, 1);
  EXPECT_NE(weights_of(net), before);
}

}  // namespace
}  // namespace volley

#include <algorithm>
#include <utility>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

/// A training that can be made again and again: the same each time.
struct Training {
  std::uint64_t draw;  // of the network and its parts
  Shape picture;
  Dataset train, test;
  TrainerOptions options;
};

struct Outcome {
  std::vector<std::vector<float>> tensors;
  History history;
};

/// Evaluates, asks and changes from inside a training.
class Meddler final : public Recorder {
 public:
  Meddler(Program& p, const Dataset& other, std::size_t stop_after)
      : p_(p), other_(other), stop_after_(stop_after) {}

  void begin(std::size_t, std::size_t, std::size_t) override { p_.count("Recorder::begin"); }
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    p_.count("Recorder::iteration");
    p_.check(record.epoch > 0, "records count from 1");
    if (evaluates) {
      p_.must("Trainer::evaluate", "trainer.evaluate(other);  // in Recorder::iteration",
              [&] { trainer.evaluate(other_, 0); });
    }
    ++steps_;
  }
  void test_batch(std::size_t, std::size_t) override { p_.count("Recorder::test_batch"); }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    p_.count("Recorder::epoch");
    p_.count("EpochRecord::score");
    p_.check(record.score() >= 0 && record.score() <= 1, "EpochRecord::score is a share");
    if (evaluates) trainer.evaluate(other_);
  }
  bool stop() override {
    p_.count("Recorder::stop");
    return steps_ == stop_after_;
  }
  bool evaluates = false;

 private:
  Program& p_;
  const Dataset& other_;
  std::size_t stop_after_;
  std::size_t steps_ = 0;
};

template <class Options>
void set_patience(Options& options, std::size_t epochs) {
  if constexpr (requires { options.early_stopping; }) options.early_stopping = epochs;
}

Network training_net(Program& p, const Training& training, const Encoder& encoder, bool spikes) {
  Place at{
      .features = encoder.output_shape(training.picture), .spikes = spikes, .steps = training.options.steps};
  Network network = draw_net(p, "net", at, p.random.between(0, 2));
  p.must("Graph::add", "net.add(Flatten{});", [&] { network.net.add(std::make_unique<Flatten>()); });
  const std::size_t in = network.made.features.size();
  const std::size_t out = training.train.classes.size();
  p.must("Graph::add", cat("net.add(Linear{", in, ", ", out, "});"),
         [&] { network.net.add(std::make_unique<Linear>(in, out)); });
  if (p.random.chance(0.6))
    p.must("Graph::add", "net.add(LIF{});", [&] { network.net.add(std::make_unique<LIF>()); });
  initialize(network.net, 1);
  return network;
}

Outcome outcome_of(Program& p, Layer& net, History history) {
  p.count("epochs_since_best");
  p.check(history.epochs.empty() || epochs_behind(history.epochs) < history.epochs.size(),
          "an epoch is the best of them");
  Outcome outcome;
  for (const NamedTensor& named : named_tensors(net)) {
    const auto values = named.tensor->values();
    outcome.tensors.emplace_back(values.begin(), values.end());
  }
  outcome.history = std::move(history);
  return outcome;
}

/// The training on `threads` threads; `use` says what happens beside it.
enum class Use { plain, evaluating, stopped };
bool run_training(Program& p, const Training& training, std::size_t threads, Use use, Outcome& outcome) {
  const Random before = p.random;
  p.random = Random(training.draw);
  TrainerOptions options = training.options;
  options.threads = threads;
  std::string encoder_text, optimizer_text;
  std::unique_ptr<Encoder> encoder = draw_encoder(p, training.picture, options.steps, encoder_text, 0);
  bool worked = encoder != nullptr;
  if (worked) {
    const std::string_view kind = encoder->kind();
    Training shaped = training;
    shaped.options = options;
    Network network = training_net(p, shaped, *encoder, kind != "direct" && kind != "rows");
    DrawnLoss loss = draw_loss(p, 0);
    std::unique_ptr<Optimizer> optimizer = draw_optimizer(p, 0, optimizer_text);
    AugmentOptions augment{.flip = p.random.chance(0.3)};
    TrainerParts parts{.optimizer = std::move(optimizer),
                       .loss = std::move(loss.loss),
                       .encoder = std::move(encoder),
                       .augment = Augment(augment)};
    worked = p.may("Trainer::fit",
                   cat("Trainer(net, ", optimizer_text, ", ", loss.text, ", ", encoder_text, ", {",
                       fields_text(options), "}).fit(train, test, 2);"),
                   [&] {
                     p.count("Trainer::Trainer");
                     Trainer trainer(network.net, std::move(parts), options);
                     Meddler meddler(p, training.test, use == Use::stopped ? 1 : ~std::size_t{0});
                     meddler.evaluates = use == Use::evaluating;
                     History history = trainer.fit(training.train, training.test, 2, &meddler);
                     if (use == Use::stopped) {
                       p.check(history.stopped, "a training stops where its recorder says so");
                       history = trainer.fit(training.train, training.test, 2 - history.epochs.size());
                     }
                     for (const char* name : {"Trainer::position", "Trainer::options", "Trainer::threads",
                                              "Trainer::device", "Trainer::net", "Trainer::optimizer"})
                       p.count(name);
                     p.check(trainer.position().epoch == 3, "position after two epochs");
                     p.check(trainer.threads() >= 1 && trainer.device().name() == "cpu" &&
                                 &trainer.net() == &network.net,
                             "parts of a trainer");
                     outcome = outcome_of(p, network.net, std::move(history));
                   });
  }
  p.random = before;
  return worked;
}

void expect_same(Program& p, const Outcome& got, const Outcome& expected, const std::string& key) {
  p.check(got.tensors.size() == expected.tensors.size(), key);
  for (std::size_t i = 0; i < got.tensors.size(); ++i)
    p.check(same_values(got.tensors[i], expected.tensors[i]), key,
            difference(got.tensors[i], expected.tensors[i]));
}

/// Many outputs: classes beyond those of a byte.
void check_predictions(Program& p) {
  const std::size_t classes = p.random.one_of<std::size_t>({3, 256, 257, 300});
  Sequential net{Flatten{}, Linear{4, classes, {.bias = true}}};
  const std::size_t most = p.random.below(classes);
  p.say(
      cat("Sequential net{Flatten{}, Linear{4, ", classes, "}};  // weights 0, the bias of ", most, " is 1"));
  for (const NamedParameter& named : net.parameters()) named.parameter->value.zero();
  net.parameters()[1].parameter->value.data()[most] = 1;
  const Dataset data = draw_dataset(p, "data", {1, 2, 2}, 3, std::min<std::size_t>(classes, 200));
  p.must("Trainer::evaluate", "Trainer(net, Sgd{}, MembraneMse{}, Poisson{}, {.steps = 2}).evaluate(data);",
         [&] {
           Trainer trainer(net, Sgd{}, MembraneMse{}, Poisson{}, {.steps = 2, .batch = 2, .threads = 1});
           const Evaluation evaluation = trainer.evaluate(data);
           for (const auto prediction : evaluation.predictions)
             p.check(prediction == most, "predictions are classes", cat(prediction, ", not ", most));
         });
}

/// The network changed, moved or exchanged under its trainer.
void check_exchange(Program& p) {
  Sequential net{Flatten{}, Linear{4, 2}, LIF{}};
  const Dataset data = draw_dataset(p, "data", {1, 2, 2}, 4, 2);
  const bool larger = p.random.chance(0.5);
  p.say("Trainer trainer(net, Sgd{0.1f}, RateMse{}, Poisson{}, {.steps = 3, .batch = 2});");
  Trainer trainer(net, Sgd{0.1f}, RateMse{}, Poisson{}, {.steps = 3, .batch = 2, .threads = 1});
  p.say(larger ? "net = Sequential{Flatten{}, Linear{4, 7}, LIF{}, Linear{7, 2}, LIF{}};"
               : "net = Sequential{Flatten{}, Linear{4, 2}, LIF{}};");
  net = larger ? Sequential{Flatten{}, Linear{4, 7}, LIF{}, Linear{7, 2}, LIF{}}
               : Sequential{Flatten{}, Linear{4, 2}, LIF{}};
  p.may("Trainer::fit", "trainer.fit(data, data, 1);", [&] { trainer.fit(data, data, 1); });
  if (p.random.chance(0.5)) {
    p.say("net.add(Double{});");
    net.add(std::make_unique<Dropout>());
    p.may("Trainer::fit", "trainer.fit(data, data, 1);", [&] { trainer.fit(data, data, 1); });
  }
}

void check_misuse(Program& p) {
  Sequential net{Flatten{}, Linear{4, 2}, LIF{}};
  Dataset data = draw_dataset(p, "data", {1, 2, 2}, 4, 2);
  TrainerOptions options{.steps = 2, .batch = 2, .threads = 1};
  if (p.random.chance(0.5)) draw_fields(p, options, 0.1);
  options.threads = std::min<std::size_t>(options.threads, 3);
  options.steps = std::min<std::size_t>(options.steps, 16);
  Dataset broken = data;
  switch (p.random.below(6)) {
    case 0: broken.labels[0] = 9; break;
    case 1: broken.labels.push_back(0); break;
    case 2: broken.pixels.resize(broken.pixels.size() / 2); break;
    case 3: broken = Dataset{}; break;
    case 4: broken.shape = {1, 4, 1}; break;
    default: broken.classes.resize(1);
  }
  p.may("Trainer::Trainer", cat("Trainer(net, Adam{}, RateMse{}, Poisson{}, ", fields_text(options), ");"),
        [&] {
          Trainer trainer(net, Adam{}, RateMse{}, Poisson{}, options);
          p.may("Trainer::evaluate", "trainer.evaluate(broken);", [&] { trainer.evaluate(broken); });
          p.may("Trainer::fit", "trainer.fit(broken, data, 1);", [&] { trainer.fit(broken, data, 1); });
          p.may("Trainer::fit", "trainer.fit(Split{data, broken}, 1);", [&] {
            trainer.fit(Split{data, data, broken}, 1);
          });
          TrainerPosition position;
          draw_fields(p, position, 0.2);
          p.may("Trainer::set_position", cat("trainer.set_position(", fields_text(position), ");"),
                [&] { trainer.set_position(position); });
          p.may("Trainer::fit", "trainer.fit(data, data, 1);", [&] { trainer.fit(data, data, 1); });
          p.may("Trainer::fit", "trainer.fit(data, data, 0);", [&] { trainer.fit(data, data, 0); });
        });
}

void check_rules(Program& p) {
  Sequential net{Flatten{}, Linear{4, 2, {.bias = false}}, SoftLIF{}};
  if (p.random.chance(0.4)) net.add(std::make_unique<Dropout>());
  const Dataset data = draw_dataset(p, "data", {1, 2, 2}, 4, 2);
  TrainerParts parts{.optimizer = std::make_unique<Sgd>(),
                     .loss = std::make_unique<RateMse>(),
                     .encoder = std::make_unique<Poisson>()};
  parts.rule = std::make_unique<ArticleRule>();
  p.may("LearningRule::gradients", "Trainer(net, {..., ArticleRule}).fit(data, data, 1);", [&] {
    p.count("LearningRule::check");
    p.count("LearningRule::kind");
    Trainer trainer(net, std::move(parts), {.steps = 2, .batch = 2, .threads = 1});
    trainer.fit(data, data, 1);
  });
}

}  // namespace

void trainer_scene(Program& p) {
  const std::size_t classes = p.random.between(2, 4);
  Training training{.draw = p.random.bits(),
                    .picture = {p.random.between(1, 2), p.random.between(1, 4), p.random.between(1, 4)}};
  training.train = draw_dataset(p, "train", training.picture, p.random.between(3, 7), classes);
  training.test = draw_dataset(p, "test", training.picture, p.random.between(1, 4), classes);
  training.options = {.steps = p.random.between(1, 5),
                      .batch = p.random.between(1, 3),
                      .seed = 3,
                      .drop_last = p.random.chance(0.5)};
  training.options.on_non_finite = p.random.chance(0.5) ? OnNonFinite::stop : OnNonFinite::skip;
  training.options.monitors = p.random.chance(0.5);
  set_patience(training.options, p.random.below(3));
  if (p.random.chance(0.3)) training.options.clip_norm = 0.5f;
  if (p.random.chance(0.6)) {
    Outcome one, other;
    const bool worked = run_training(p, training, 1, Use::plain, one);
    const Use use = p.random.one_of({Use::plain, Use::evaluating, Use::stopped});
    const std::size_t threads = use == Use::plain ? p.threads() : p.random.between(1, 2);
    const bool again = run_training(p, training, threads, use, other);
    p.check(worked == again, "a training works for any number of threads and with any recorder");
    if (worked) {
      static constexpr const char* kKeys[] = {"a training has the same bits for any number of threads",
                                              "evaluate in a recorder changes no training",
                                              "a training that was stopped goes on with the same bits"};
      expect_same(p, other, one, kKeys[static_cast<std::size_t>(use)]);
    }
  }
  if (p.random.chance(0.3)) check_predictions(p);
  if (p.random.chance(0.3)) check_exchange(p);
  if (p.random.chance(0.3)) check_misuse(p);
  if (p.random.chance(0.2)) check_rules(p);
}

}  // namespace volley::test

#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <volley/augment.hpp>
#include <volley/dataset.hpp>
#include <volley/encoder.hpp>
#include <volley/layer.hpp>
#include <volley/loss.hpp>
#include <volley/optimizer.hpp>
#include <volley/recorder.hpp>
#include <volley/rule.hpp>
#include <volley/schedule.hpp>
#include <volley/source.hpp>

namespace volley {

class BatchWalk;
struct Batch;

/// What becomes of a step whose loss or gradient is infinite or not a number.
enum class OnNonFinite {
  stop,  // the training ends with an Error that names the parameter and the likely cause
  skip,  // the parameters stay as they are, and the batch counts in no mean
};

/// How a training goes, apart from its parts.
struct TrainerOptions {
  std::size_t steps = 100;          // T, where samples have no steps of their own
  std::size_t batch = 64;           // samples
  std::uint32_t seed = 0;           // of the shuffling and of the encoder; the weights are the network's own
  std::size_t threads = 0;          // of the host; 0: one per processor
  std::string device = "cpu";       // as Device takes it; changes no result
  bool drop_last = true;            // whether an incomplete last batch is left out of training
  std::optional<float> clip_norm;   // the most that the norm of all gradients together may be
  std::optional<float> clip_value;  // the most that the size of each may be; not both
  OnNonFinite on_non_finite = OnNonFinite::stop;
  bool monitors = true;            // whether evaluations count what the layers do (monitor.hpp)
  std::size_t early_stopping = 0;  // a fit ends after this number of epochs without a better score; 0: never

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("steps", self.steps, between(1, 65536));
    visit("batch", self.batch, between(1, 65536));
    visit("seed", self.seed, between(0, 4294967295.0));
    visit("threads", self.threads, between(0, 1024));
    visit("device", self.device, any());
    visit("drop_last", self.drop_last, any());
    visit("clip_norm", self.clip_norm, above(0));
    visit("clip_value", self.clip_value, above(0));
    visit("on_non_finite", self.on_non_finite, any());
    visit("monitors", self.monitors, any());
    visit("early_stopping", self.early_stopping, between(0, (1 << 24) - 1));
  }
};

/// Where a training stands, between two steps. With the parameters and the optimizer's state it decides, to
/// the bit, how the training goes on.
struct TrainerPosition {
  std::size_t epoch = 1;       // the one under way
  std::size_t iteration = 0;   // its steps that are done
  std::size_t iterations = 0;  // the steps of all epochs that are done
  double loss_sum = 0;         // over the samples that this epoch has seen
  double weight_sum = 0;       // of their weights, where they have any
  std::size_t right = 0;       // of their predictions
  std::size_t predictions = 0;
  std::size_t seen = 0;
  double max_test_acc = 0;                 // of the epochs before
  double max_validation_acc = 0;           // of the epochs before, where a part is held out
  double test_acc_at_best_validation = 0;  // of the first epoch that had it
  double min_loss = 0;                     // of the epochs before, by what is best where nothing is predicted
  std::size_t epochs_since_best = 0;       // the last of the epochs before that have no better score
  double seconds = 0;                      // that the steps of this epoch took

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epoch", self.epoch, between(1, (1 << 24) - 1));
    visit("iteration", self.iteration, at_least(0));
    visit("iterations", self.iterations, at_least(0));
    visit("loss_sum", self.loss_sum, any());
    visit("weight_sum", self.weight_sum, at_least(0));
    visit("right", self.right, at_least(0));
    visit("predictions", self.predictions, at_least(0));
    visit("seen", self.seen, at_least(0));
    visit("max_test_acc", self.max_test_acc, between(0, 1));
    visit("max_validation_acc", self.max_validation_acc, between(0, 1));
    visit("test_acc_at_best_validation", self.test_acc_at_best_validation, between(0, 1));
    visit("min_loss", self.min_loss, any());
    visit("epochs_since_best", self.epochs_since_best, at_least(0));
    visit("seconds", self.seconds, at_least(0));
  }
};

/// The parts a trainer is made of, which may be shared with its caller; none may be null. An optimizer and a
/// rule serve one trainer at a time.
struct TrainerParts {
  std::shared_ptr<Optimizer> optimizer;
  std::shared_ptr<const Loss> loss;
  std::shared_ptr<const Encoder> encoder = std::make_shared<Direct>();
  Augment augment{};
  std::shared_ptr<LearningRule> rule = std::make_shared<Bptt>();
  Schedule schedule = ConstantSchedule{};
};

/// Trains a network on a source of samples. Knows no file format and prints nothing: it reports to a
/// Recorder.
///
/// Samples that have steps of their own go through the encoder Direct, a batch as long as its longest; their
/// lengths go to the network, the loss and the monitors, so that each sample gives the bits that it gives
/// alone. Where nothing is predicted, as in a regression, accuracies are NaN, and the lowest loss is best.
///
/// The network is the caller's and must outlive the trainer. Between two fits it may be replaced by one that
/// has parameters of the same names and shapes (`net = Sequential{...}`), or of others for an evaluation; fit
/// throws ArgumentError where they are not those of the optimizer. During a fit, a Recorder may change the
/// values of parameters and buffers, but not replace the network or a layer. One thread at a time.
class Trainer {
 public:
  /// Throws ArgumentError for a null part, an option out of its range, or a network that the rule cannot
  /// train.
  Trainer(Layer& net, TrainerParts parts, const TrainerOptions& options = {});

  /// Trainer trainer{net, Adam{1e-3f}, RateMse{}, Poisson{}, {.steps = 100}};
  template <class O, class L, std::derived_from<Encoder> E>
  Trainer(Layer& net, O optimizer, L loss, E encoder, const TrainerOptions& options = {})
      : Trainer(net,
                TrainerParts{.optimizer = std::make_unique<O>(std::move(optimizer)),
                             .loss = std::make_unique<L>(std::move(loss)),
                             .encoder = std::make_unique<E>(std::move(encoder))},
                options) {}
  /// The same with the encoder Direct.
  template <class O, class L>
  Trainer(Layer& net, O optimizer, L loss, const TrainerOptions& options = {})
      : Trainer(net, std::move(optimizer), std::move(loss), Direct{}, options) {}
  ~Trainer();

  /// Trains for `epochs` more epochs, the one under way included; after each, evaluates on `test`. Every
  /// epoch visits the training set in an order of its own, drawn from the seed. Stops early, after a whole
  /// step, when the recorder says so; another fit then goes on from there, as if there had been no stop. With
  /// options().early_stopping n, ends after n epochs without a better score (EpochRecord::score), and does
  /// nothing where they were before. The
  /// sets must not change until it returns. Throws ArgumentError for sets that do not fit the network, and
  /// within a fit or an evaluation.
  History fit(const Source& train, const Source& test, std::size_t epochs, Recorder* recorder = nullptr) {
    return fit(Sets{train, &test, nullptr}, epochs, recorder);
  }
  /// The same; where there is a `validation`, each epoch is evaluated on it too, and best is the epoch that
  /// does best on it. Without `test` the test's figures are NaN, and without both there is no best epoch and
  /// no early stopping. Throws ArgumentError where `train` is null.
  History fit(const Sources& data, std::size_t epochs, Recorder* recorder = nullptr);
  /// The same of pictures in memory.
  History fit(const Dataset& train, const Dataset& test, std::size_t epochs, Recorder* recorder = nullptr) {
    return fit(PictureSource(train), PictureSource(test), epochs, recorder);
  }
  History fit(const Split& data, std::size_t epochs, Recorder* recorder = nullptr);

  /// Loss, accuracy and scores of the network as it is now, over all of `data` in order. `epoch`, below 2^24,
  /// and `purpose` address the encoder's draw. A Recorder may call it between two steps of a fit, which then
  /// goes on as if it had not. Throws ArgumentError for a set that does not fit the network, and within a
  /// step or another evaluation.
  Evaluation evaluate(const Source& data, std::size_t epoch = 0, Recorder* recorder = nullptr,
                      Draw::Purpose purpose = Draw::Purpose::test);
  Evaluation evaluate(const Dataset& data, std::size_t epoch = 0, Recorder* recorder = nullptr,
                      Draw::Purpose purpose = Draw::Purpose::test) {
    return evaluate(PictureSource(data), epoch, recorder, purpose);
  }

  const TrainerOptions& options() const { return options_; }
  Layer& net() { return net_; }
  /// Its set_lr holds until the schedule sets another learning rate, which one that is constant, without
  /// warm-up, never does.
  Optimizer& optimizer() { return *parts_.optimizer; }
  const TrainerPosition& position() const { return position_; }
  /// Goes on from `position`; the network and the optimizer must be given the state that they had there.
  /// Throws ArgumentError within a fit.
  void set_position(const TrainerPosition& position);
  /// How many threads it uses.
  std::size_t threads() const;
  /// Where it trains and evaluates; lives as long as the trainer.
  const Device& device() const;

 private:
  struct Pass;
  /// What the trainer is at: what it may be asked depends on it.
  enum class Stage { idle, working, listening };  // listening: a recorder's callback between two steps
  class StageGuard;
  /// The data of a fit.
  struct Sets {
    const Source& train;
    const Source* test;        // or null
    const Source* validation;  // or null
  };
  struct StepResult {
    double loss;
    Hits hits;
    double grad_norm;
    double weight;  // of the batch in a mean of losses
    bool weighted;  // whether it is another than the number of its samples
  };

  // fit.cpp: in which order what happens.
  History fit(const Sets& data, std::size_t epochs, Recorder* recorder);
  void check_fit(const Sets& data, std::size_t epochs) const;
  bool fit_epoch(const Sets& data, Recorder& report, History& history);
  bool train_steps(const Source& train, std::size_t batches, Recorder& report);
  bool is_good(const StepResult& step);
  bool is_stalled() const;
  // trainer.cpp: what happens.
  template <class Call>
  auto tell(const Call& call);
  void begin_fit(const Sets& data);
  std::span<const std::uint32_t> shuffled(const Source& train, std::uint32_t epoch);
  BatchWalk walk(const Source& train, std::span<const std::uint32_t> order, const Draw& draw);
  StepResult compute_gradients(const Batch& batch, const Draw& draw);
  void restore_buffers();
  void update(const StepResult& step);
  Evaluation run_evaluation(const Source& data, const Draw& draw, Recorder* recorder);
  std::size_t batches_of(std::size_t samples, bool drop_last) const;
  void check_data(const Source& data) const;
  void try_one_sample(const Source& data, std::size_t outputs) const;

  Layer& net_;
  TrainerParts parts_;
  TrainerOptions options_;
  std::unique_ptr<Pass> pass_;
  TrainerPosition position_;
  Stage stage_ = Stage::idle;
};

}  // namespace volley

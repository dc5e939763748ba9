#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/encoder.hpp>
#include <volley/layers.hpp>
#include <volley/loss.hpp>
#include <volley/optimizer.hpp>
#include <volley/recorder.hpp>
#include <volley/rule.hpp>

namespace volley {

struct TrainerOptions {
  std::size_t steps = 100;  // T
  std::size_t batch = 64;   // samples
  std::uint32_t seed = 0;   // of the shuffling and of the encoder; the weights are the network's own
  std::size_t threads = 0;  // 0: one per processor
  bool drop_last = true;    // whether an incomplete last batch is left out of training

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("steps", self.steps, between(1, 65536));
    visit("batch", self.batch, between(1, 65536));
    visit("seed", self.seed, between(0, 4294967295.0));
    visit("threads", self.threads, between(0, 1024));
    visit("drop_last", self.drop_last, any());
  }
};

/// The parts a trainer is made of.
struct TrainerParts {
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Loss> loss;
  std::unique_ptr<Encoder> encoder;
  std::unique_ptr<LearningRule> rule = std::make_unique<Bptt>();
};

/// Trains a network on a data set. Knows no file format and prints nothing: it reports to a Recorder.
class Trainer {
 public:
  Trainer(Sequential& net, TrainerParts parts, const TrainerOptions& options = {});

  /// Trainer trainer{net, Adam{1e-3f}, RateMse{}, Poisson{}, {.steps = 100}};
  template <class O, class L, class E>
  Trainer(Sequential& net, O optimizer, L loss, E encoder, const TrainerOptions& options = {})
      : Trainer(net,
                TrainerParts{.optimizer = std::make_unique<O>(std::move(optimizer)),
                             .loss = std::make_unique<L>(std::move(loss)),
                             .encoder = std::make_unique<E>(std::move(encoder))},
                options) {}
  ~Trainer();

  /// Trains for `epochs` more epochs; after each, evaluates on `test`. Every epoch visits the training set in
  /// an order of its own, drawn from the seed. Stops early, after a whole step, when the recorder says so.
  History fit(const Dataset& train, const Dataset& test, std::size_t epochs, Recorder* recorder = nullptr);

  /// Loss, accuracy and scores of the network as it is now, over all of `data` in order. `epoch` addresses
  /// the encoder's draw.
  Evaluation evaluate(const Dataset& data, std::size_t epoch = 0, Recorder* recorder = nullptr);

  const TrainerOptions& options() const { return options_; }
  Sequential& net() { return net_; }
  Optimizer& optimizer() { return *parts_.optimizer; }
  /// How many threads it uses.
  std::size_t threads() const;

 private:
  struct Pass;

  bool train_epoch(const Dataset& train, EpochRecord& record, Recorder& report);
  std::size_t batches_of(std::size_t samples, bool drop_last) const;
  void check_data(const Dataset& data) const;

  Sequential& net_;
  TrainerParts parts_;
  TrainerOptions options_;
  std::unique_ptr<Pass> pass_;
  std::size_t epochs_done_ = 0;
};

}  // namespace volley

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <volley/monitor.hpp>
#include <volley/tensor.hpp>

namespace volley {

class Trainer;

/// What one training step showed.
struct IterationRecord {
  std::size_t epoch = 0;      // from 1
  std::size_t iteration = 0;  // from 1, counted through all epochs
  double loss = 0;
  double batch_acc = 0;  // share of the batch that was right
  double grad_norm = 0;  // Euclidean norm of all parameter gradients together, before any clipping
};

/// What the held-out part of the training set showed in an epoch.
struct ValidationRecord {
  double loss = 0;
  double acc = 0;
  double test_acc_at_best = 0;  // the test accuracy of the epoch, up to this one, with the highest acc
};

/// What one epoch showed. Accuracies are shares, 0 to 1, and NaN where nothing is predicted.
struct EpochRecord {
  std::size_t epoch = 0;  // from 1
  double train_loss = 0;
  double train_acc = 0;
  double test_loss = 0;
  double test_acc = 0;
  double max_test_acc = 0;  // of this epoch and all before it
  double train_samples_per_second = 0;
  double test_samples_per_second = 0;
  double seconds = 0;                          // of the whole epoch, training and test
  std::size_t test_silent = 0;                 // as Evaluation::silent; not in files, so 0 after a resume
  std::optional<ValidationRecord> validation;  // where a part of the training set was held out
  std::vector<LayerActivity> activity;         // of the evaluation on the test set, where monitors are on

  /// Whether the network predicts something that is right or not, on what tells which epoch is best: what was
  /// held out, or else the test set.
  bool predicts() const { return !std::isnan(validation.has_value() ? validation->acc : test_acc); }
  /// What tells which epoch is best: the accuracy there, or else the loss, negated; NaN where there is
  /// neither.
  double score() const {
    if (!predicts()) return -(validation.has_value() ? validation->loss : test_loss);
    return validation.has_value() ? validation->acc : test_acc;
  }
};

/// How many epochs there are after the first with the highest score: 0 where the last is the best.
std::size_t epochs_since_best(const std::vector<EpochRecord>& epochs);

/// What became of a fit.
struct History {
  std::vector<EpochRecord> epochs;
  bool stopped = false;        // before all epochs were done, at the recorder's word
  bool stopped_early = false;  // before all epochs were done, by TrainerOptions::early_stopping
};

/// What an evaluation found.
struct Evaluation {
  double loss = 0;
  double accuracy = 0;  // share, 0 to 1; NaN where nothing is predicted, as in a regression
  double seconds = 0;
  bool stopped = false;    // before all batches were done, at the recorder's word
  std::size_t silent = 0;  // samples whose scores are all 0: no output fired. Prediction: 0
  std::size_t tied = 0;    // others whose highest score several outputs have: the first counts
  /// (samples, outputs), or (samples, steps, outputs) where the loss scores every step, 0 where none is.
  Tensor scores;
  std::vector<std::uint32_t> predictions;  // of each row of scores, below the number of outputs; or none
  std::vector<LayerActivity> activity;     // where monitors are on
};

/// Listens to a training: a progress bar, CSV files, checkpoints, a test. Called from the thread that called
/// fit; an exception of a callback ends the fit there and reaches its caller.
///
/// A callback may read everything of the trainer, write checkpoints, and set the optimizer's learning rate.
/// begin, iteration and epoch, and stop between two steps, may also call trainer.evaluate: the training goes
/// on with the bits that it would have had. evaluate within an evaluation, fit and set_position throw
/// ArgumentError.
class Recorder {
 public:
  virtual ~Recorder() = default;

  /// Before the first step. `epochs` in all, those done before included; `iterations`, and `test_batches` of
  /// all evaluations together, are per epoch.
  virtual void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) {
    static_cast<void>(epochs);
    static_cast<void>(iterations);
    static_cast<void>(test_batches);
  }
  /// After a step; a checkpoint of `trainer` made now goes on with the next one.
  virtual void iteration(const IterationRecord& record, Trainer& trainer) {
    static_cast<void>(record);
    static_cast<void>(trainer);
  }
  /// After each batch of an evaluation.
  virtual void test_batch(std::size_t done, std::size_t total) {
    static_cast<void>(done);
    static_cast<void>(total);
  }
  /// After an epoch and its evaluation; `trainer` has the network that was evaluated and the optimizer's
  /// state.
  virtual void epoch(const EpochRecord& record, Trainer& trainer) {
    static_cast<void>(record);
    static_cast<void>(trainer);
  }
  /// Asked after every step and every test batch; true ends the training there. The epoch that was under way
  /// is not recorded; the trainer's position is in it.
  virtual bool stop() { return false; }
};

}  // namespace volley

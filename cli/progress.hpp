#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <volley/recorder.hpp>
#include <volley/trainer.hpp>

namespace volley::cli {

/// Shows how a training goes: on a terminal a bar that is drawn up to ten times per second, and anywhere
/// one line per epoch.
class Progress {
 public:
  /// `batch`: samples of a training step.
  explicit Progress(std::size_t batch);

  void begin(const TrainerPosition& position, std::size_t epochs, std::size_t iterations,
             std::size_t test_batches);
  void iteration(const IterationRecord& record);
  void test_batch(std::size_t done, std::size_t total);
  void epoch(const EpochRecord& record);
  /// Takes the bar away.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  /// How much of the training is done, `of_epoch` batches into the epoch.
  double share(std::size_t of_epoch) const;
  /// A bar of `done` in `total`, with `left` before it and `right` behind it, `of_epoch` batches into the
  /// epoch.
  void draw(std::size_t done, std::size_t total, std::size_t of_epoch, const std::string& left,
            const std::string& right);

  bool terminal_;
  bool color_;
  bool drawn_ = false;
  std::size_t batch_;
  std::size_t epochs_ = 0;
  std::size_t iterations_ = 0;    // per epoch
  std::size_t test_batches_ = 0;  // per epoch
  std::size_t epoch_ = 1;         // the one under way
  std::size_t step_ = 0;          // of it
  std::size_t steps_ = 0;         // of it, since this process began
  double start_share_ = 0;        // of the whole training, done before this process began
  double loss_sum_ = 0;
  double acc_sum_ = 0;
  Clock::time_point start_;
  Clock::time_point epoch_start_;
  Clock::time_point last_drawn_;
};

}  // namespace volley::cli

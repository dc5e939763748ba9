#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <volley/recorder.hpp>

#include "storage/checkpoint.hpp"
#include "storage/csv_file.hpp"
#include "storage/run_folder.hpp"

namespace volley {

/// How often the latest checkpoint is written: after so many epochs, or so many minutes.
struct CheckpointEvery {
  std::size_t epochs = 1;
  double minutes = 0;  // instead of epochs, unless 0

  /// "2" and "2e" are epochs, "10m" minutes. Throws a RecipeError for anything else.
  static CheckpointEvery parse(const std::string& text);
};

/// Writes a run folder as training goes: the latest checkpoint before the first step, as often as it is told
/// to and at the end; the best one after the first epoch with the highest score (EpochRecord::score); rows of
/// metrics.csv, and of monitors.csv where monitors are on, after each epoch. Goes on with the files of a run
/// whose state `trainer` was given.
class RunRecorder final : public Recorder {
 public:
  RunRecorder(run_folder::Lock lock, RunState run, Trainer& trainer, const CheckpointEvery& every = {});

  void iteration(const IterationRecord& record, Trainer& trainer) override;
  void epoch(const EpochRecord& record, Trainer& trainer) override;
  /// When training ends, be it between two epochs or in one: the checkpoint from which it goes on.
  void end(Trainer& trainer);

  const std::filesystem::path& folder() const { return lock_.folder(); }
  /// Of the whole run.
  const std::vector<EpochRecord>& epochs() const { return run_.epochs; }

 private:
  using Clock = std::chrono::steady_clock;

  void save_latest(Trainer& trainer);

  run_folder::Lock lock_;
  RunState run_;
  CheckpointEvery every_;
  CsvFile metrics_;
  CsvFile iterations_;
  std::optional<CsvFile> monitors_;
  std::size_t saved_iterations_ = 0;  // the position of the latest checkpoint
  std::size_t saved_epoch_ = 0;
  Clock::time_point saved_at_;
};

}  // namespace volley

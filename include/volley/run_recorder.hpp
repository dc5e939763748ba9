#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/recorder.hpp>
#include <volley/run_folder.hpp>

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
///
///     RunRecorder run(run_folder::create(recipe.name), {.recipe_toml = to_toml(recipe)}, trainer);
///     trainer.fit(data, recipe.epochs, &run);
///     run.end(trainer);
///
/// Each of its functions throws a FileError for what cannot be written. One thread at a time.
class RunRecorder final : public Recorder {
 public:
  /// Writes the recipe, the environment, the rows of the epochs in `run` and the latest checkpoint into the
  /// folder of `lock`. `trainer` is not kept. Throws a RecipeError where run.recipe_toml is no recipe,
  /// and an ArgumentError for an `every` of no epochs, or of less than no minutes.
  RunRecorder(run_folder::Lock lock, RunState run, Trainer& trainer, const CheckpointEvery& every = {});
  ~RunRecorder() override;

  void iteration(const IterationRecord& record, Trainer& trainer) override;
  void epoch(const EpochRecord& record, Trainer& trainer) override;
  /// When training ends, be it between two epochs or in one: the checkpoint from which it goes on.
  void end(Trainer& trainer);

  const std::filesystem::path& folder() const { return lock_.folder(); }
  /// Of the whole run.
  const std::vector<EpochRecord>& epochs() const { return run_.epochs; }

 private:
  struct Tables;

  void save_latest(Trainer& trainer);

  run_folder::Lock lock_;
  RunState run_;
  CheckpointEvery every_;
  std::unique_ptr<Tables> tables_;
};

}  // namespace volley

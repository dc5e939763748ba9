#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <volley/checkpoint.hpp>
#include <volley/dataset.hpp>
#include <volley/layers.hpp>
#include <volley/recipe.hpp>
#include <volley/trainer.hpp>

#include "inspect.hpp"

namespace volley::cli {

/// What of a run to load; words as the command line has them, empty: as the run has it.
struct TrainedRunOptions {
  std::string checkpoint = "best";  // or "latest"
  std::string data;                 // another data set
  std::string split = "test";       // "train", "validation"
  std::string data_dir;
  std::string steps, threads, device;
};

/// What a run's folder says, before any network is built.
struct LoadedRun {
  Recipe recipe;
  Checkpoint checkpoint;
};
/// Throws Error when `folder` is no run folder, or has no such checkpoint.
LoadedRun load_run(const std::filesystem::path& folder, const TrainedRunOptions& options);
/// Its network for samples of that shape. Throws Error when the checkpoint is not what the recipe asks for.
Sequential trained_network(const LoadedRun& run, const Shape& picture);

/// A trained run with its network, a trainer, and data to look at.
class TrainedRun {
 public:
  /// With `data`, or else what the options say. Throws Error when `folder` is no run folder or its checkpoint
  /// is not what its recipe asks for.
  explicit TrainedRun(const std::filesystem::path& folder, const TrainedRunOptions& options = {},
                      std::optional<Dataset> data = {});
  TrainedRun(const TrainedRun&) = delete;
  TrainedRun& operator=(const TrainedRun&) = delete;

  const Recipe& recipe() const { return loaded_.recipe; }
  const Checkpoint& checkpoint() const { return loaded_.checkpoint; }
  const Source& source() const { return *source_; }
  /// Its pictures; of other samples the names, and labels where they have any.
  const Dataset& data() const { return source_->pictures() != nullptr ? *source_->pictures() : names_; }
  Sequential& net() { return net_; }

  /// Of all its data. The encoder draws as it did after the checkpoint's epoch, so that the run's own figures
  /// come out again.
  Evaluation evaluate(Recorder* recorder = nullptr) { return evaluate(*source_, recorder); }
  /// Of others of the same shape.
  Evaluation evaluate(const Source& source, Recorder* recorder = nullptr);
  /// One of its pictures, with the spikes that it has in the evaluation. Throws Error where they are others.
  SampleLife inspect(std::size_t sample) const;

 private:
  LoadedRun loaded_;
  Draw::Purpose purpose_;
  std::shared_ptr<const Source> source_;
  Dataset names_;  // where samples are no pictures
  Sequential net_;
  TrainerParts parts_;
  Trainer trainer_;
};

}  // namespace volley::cli

#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <volley/run_folder.hpp>

#include "figures/run_figures.hpp"
#include "trained_run.hpp"

namespace volley::cli {

/// Makes the figures of a run folder. What they need is loaded and computed at the first figure that needs
/// it; what could not be had fails each of these figures with the same Error.
class RunPictures {
 public:
  /// `sample`: the picture that figures of one picture show.
  RunPictures(const std::filesystem::path& folder, const TrainedRunOptions& options, std::size_t sample,
              std::function<bool()> cancelled = {});

  /// Draws one and writes it into `folder`. Returns its path; throws Error.
  std::filesystem::path write(const RunFigure& figure, const std::filesystem::path& folder,
                              PictureFormat format, Theme theme);

 private:
  FigureSource source(RunFigure::Needs needs);
  void load_network();
  void evaluate();

  std::filesystem::path folder_;
  TrainedRunOptions options_;
  std::size_t sample_;
  std::function<bool()> cancelled_;
  RunRecord record_;
  std::unique_ptr<TrainedRun> run_;
  std::optional<SampleLife> life_;
  std::optional<ClassReport> classes_;
  std::optional<std::string> failed_;  // why there is no run_
};

/// All figures that the run in `folder` allows, into its figures/, as far as `cancelled` lets it. Never
/// throws: returns one line that says how it went. With `quick`, not those that need a whole evaluation.
std::string draw_all(const std::filesystem::path& folder, const std::string& data_dir, bool quick,
                     const std::function<bool()>& cancelled);

/// Writes the figures of a folder of several seeds, those of `names`, or all where there are none; their
/// paths. Throws ArgumentError for a name that is none of theirs.
std::vector<std::filesystem::path> draw_seeds(const std::filesystem::path& folder,
                                              const std::filesystem::path& out,
                                              const std::vector<std::string>& names, PictureFormat format,
                                              Theme theme, const std::function<bool()>& cancelled);

}  // namespace volley::cli

#pragma once

#include <filesystem>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/recorder.hpp>

#include "storage/run_folder.hpp"

namespace volley {

/// What a run folder says of its training, but for the checkpoints.
struct RunRecord {
  std::filesystem::path folder;
  Recipe recipe;
  Environment environment;
  std::vector<EpochRecord> epochs;          // those that are done, with what monitors.csv says of each
  std::vector<IterationRecord> iterations;  // their `epoch` is 0: the table has none
};

/// Reads recipe.toml, environment.json, metrics.csv, iterations.csv and, where it is there, monitors.csv. A
/// training may be under way: a last row that is not whole is left out. Throws a FileError for
/// one that is missing or that no training wrote.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace volley

#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <volley/recipe.hpp>
#include <volley/recorder.hpp>

namespace volley {

/// Where and with what a training ran: environment.json.
struct Environment {
  std::string date;  // ISO 8601, UTC
  std::string version;
  std::string compiler;
  std::string cpu;
  std::string simd_target;
  std::size_t threads = 0;
  std::uint32_t seed = 0;
};

/// "AMD EPYC 9R14", or "unknown".
std::string cpu_model();
/// "g++ 12.2.0"
std::string compiler();
/// Where and with what `trainer` trains.
Environment environment_of(const Trainer& trainer);

/// A table that grows row by row. Throws Error, naming the file and why, when a row cannot be written.
class CsvFile {
 public:
  CsvFile(const std::filesystem::path& path, std::string_view header);

  void row(std::string_view text);
  void flush();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail(int code) const;

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// The folder that a training writes: what it was told (recipe.toml), where it ran (environment.json), what
/// it showed (metrics.csv, iterations.csv) and what it made (checkpoint_latest, checkpoint_best).
namespace run_folder {

inline constexpr const char* kRecipe = "recipe.toml";
inline constexpr const char* kEnvironment = "environment.json";
inline constexpr const char* kMetrics = "metrics.csv";
inline constexpr const char* kIterations = "iterations.csv";
inline constexpr const char* kLatest = "checkpoint_latest.safetensors";
inline constexpr const char* kBest = "checkpoint_best.safetensors";

/// Makes `folder`, or takes it when it is there and empty; throws Error otherwise. With no folder given:
/// runs/<recipe>-<YYYYmmdd-HHMMSS>, in local time, with -2, -3 ... behind it when that is taken.
std::filesystem::path create(const std::string& recipe_name, const std::filesystem::path& folder = {});

/// The recipe of a run. Throws Error when `folder` is no run folder.
Recipe load_recipe(const std::filesystem::path& folder);

}  // namespace run_folder

/// Writes a run folder as training goes: metrics.csv and the checkpoints after each epoch, iterations.csv at
/// least as often. checkpoint_best is of the first epoch with the highest test accuracy.
class RunRecorder final : public Recorder {
 public:
  RunRecorder(const std::filesystem::path& folder, const Recipe& recipe, const Environment& environment);

  void iteration(const IterationRecord& record) override;
  void epoch(const EpochRecord& record, Trainer& trainer) override;
  /// What was not written yet, when training ends between two epochs.
  void flush();

 private:
  std::filesystem::path folder_;
  std::string recipe_toml_;
  CsvFile metrics_;
  CsvFile iterations_;
  double best_acc_ = -1;
};

}  // namespace volley

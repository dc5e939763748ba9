#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/recipe.hpp>
#include <volley/recorder.hpp>

namespace volley {

struct Sources;
struct Split;

/// Where and with what a training ran: environment.json.
struct Environment {
  std::string date;  // ISO 8601, UTC
  std::string version;
  int numerics = 1;  // numerics_version() of that version
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

/// The folder that a training writes: what it was told (recipe.toml), where it ran (environment.json), what
/// it showed (metrics.csv, iterations.csv, monitors.csv) and what it made (checkpoint_latest,
/// checkpoint_best). docs/guide/runs.md says what holds of it. run_recorder.hpp writes
/// one, read_run reads it.
namespace run_folder {

inline constexpr const char* kRecipe = "recipe.toml";
inline constexpr const char* kEnvironment = "environment.json";
inline constexpr const char* kMetrics = "metrics.csv";
inline constexpr const char* kIterations = "iterations.csv";
inline constexpr const char* kIterationsHeader = "iteration,loss,batch_acc,grad_norm";
inline constexpr const char* kMonitors = "monitors.csv";
inline constexpr const char* kMonitorsHeader =
    "epoch,layer,kind,neurons,rate,dead,saturated,synops,macs,dense_macs,energy_pj,dense_energy_pj";
inline constexpr const char* kFigures = "figures";  // a folder
inline constexpr const char* kLatest = "checkpoint_latest.safetensors";
inline constexpr const char* kBest = "checkpoint_best.safetensors";

/// Keeps a run folder for this process alone. The system lets go of it when the process ends, however it
/// ends. A file system without locks keeps no other process out.
class Lock {
 public:
  /// Throws a FileError when `folder` is not there, or another process has it.
  explicit Lock(const std::filesystem::path& folder);
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&&) = delete;
  ~Lock();

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  int descriptor_ = -1;
};

/// Makes `folder`, or takes it when it is there and empty; throws a FileError otherwise. With no folder
/// given: runs/<recipe>-<YYYYmmdd-HHMMSS>, in local time, with -2, -3 ... behind it when that is taken.
Lock create(const std::string& recipe_name, const std::filesystem::path& folder = {});

/// The recipe of a run. Throws a FileError when `folder` is no run folder, or one of several seeds.
Recipe load_recipe(const std::filesystem::path& folder);
/// The same, of a folder of several seeds too.
Recipe recipe_in(const std::filesystem::path& folder);

/// A run that can go on.
struct Paused {
  Lock lock;
  Recipe recipe;                         // as recipe.toml has it now
  std::optional<Checkpoint> checkpoint;  // the latest; none where training had not begun
};

/// Throws a FileError when `folder` is no run folder, one that another process writes, or one whose
/// checkpoint has other numerics than this program.
Paused open(const std::filesystem::path& folder);

/// Throws a FileError, naming each difference, when going on from `run`'s checkpoint by `recipe` on the data
/// set of this SHA-256 would not give what a training without interruption gives. The number of epochs and of
/// threads may differ.
void check_unchanged(const Paused& run, const Recipe& recipe, const std::string& data_sha256);

}  // namespace run_folder

/// The SHA-256 of a data set as it is trained on, 64 hexadecimal digits: what RunState::data_sha256 is.
std::string sha256_of(const Split& data);
/// The same; samples that are no pictures in memory are read, each by itself.
std::string sha256_of(const Sources& data);

/// What a run folder says of its training, but for the checkpoints.
struct RunRecord {
  std::filesystem::path folder;
  Recipe recipe;
  Environment environment;
  std::vector<EpochRecord> epochs;          // those that are done, with what monitors.csv says of each
  std::vector<IterationRecord> iterations;  // their `epoch` is 0: the table has none
};

/// Reads recipe.toml, environment.json, metrics.csv, iterations.csv and, where it is there, monitors.csv. A
/// training may be under way: a last row that is not whole is left out. Throws a FileError for one that is
/// missing or that no training wrote.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace volley

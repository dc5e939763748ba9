#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/recorder.hpp>
#include <volley/trainer.hpp>
#include <volley/weights.hpp>

namespace volley {

/// Names the order of this library's sums and the addresses of its draws: with another number the same recipe
/// gives other bits. docs/decisions/order.md states each order.
int numerics_version();

/// What a checkpoint says of its run, beside where the trainer stands.
struct RunState {
  std::string recipe_toml;
  std::string data_sha256;          // of the pictures and labels that it trains and tests on
  std::vector<EpochRecord> epochs;  // those that are done
};

/// Writes the network's parameters and buffers under their own names, the optimizer's state as
/// "optimizer.m.1.weight", and in the metadata the trainer's position and `run`: all that an evaluation, or
/// going on, needs. Whole or not at all. Throws a FileError when a parameter is not finite: nothing could go
/// on from it.
void save_checkpoint(const std::filesystem::path& path, const RunState& run, Trainer& trainer);

/// A checkpoint in memory. It holds numbers and text, and nothing in it is ever run. Several threads may read
/// one at once.
class Checkpoint {
 public:
  /// Throws a FileError unless it is a whole checkpoint of a format that this program knows.
  explicit Checkpoint(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const RunState& run() const { return run_; }
  const TrainerPosition& position() const { return position_; }
  /// Of the last epoch that was done; its number is 0 when there was none.
  EpochRecord epoch() const { return run_.epochs.empty() ? EpochRecord{} : run_.epochs.back(); }
  const std::string& volley_version() const { return text("volley_version"); }
  /// numerics_version() of the program that wrote it; files of 0.1 do not say it and have 1.
  int numerics() const { return numerics_; }

  /// Throws a FileError unless numerics() is numerics_version(): with other sums and draws no training
  /// without interruption has this end. Evaluation does not need it.
  void check_resumable() const;

  /// Throws a FileError unless this holds the weights of the layers of `recipe`, in the sizes that they ask
  /// for: to be called before these are built.
  void check_sizes(const Recipe& recipe) const;
  /// Gives the parameters and buffers of `net` their saved values. Throws a FileError naming the first that
  /// is missing, left over or of another shape; `net` is then as it was.
  void load_into(Layer& net) const;
  /// Gives `trainer` parameters, optimizer state and position. Throws as above, the optimizer's state
  /// included, and as check_resumable; nothing is then changed.
  void load_into(Trainer& trainer) const;

 private:
  const std::string& text(const std::string& key) const;
  template <class T>
  void read_number(const std::string& key, T& value) const;
  NamedTensors tensors(bool of_optimizer) const;

  std::filesystem::path path_;
  std::map<std::string, std::string> metadata_;
  NamedTensors tensors_;
  RunState run_;
  TrainerPosition position_;
  std::uint64_t optimizer_steps_ = 0;
  int numerics_ = 1;
};

}  // namespace volley

#pragma once

#include <filesystem>
#include <string>

#include <volley/layers.hpp>
#include <volley/optimizer.hpp>
#include <volley/recorder.hpp>

#include "storage/safetensors.hpp"

namespace volley {

/// What the metadata of a checkpoint calls itself.
inline constexpr const char* kCheckpointFormat = "volley checkpoint";
/// The names of the optimizer's tensors begin with it.
inline constexpr const char* kCheckpointOptimizer = "optimizer.";

/// Writes the network's parameters and buffers under their own names, the optimizer's state as
/// "optimizer.m.1.weight", and beside them the recipe and what the epoch showed: all that an evaluation, or
/// going on, needs. Whole or not at all.
void save_checkpoint(const std::filesystem::path& path, const std::string& recipe_toml,
                     const EpochRecord& epoch, Sequential& net, Optimizer& optimizer);

/// A checkpoint in memory.
class Checkpoint {
 public:
  /// Throws Error, naming the file, unless it is a whole checkpoint of a version that this program knows.
  explicit Checkpoint(const std::filesystem::path& path);

  const std::string& recipe_toml() const { return recipe_toml_; }
  /// Of the epoch after which it was written.
  const EpochRecord& epoch() const { return epoch_; }

  /// Gives the parameters and buffers of `net` their saved values. Throws Error naming the first that is
  /// missing, left over or of another shape; `net` is then as it was.
  void load_into(Sequential& net) const;

 private:
  std::filesystem::path path_;
  SafetensorsFile file_;
  std::string recipe_toml_;
  EpochRecord epoch_;
};

}  // namespace volley

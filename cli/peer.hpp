#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <volley/files.hpp>

#include "compare_report.hpp"

namespace volley::cli {

/// The frameworks that there is a runner for: "spikingjelly". Throws RecipeError where `name` is none.
void check_peer_name(const std::string& name);

/// What a training in the peer is told.
struct PeerRun {
  std::filesystem::path recipe;   // complete TOML
  std::filesystem::path weights;  // safetensors
  std::filesystem::path data;     // the folder with the four files
  std::size_t threads = 1;
  bool same_spikes = false;
  bool compiled = false;  // by torch.compile
};

/// Another framework: a Python that has it, and the script in peers/ that trains with it.
class Peer {
 public:
  /// Finds the Python: `python`, else $VOLLEY_PEER_PYTHON, else .peers/bin/python here or in the cache
  /// folder. Throws Error, saying how to install it, when there is none or the framework is not in it.
  Peer(const std::string& name, const std::string& python);

  const std::string& name() const { return name_; }
  /// {"python", "3.11.2"}, {"torch", ...}
  const std::vector<std::pair<std::string, std::string>>& versions() const { return versions_; }
  /// "spikingjelly 2.0.0, torch 2.15.0": what a ratio must name.
  std::string version() const;
  /// The most threads that it may use.
  std::size_t most_threads() const { return most_threads_; }

  /// Training samples per second over a few batches.
  double trial(const PeerRun& run) const;
  /// Trains; `epoch` is told of each epoch as it ends. Gives the epochs and the peak memory.
  Outcome train(const PeerRun& run, const std::function<void(const EpochRecord&)>& epoch) const;

 private:
  void describe();

  std::string name_;
  std::filesystem::path python_;
  ScratchFolder folder_{"peer"};  // of the scripts
  std::vector<std::pair<std::string, std::string>> versions_;
  std::size_t most_threads_ = 1;
};

}  // namespace volley::cli

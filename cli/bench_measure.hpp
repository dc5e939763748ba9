#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/recipe.hpp>
#include <volley/recorder.hpp>
#include <volley/threads.hpp>

namespace volley::cli {

/// One part of a training step, over one batch.
struct Phase {
  std::string name;       // "forward 1 linear": the second layer's
  double seconds = 0;     // the median of several batches
  double bytes = 0;       // that it must read and write: every array once
  double operations = 0;  // of its linear algebra, over spikes an addition each; 0 where none is counted
};

/// A training step, taken apart.
struct Profile {
  std::vector<Phase> phases;
  double spikes = 0;  // of the input and of every layer, in a batch: the mean
  std::size_t batches = 0;
};

/// Takes some batches of `data` through the recipe's training, layer by layer, each phase timed, for about
/// `seconds`. Fewer, down to one, when Ctrl-C was pressed.
Profile profile_training(const Recipe& recipe, const Dataset& data, double seconds);

}  // namespace volley::cli

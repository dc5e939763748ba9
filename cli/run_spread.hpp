#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <volley/run_folder.hpp>

namespace volley {

// Several runs of one recipe as one: means, and the standard deviation of a sample, n - 1.

/// A column of metrics.csv.
struct EpochNumber {
  const char* name;  // "train acc"
  double (*value)(const EpochRecord& epoch);
};
/// Loss and accuracy of training and test, and where a part is held out, its accuracy.
std::vector<EpochNumber> epoch_numbers(const std::vector<RunRecord>& runs);

struct MeanAndSpread {
  double mean = 0;
  double spread = 0;  // NaN of a single value
};
MeanAndSpread mean_and_spread(std::span<const EpochRecord> epochs, double (*value)(const EpochRecord&));

/// The epochs that all runs have; 0 where there is no run.
std::size_t common_epochs(const std::vector<RunRecord>& runs);
/// Of each run the one of index `epoch`, which all have.
std::vector<EpochRecord> epoch_of_each(const std::vector<RunRecord>& runs, std::size_t epoch);
/// Of each run that has an epoch, the first with the highest score, and the last.
std::vector<EpochRecord> best_of_each(const std::vector<RunRecord>& runs);
std::vector<EpochRecord> last_of_each(const std::vector<RunRecord>& runs);

/// "0, 1, 2" or "0 to 9"
std::string seeds_text(const std::vector<RunRecord>& runs);

}  // namespace volley

#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <volley/recorder.hpp>

namespace volley::cli {

/// What one training showed.
struct Outcome {
  std::vector<EpochRecord> epochs;
  double peak_bytes = 0;
  std::size_t threads = 0;
  double seconds = 0;             // from the start of its process to the end
  double first_step_seconds = 0;  // what the first step took beyond a median one: where it compiles, that

  /// Of `seconds`, what is neither training nor evaluation.
  double startup_seconds(std::size_t train_samples, std::size_t test_samples) const;
};

/// The same recipe trained by two programs, seed by seed.
struct Comparison {
  std::string recipe;
  std::string peer;                                 // "spikingjelly"
  std::string own_version;                          // "volley 0.2.0"
  std::string peer_version;                         // "spikingjelly 2.0.0, torch 2.15.0"
  std::size_t train_samples = 0, test_samples = 0;  // of an epoch
  std::vector<std::uint32_t> seeds;
  std::vector<Outcome> ours, theirs;                       // one for each seed
  std::optional<Outcome> compiled;                         // the peer's, of the first seed, by torch.compile
  std::vector<std::pair<std::string, std::string>> notes;  // what was the same, versions, machine, date
};

/// Test accuracies are held to be the same when they differ by no more than this, in points.
inline constexpr double kSamePoints = 0.3;

/// Tables in Markdown: accuracy per epoch with the interval of its difference, speed, times, memory, notes.
std::string report_markdown(const Comparison& comparison);

/// Writes compare.md, compare.csv (a row for each program, seed and epoch) and accuracy.png into `folder`.
/// Returns the picture's path, or why there is none: then the tables are written all the same.
std::string write_report(const Comparison& comparison, const std::filesystem::path& folder);

}  // namespace volley::cli

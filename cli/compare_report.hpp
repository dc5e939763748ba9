#pragma once

#include <filesystem>
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
};

/// The same recipe trained by two programs, seed by seed.
struct Comparison {
  std::string recipe;
  std::string peer;  // "spikingjelly"
  std::vector<std::uint32_t> seeds;
  std::vector<Outcome> ours, theirs;                       // one for each seed
  std::vector<std::pair<std::string, std::string>> notes;  // what was the same, versions, machine, date
};

/// Test accuracies are held to be the same when they differ by no more than this, in points.
inline constexpr double kSamePoints = 0.3;

/// Tables in Markdown: accuracy per epoch with the interval of its difference, speed, memory, notes.
std::string report_markdown(const Comparison& comparison);

/// Writes compare.md, compare.csv (a row for each program, seed and epoch) and accuracy.png into `folder`.
/// Returns the picture's path, or why there is none: then the tables are written all the same.
std::string write_report(const Comparison& comparison, const std::filesystem::path& folder);

}  // namespace volley::cli

#pragma once

#include <filesystem>
#include <vector>

namespace volley {

/// An input current from a file: one value per step, or each value with the time from which it holds.
struct CurrentCsv {
  std::vector<double> t;  // strictly ascending, from 0 or later; empty: one value per step
  std::vector<double> x;  // at least one
};

/// Reads one column of numbers, or two columns t,x, with or without a header line. Throws a FileError with
/// the line for anything else: "wave.csv:3: expected a finite number, got 'abc'".
CurrentCsv read_current_csv(const std::filesystem::path& path);

}  // namespace volley

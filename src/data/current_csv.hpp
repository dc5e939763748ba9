#pragma once

#include <filesystem>
#include <string_view>
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

/// A finite number that is all of `text`, but for spaces around it. False when it is not one.
bool parse_number(std::string_view text, double& value);

}  // namespace volley

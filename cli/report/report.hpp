#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/recorder.hpp>
#include <volley/run_folder.hpp>

#include "class_report.hpp"
#include "inspect.hpp"

namespace volley::report {

/// What a trained run makes of its test pictures.
struct Tested {
  Dataset data;
  std::size_t epoch = 0;  // of the checkpoint
  Evaluation evaluation;
  ClassReport classes;
  std::vector<SampleLife> examples;
};

/// A line for a shell, and what it is for.
struct Command {
  std::string purpose;
  std::string line;
};

struct Report {
  RunRecord run;
  std::optional<Tested> tested;
  std::vector<std::string> missing;  // what could not be had, and why
  std::vector<Command> commands;
};

/// Pictures worth a look: the first right ones, each of another class, then the wrong ones of which the
/// network was surest.
std::vector<std::size_t> worth_a_look(const Evaluation& evaluation, const Dataset& data, std::size_t right,
                                      std::size_t wrong);

/// A run as one page of HTML that needs nothing beside it.
std::string run_page(const Report& report);

/// Runs side by side, on such a page.
std::string comparison_page(const std::vector<RunRecord>& runs, const std::vector<Command>& commands);

/// Runs of one recipe from different seeds: their mean and spread, then the runs side by side.
std::string seeds_page(const std::vector<RunRecord>& runs, const std::vector<Command>& commands);

}  // namespace volley::report

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <volley/files.hpp>
#include <volley/run_folder.hpp>
#include <volley/seeds_folder.hpp>

#include "class_report.hpp"
#include "commands.hpp"
#include "common.hpp"
#include "report/report.hpp"
#include "trained_run.hpp"

namespace {

using namespace volley;
namespace fs = std::filesystem;
using cli::say;

constexpr std::size_t kRight = 3;  // examples
constexpr std::size_t kWrong = 6;

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out;
  std::string data_dir;
  std::string threads;
};

report::Tested tested(const std::string& folder, const ReportOptions& options) {
  cli::TrainedRun run(folder, {.data_dir = options.data_dir, .threads = options.threads});
  report::Tested result{
      .data = run.data(), .epoch = run.checkpoint().epoch().epoch, .evaluation = run.evaluate()};
  if (result.data.labels.empty()) throw Error(fmt::format("{} has no label a sample", result.data.name));
  result.classes = class_report(result.evaluation, result.data);
  if (run.source().pictures() == nullptr) return result;
  for (const std::size_t sample : report::worth_a_look(result.evaluation, result.data, kRight, kWrong))
    result.examples.push_back(run.inspect(sample));
  return result;
}

std::vector<report::Command> commands_for(const RunRecord& run) {
  const std::string folder = cli::shell_quoted(run.folder.string());
  const std::string recipe = cli::shell_quoted((run.folder / run_folder::kRecipe).string());
  std::vector<report::Command> commands{
      {"Train by the same recipe, from the same seed, to the same bits:", "volley train " + recipe},
      {"Evaluate its best checkpoint:", "volley eval " + folder}};
  const std::size_t patience = run.recipe.training.early_stopping;
  if (patience > 0 && epochs_since_best(run.epochs) >= patience) {
    commands.push_back({"Train on, with more patience:",
                        fmt::format("volley train --resume {} --early-stopping {}", folder, 2 * patience)});
  } else if (run.epochs.size() < run.recipe.epochs) {
    commands.push_back({"Go on where it stopped:", "volley train --resume " + folder});
  } else {
    commands.push_back(
        {"Train on:", fmt::format("volley train --resume {} --epochs {}", folder, 2 * run.recipe.epochs)});
  }
  return commands;
}

void report_run(const ReportOptions& options) {
  const std::string& folder = options.runs.front();
  report::Report report{.run = read_run(folder)};
  report.commands = commands_for(report.run);
  try {
    report.tested = tested(folder, options);
  } catch (const Error& error) {
    report.missing.push_back(error.what());
    say("missing   {}\n", error.what());
  }
  const fs::path out = options.out.empty() ? fs::path(folder) / "report.html" : fs::path(options.out);
  write_file_whole(out, report::run_page(report));
  say("report    {}\n", out.string());
}

void report_seeds(const ReportOptions& options) {
  const fs::path folder = options.runs.front();
  const std::string word = cli::shell_quoted(folder.string());
  const std::vector<RunRecord> runs = seeds_folder::read_runs(folder);
  if (runs.empty()) throw FileError(folder.string(), "a run that has begun", "none");
  const fs::path out = options.out.empty() ? folder / "report.html" : fs::path(options.out);
  const std::size_t seeds = seeds_folder::seeds(folder).size();
  const std::string recipe = cli::shell_quoted((folder / run_folder::kRecipe).string());
  write_file_whole(
      out,
      report::seeds_page(runs, {{"Train by the same recipe from the same seeds, to the same bits:",
                                 fmt::format("volley train {} --seeds {}", recipe, seeds)},
                                {"Go on with the seeds that are not done:", "volley train --resume " + word},
                                {"This page:", "volley report " + word}}));
  say("report    {}\n", out.string());
}

void report_comparison(const ReportOptions& options) {
  std::vector<RunRecord> runs;
  std::string line = "volley report";
  for (const std::string& folder : options.runs) {
    runs.push_back(read_run(folder));
    line += " " + cli::shell_quoted(folder);
  }
  const fs::path out = options.out.empty() ? "comparison.html" : options.out;
  write_file_whole(out, report::comparison_page(runs, {{"This page:", line}}));
  say("report    {}\n", out.string());
}

}  // namespace

void add_report_command(CLI::App& app) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand(
      "report", "Writes a run, or several side by side, as one HTML page that needs nothing beside it");
  command
      ->add_option("RUN", options->runs,
                   "Run folders that volley train wrote, or one folder of several seeds")
      ->required();
  command->add_option("--out", options->out,
                      "The page (default: RUN/report.html; of several runs, comparison.html)");
  command->add_option("--threads", options->threads, "0: one per processor; the result is the same bits");
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->footer("Example: volley report runs/lif_fc_mnist-20260102-030405");
  command->callback([options] {
    if (options->runs.size() > 1) return report_comparison(*options);
    seeds_folder::is_one(options->runs.front()) ? report_seeds(*options) : report_run(*options);
  });
}

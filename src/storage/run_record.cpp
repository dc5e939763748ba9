#include <volley/run_folder.hpp>

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "storage/csv_cells.hpp"
#include "storage/metrics.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

constexpr std::size_t kMostTableBytes = std::size_t{1} << 28;
constexpr std::size_t kMostEnvironmentBytes = std::size_t{1} << 24;

/// A table as far as its rows are whole.
std::string read_table(const fs::path& path) {
  std::string text = read_file(path, kMostTableBytes);
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  return text;
}

/// Calls body(cells) for each row below `header`.
template <class Body>
void for_each_row(const fs::path& path, const std::string& header, const Body& body) {
  const std::string table = read_table(path);
  std::string_view text = table;
  if (take(text, '\n') != header) {
    throw FileError(path.string(), "the header " + header, "another");
  }
  for (std::size_t line = 2; !text.empty(); ++line) {
    CsvCells cells(take(text, '\n'), path.string(), fmt::format("line {}", line));
    body(cells);
    cells.end();
  }
}

Environment read_environment(const fs::path& path) {
  const auto json = nlohmann::json::parse(read_file(path, kMostEnvironmentBytes), nullptr, false);
  try {
    return {.date = json.at("date"),
            .version = json.at("version"),
            .numerics = json.value("numerics", 1),
            .compiler = json.at("compiler"),
            .cpu = json.at("cpu"),
            .simd_target = json.at("simd_target"),
            .threads = json.at("threads"),
            .seed = json.at("seed")};
  } catch (const nlohmann::json::exception&) {
    throw FileError(path.string(), "what a training writes into it", "something else");
  }
}

std::vector<IterationRecord> read_iterations(const fs::path& path) {
  std::vector<IterationRecord> iterations;
  for_each_row(path, run_folder::kIterationsHeader, [&](CsvCells& cells) {
    IterationRecord& record = iterations.emplace_back();
    cells.number("iteration", record.iteration);
    cells.number("loss", record.loss);
    cells.number("batch_acc", record.batch_acc);
    cells.number("grad_norm", record.grad_norm);
  });
  return iterations;
}

void read_monitors(const fs::path& path, std::vector<EpochRecord>& epochs) {
  for_each_row(path, run_folder::kMonitorsHeader, [&](CsvCells& cells) {
    std::size_t epoch = 0;
    cells.number("epoch", epoch);
    LayerActivity layer{.layer = std::string(cells.text()), .kind = std::string(cells.text())};
    cells.number("neurons", layer.neurons);
    cells.number("rate", layer.rate);
    cells.number("dead", layer.dead);
    cells.number("saturated", layer.saturated);
    cells.number("synops", layer.synops);
    cells.number("macs", layer.macs);
    cells.number("dense_macs", layer.dense_macs);
    double energy = 0;  // follows from the others
    cells.number("energy_pj", energy);
    cells.number("dense_energy_pj", energy);
    // The table of an epoch under way may be ahead of metrics.csv.
    if (epoch >= 1 && epoch <= epochs.size()) epochs[epoch - 1].activity.push_back(std::move(layer));
  });
}

}  // namespace

RunRecord read_run(const fs::path& folder) {
  RunRecord run{.folder = folder, .recipe = run_folder::load_recipe(folder)};
  const fs::path metrics = folder / run_folder::kMetrics;
  run.environment = read_environment(folder / run_folder::kEnvironment);
  run.epochs = parse_metrics(read_table(metrics), metrics.string());
  run.iterations = read_iterations(folder / run_folder::kIterations);
  std::error_code ignored;
  const fs::path monitors = folder / run_folder::kMonitors;
  if (fs::exists(monitors, ignored)) read_monitors(monitors, run.epochs);
  return run;
}

}  // namespace volley

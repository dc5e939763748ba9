#include <volley/run_recorder.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include <volley/error.hpp>
#include <volley/fields.hpp>
#include <volley/recipe.hpp>
#include <volley/trainer.hpp>

#include "core/files.hpp"
#include "storage/csv_file.hpp"
#include "storage/metrics.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

constexpr std::size_t kMostEnvironmentBytes = std::size_t{1} << 24;

/// What a process that was killed while it wrote left behind. No other process writes here: the folder is
/// locked.
void remove_leftovers(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp")) fs::remove(entry.path(), ignored);
  }
}

/// Where the run began, and in "resumed" where and from which iteration it went on.
void write_environment(const fs::path& path, const Environment& environment, std::size_t iterations) {
  using Json = nlohmann::ordered_json;
  Json here{{"date", environment.date},         {"version", environment.version},
            {"numerics", environment.numerics}, {"compiler", environment.compiler},
            {"cpu", environment.cpu},           {"simd_target", environment.simd_target},
            {"threads", environment.threads},   {"seed", environment.seed}};
  if (iterations > 0 && fs::exists(path)) {
    Json before = Json::parse(read_file(path, kMostEnvironmentBytes), nullptr, false);
    here["iteration"] = iterations;
    if (before.is_object() && (!before.contains("resumed") || before["resumed"].is_array())) {
      before["resumed"].push_back(std::move(here));
      here = std::move(before);
    }
  }
  write_file_whole(path, here.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

/// How many rows of monitors.csv belong to epochs that are done.
std::size_t monitor_rows(const fs::path& path, std::size_t epochs) {
  std::ifstream file(path);
  std::string row;
  std::size_t rows = 0;
  for (std::getline(file, row); std::getline(file, row); ++rows) {
    std::size_t epoch = 0;
    if (std::from_chars(row.data(), row.data() + row.size(), epoch).ec != std::errc() || epoch > epochs)
      break;
  }
  return rows;
}

bool is_validated(const RunState& run) { return parse_recipe(run.recipe_toml, "recipe").validation > 0; }

CheckpointEvery checked(const CheckpointEvery& every) {
  check_range("run_recorder", "minutes", every.minutes, at_least(0));
  if (every.minutes == 0)
    check_range("run_recorder", "epochs", static_cast<double>(every.epochs), at_least(1));
  return every;
}

/// The folder, with all in it but the tables and the checkpoints. From here on it can be resumed.
const fs::path& prepared(const fs::path& folder, const RunState& run, const Trainer& trainer) {
  remove_leftovers(folder);
  write_file_whole(folder / run_folder::kRecipe, run.recipe_toml);
  write_environment(folder / run_folder::kEnvironment, environment_of(trainer),
                    trainer.position().iterations);
  return folder;
}

}  // namespace

CheckpointEvery CheckpointEvery::parse(const std::string& text) {
  const char* const end = text.data() + text.size();
  CheckpointEvery every;
  const auto [behind, error] = std::from_chars(text.data(), end, every.epochs);
  const bool epochs = behind == end || (*behind == 'e' && behind + 1 == end);
  if (error == std::errc() && epochs && every.epochs > 0) return every;
  const auto [unit, wrong] = std::from_chars(text.data(), end, every.minutes);
  const bool minutes = unit != end && *unit == 'm' && unit + 1 == end;
  if (wrong == std::errc() && minutes && every.minutes > 0 && every.minutes < 1e6) return every;
  throw RecipeError(
      fmt::format("expected a number of epochs > 0 (2, 2e) or of minutes > 0 (10m), got '{}'", text));
}

/// The tables that grow, and where the latest checkpoint was written.
struct RunRecorder::Tables {
  using Clock = std::chrono::steady_clock;

  Tables(const fs::path& folder, const RunState& run, const Trainer& trainer)
      : metrics(prepared(folder, run, trainer) / run_folder::kMetrics, metrics_header(is_validated(run))),
        iterations(folder / run_folder::kIterations, run_folder::kIterationsHeader,
                   trainer.position().iterations) {
    if (trainer.options().monitors) {
      const fs::path path = folder / run_folder::kMonitors;
      monitors.emplace(path, run_folder::kMonitorsHeader, monitor_rows(path, trainer.position().epoch - 1));
    }
    for (const EpochRecord& epoch : run.epochs) metrics.row(metrics_row(epoch));
    metrics.flush();
  }

  CsvFile metrics;
  CsvFile iterations;
  std::optional<CsvFile> monitors;
  std::size_t saved_iterations = 0;  // the position of the latest checkpoint
  std::size_t saved_epoch = 0;
  Clock::time_point saved_at;
};

RunRecorder::RunRecorder(run_folder::Lock lock, RunState run, Trainer& trainer, const CheckpointEvery& every)
    : lock_(std::move(lock)),
      run_(std::move(run)),
      every_(checked(every)),
      tables_(std::make_unique<Tables>(folder(), run_, trainer)) {
  save_latest(trainer);
}

RunRecorder::~RunRecorder() = default;

void RunRecorder::iteration(const IterationRecord& record, Trainer& trainer) {
  tables_->iterations.row(
      fmt::format("{},{},{},{}", record.iteration, record.loss, record.batch_acc, record.grad_norm));
  const std::chrono::duration<double> since = Tables::Clock::now() - tables_->saved_at;
  if (every_.minutes > 0 && since.count() > 60 * every_.minutes) save_latest(trainer);
}

void RunRecorder::epoch(const EpochRecord& record, Trainer& trainer) {
  const bool best = std::ranges::none_of(
      run_.epochs, [&](const EpochRecord& before) { return before.score() >= record.score(); });
  run_.epochs.push_back(record);
  // The best first: a training that goes on from the latest has passed the best.
  if (best) save_checkpoint(folder() / run_folder::kBest, run_, trainer);
  if (every_.minutes == 0 && record.epoch % every_.epochs == 0) save_latest(trainer);
  tables_->metrics.row(metrics_row(record));
  tables_->metrics.flush();
  tables_->iterations.flush();
  std::optional<CsvFile>& monitors = tables_->monitors;
  if (!monitors.has_value()) return;
  for (const LayerActivity& a : record.activity) {
    monitors->row(fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}", record.epoch, a.layer, a.kind, a.neurons,
                              a.rate, a.dead, a.saturated, a.synops, a.macs, a.dense_macs, a.energy(),
                              a.dense_energy()));
  }
  monitors->flush();
}

void RunRecorder::end(Trainer& trainer) {
  const TrainerPosition& position = trainer.position();
  if (position.iterations != tables_->saved_iterations || position.epoch != tables_->saved_epoch)
    save_latest(trainer);
}

/// The rows that belong to a checkpoint are on the disk before it is.
void RunRecorder::save_latest(Trainer& trainer) {
  tables_->iterations.sync();
  save_checkpoint(folder() / run_folder::kLatest, run_, trainer);
  tables_->saved_iterations = trainer.position().iterations;
  tables_->saved_epoch = trainer.position().epoch;
  tables_->saved_at = Tables::Clock::now();
}

}  // namespace volley

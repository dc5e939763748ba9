#include "storage/run_folder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>
#include <system_error>

#include <volley/error.hpp>
#include <volley/trainer.hpp>

#include "core/files.hpp"
#include "storage/checkpoint.hpp"

namespace fs = std::filesystem;

namespace volley {

CsvFile::CsvFile(const fs::path& path, std::string_view header)
    : path_(path), file_(std::fopen(path.c_str(), "wbe")) {
  if (file_ == nullptr) fail(errno);
  row(header);
  flush();
}

void CsvFile::row(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() ||
      std::fputc('\n', file_.get()) == EOF) {
    fail(errno);
  }
}

void CsvFile::flush() {
  errno = 0;
  if (std::fflush(file_.get()) != 0) fail(errno);
}

void CsvFile::fail(int code) const {
  throw Error(fmt::format("{}: cannot write: {}", path_.string(), std::generic_category().message(code)));
}

namespace run_folder {
namespace {

/// Makes the folder and those above it; false when it was there already.
bool make(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  if (error) throw Error(fmt::format("{}: cannot make the run folder: {}", folder.string(), error.message()));
  return made;
}

}  // namespace

fs::path create(const std::string& recipe_name, const fs::path& folder) {
  if (!folder.empty()) {
    std::error_code error;
    if (!make(folder) && !fs::is_empty(folder, error)) {
      throw Error(fmt::format("{}: expected a new or empty run folder, found {}", folder.string(),
                              error ? error.message() : "one with files in it"));
    }
    return folder;
  }
  std::tm local{};
  const std::time_t now = std::time(nullptr);
  ::localtime_r(&now, &local);
  const std::string name = fmt::format("{}-{:%Y%m%d-%H%M%S}", recipe_name, local);
  fs::path path = fs::path("runs") / name;
  for (int i = 2; !make(path); ++i) path = fs::path("runs") / fmt::format("{}-{}", name, i);
  return path;
}

Recipe load_recipe(const fs::path& folder) {
  const fs::path path = folder / kRecipe;
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw Error(fmt::format("{}: expected a run folder with a {}, found none", folder.string(), kRecipe));
  }
  try {
    return volley::load_recipe(path.string());
  } catch (const RecipeError& wrong) {
    throw Error(wrong.what());  // not what the user asked for is wrong, but what a run left
  }
}

}  // namespace run_folder

RunRecorder::RunRecorder(const fs::path& folder, const Recipe& recipe, const Environment& environment)
    : folder_(folder),
      recipe_toml_(to_toml(recipe)),
      metrics_(folder / run_folder::kMetrics,
               "epoch,train_loss,train_acc,test_loss,test_acc,max_test_acc,train_samples_per_second,"
               "test_samples_per_second,seconds"),
      iterations_(folder / run_folder::kIterations, "iteration,loss,batch_acc,grad_norm") {
  write_file_whole(folder / run_folder::kRecipe, recipe_toml_);
  const nlohmann::ordered_json json{{"date", environment.date},
                                    {"version", environment.version},
                                    {"compiler", environment.compiler},
                                    {"cpu", environment.cpu},
                                    {"simd_target", environment.simd_target},
                                    {"threads", environment.threads},
                                    {"seed", environment.seed}};
  write_file_whole(folder / run_folder::kEnvironment, json.dump(2) + "\n");
}

void RunRecorder::iteration(const IterationRecord& record) {
  iterations_.row(
      fmt::format("{},{},{},{}", record.iteration, record.loss, record.batch_acc, record.grad_norm));
}

void RunRecorder::epoch(const EpochRecord& record, Trainer& trainer) {
  // Checkpoints first: a row in metrics.csv says that its epoch is kept.
  const auto save = [&](const char* name) {
    save_checkpoint(folder_ / name, recipe_toml_, record, trainer.net(), trainer.optimizer());
  };
  save(run_folder::kLatest);
  if (record.test_acc > best_acc_) {
    best_acc_ = record.test_acc;
    save(run_folder::kBest);
  }
  iterations_.flush();
  metrics_.row(fmt::format("{},{},{},{},{},{},{:.1f},{:.1f},{:.3f}", record.epoch, record.train_loss,
                           record.train_acc, record.test_loss, record.test_acc, record.max_test_acc,
                           record.train_samples_per_second, record.test_samples_per_second, record.seconds));
  metrics_.flush();
}

void RunRecorder::flush() { iterations_.flush(); }

}  // namespace volley

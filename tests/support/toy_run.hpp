#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/run_recorder.hpp>

#include "core/files.hpp"
#include "storage/safetensors.hpp"
#include "support/stripes.hpp"

namespace volley::test {

/// A training of a moment on the stripes: 5 batches an epoch, the last of them half a one.
inline Recipe toy_recipe(const std::vector<std::string>& settings = {}) {
  return with_settings(parse_recipe(R"(
    epochs = 3
    [training]
    steps = 6
    batch = 20
    drop_last = false
    threads = 2
    seed = 3
    [optimizer]
    kind = "adam"
    lr = 0.01
    [[network]]
    kind = "flatten"
    [[network]]
    kind = "linear"
    in = 36
    out = 8
    [[network]]
    kind = "lif"
    [[network]]
    kind = "linear"
    in = 8
    out = 3
    [[network]]
    kind = "lif"
  )",
                                    "toy"),
                       settings);
}
inline constexpr std::size_t kToySteps = 15;

inline Split toy_split() { return {stripes(90, 1), stripes(45, 2)}; }

/// What a recipe and the toy data make.
struct ToyTraining {
  Recipe recipe;
  Split data = toy_split();
  Sequential net;
  Trainer trainer;

  explicit ToyTraining(const Recipe& from)
      : recipe(from),
        net(recipe.build_network(data.train)),
        trainer(net, recipe.build_parts(), recipe.training) {}

  History fit(Recorder* recorder = nullptr) {
    return trainer.fit(data.train, data.test, recipe.epochs - (trainer.position().epoch - 1), recorder);
  }
};

/// Trains into `folder` as `volley train` does, or goes on there as `volley train --resume` does. `watch` is
/// told everything after the run folder was.
class ToyRun final : public Recorder {
 public:
  ToyRun(const std::filesystem::path& folder, const Recipe& recipe, const CheckpointEvery& every = {},
         Recorder* watch = nullptr)
      : training_(recipe), watch_(watch) {
    RunState state{.recipe_toml = to_toml(recipe), .data_sha256 = sha256_of(training_.data)};
    std::optional<run_folder::Lock> lock;
    if (std::filesystem::exists(folder / run_folder::kRecipe)) {
      run_folder::Paused paused = run_folder::open(folder);
      run_folder::check_unchanged(paused, recipe, state.data_sha256);
      if (paused.checkpoint) {
        paused.checkpoint->load_into(training_.trainer);
        state.epochs = paused.checkpoint->run().epochs;
      }
      lock.emplace(std::move(paused.lock));
    } else {
      lock.emplace(run_folder::create("toy", folder));
    }
    run_.emplace(std::move(*lock), std::move(state), training_.trainer, every);
  }

  /// To the end, or until `watch` stops it.
  History train() {
    const History history = training_.fit(this);
    run_->end(training_.trainer);
    return history;
  }
  ToyTraining& training() { return training_; }

  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override {
    if (watch_ != nullptr) watch_->begin(epochs, iterations, test_batches);
  }
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    run_->iteration(record, trainer);
    if (watch_ != nullptr) watch_->iteration(record, trainer);
  }
  void test_batch(std::size_t done, std::size_t total) override {
    if (watch_ != nullptr) watch_->test_batch(done, total);
  }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    run_->epoch(record, trainer);
    if (watch_ != nullptr) watch_->epoch(record, trainer);
  }
  bool stop() override { return watch_ != nullptr && watch_->stop(); }

 private:
  ToyTraining training_;
  Recorder* watch_;
  std::optional<RunRecorder> run_;
};

/// The columns of metrics.csv that do not tell the time.
inline std::string without_times(const std::string& metrics) {
  std::string text;
  std::size_t column = 0;
  for (const char c : metrics) {
    if (c == '\n') column = 0;
    if (c == ',') ++column;
    if (column < 6) text += c;
  }
  return text;
}

/// All that must be the same in two run folders, however often their trainings were interrupted: the bytes of
/// every tensor of both checkpoints, the tables but for the times, and the recipe.
struct RunResult {
  std::string recipe, metrics, iterations;
  std::vector<std::pair<std::string, std::vector<float>>> tensors;

  bool operator==(const RunResult&) const = default;
};

inline RunResult result_of(const std::filesystem::path& folder) {
  constexpr std::size_t kMost = std::size_t{1} << 26;
  RunResult result{.recipe = read_file(folder / run_folder::kRecipe, kMost),
                   .metrics = without_times(read_file(folder / run_folder::kMetrics, kMost)),
                   .iterations = read_file(folder / run_folder::kIterations, kMost)};
  for (const char* name : {run_folder::kLatest, run_folder::kBest}) {
    for (const auto& [key, tensor] : read_safetensors(folder / name).tensors) {
      const std::span<const float> values = tensor.values();
      result.tensors.emplace_back(std::string(name) + " " + key,
                                  std::vector<float>(values.begin(), values.end()));
    }
  }
  return result;
}

}  // namespace volley::test

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/volley.hpp>

#include "storage/safetensors.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::toy_recipe;
using test::ToyTraining;

std::vector<EpochRecord> epochs_with(const std::vector<double>& test_accs) {
  std::vector<EpochRecord> epochs;
  for (const double acc : test_accs) epochs.push_back({.epoch = epochs.size() + 1, .test_acc = acc});
  return epochs;
}

TEST(EarlyStopping, CountsTheEpochsBehindTheFirstBest) {
  EXPECT_EQ(epochs_since_best({}), 0u);
  EXPECT_EQ(epochs_since_best(epochs_with({0})), 0u);
  EXPECT_EQ(epochs_since_best(epochs_with({0.1, 0.3, 0.2, 0.3})), 2u) << "as high is not better";
  EXPECT_EQ(epochs_since_best(epochs_with({0.1, 0.3, 0.2, 0.4})), 0u);
  std::vector<EpochRecord> epochs = epochs_with({0.1, 0.3, 0.4});
  for (EpochRecord& e : epochs) e.validation = ValidationRecord{.acc = 1.0 / static_cast<double>(e.epoch)};
  EXPECT_EQ(epochs_since_best(epochs), 2u) << "the score is the validation accuracy where there is one";
}

/// A training whose accuracy cannot change: it learns nothing.
Recipe still_recipe(std::vector<std::string> settings = {}) {
  settings.insert(settings.begin(), {"epochs=9", "optimizer=sgd", "optimizer.lr=0", "encoder=direct"});
  return toy_recipe(settings);
}

TEST(EarlyStopping, EndsAfterSoManyEpochsWithoutABetterScore) {
  for (const std::size_t patience : {1, 2, 5}) {
    ToyTraining toy(still_recipe({fmt::format("training.early_stopping={}", patience)}));
    const History history = toy.fit();
    EXPECT_EQ(history.epochs.size(), 1 + patience);
    EXPECT_TRUE(history.stopped_early);
    EXPECT_FALSE(history.stopped);
    EXPECT_EQ(toy.trainer.position().epochs_since_best, patience);
    const History again = toy.fit();
    EXPECT_TRUE(again.epochs.empty()) << "it has ended";
    EXPECT_TRUE(again.stopped_early);
  }
  ToyTraining off(still_recipe()), just(still_recipe({"training.early_stopping=8"}));
  EXPECT_EQ(off.fit().epochs.size(), 9u);
  const History whole = just.fit();
  EXPECT_EQ(whole.epochs.size(), 9u);
  EXPECT_FALSE(whole.stopped_early) << "the last epoch ended it";
}

TEST(EarlyStopping, ScoresByWhatIsHeldOut) {
  Recipe recipe = toy_recipe({"epochs=12", "training.early_stopping=2", "optimizer.lr=0.02"});
  ToyTraining toy(recipe);
  Split data = toy.data;
  hold_out(data, 30, 1);
  const History history = toy.trainer.fit(data, recipe.epochs);
  EXPECT_EQ(toy.trainer.position().epochs_since_best, epochs_since_best(history.epochs));
  for (std::size_t n = 1; n < history.epochs.size(); ++n) {
    const std::vector<EpochRecord> before(history.epochs.begin(),
                                          history.epochs.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_LT(epochs_since_best(before), 2u) << "it would have ended after epoch " << n;
  }
  EXPECT_EQ(history.stopped_early, history.epochs.size() < 12);
}

/// Stops after some steps.
struct StopAfter : Recorder {
  std::size_t left;
  explicit StopAfter(std::size_t steps) : left(steps) {}
  bool stop() override { return left-- == 0; }
};

TEST(EarlyStopping, CountsOnAfterACheckpoint) {
  const Recipe recipe = still_recipe({"training.early_stopping=3"});
  const test::TempFolder folder;
  ToyTraining first(recipe), second(recipe);
  StopAfter stop(2 * (test::kToySteps / 3 + 3) + 2);  // steps and test batches of two epochs, and two more
  const History begun = first.fit(&stop);
  ASSERT_EQ(begun.epochs.size(), 2u);
  save_checkpoint(folder / "c", {.recipe_toml = to_toml(recipe), .epochs = begun.epochs}, first.trainer);
  Checkpoint(folder / "c").load_into(second.trainer);
  const History ended = second.fit();
  EXPECT_EQ(begun.epochs.size() + ended.epochs.size(), 4u);
  EXPECT_TRUE(ended.stopped_early);
}

TEST(EarlyStopping, CountsTheRecordedEpochsOfAnOldCheckpoint) {
  const Recipe recipe = still_recipe({"epochs=3"});
  const test::TempFolder folder;
  ToyTraining toy(recipe);
  const History history = toy.fit();
  save_checkpoint(folder / "c", {.recipe_toml = to_toml(recipe), .epochs = history.epochs}, toy.trainer);
  SafetensorsFile file = read_safetensors(folder / "c");
  for (const char* key : {"position.epochs_since_best", "position.weight_sum", "sha256"})
    file.metadata.erase(key);
  std::vector<SafetensorsEntry> entries;
  for (auto& [name, tensor] : file.tensors) entries.push_back({name, &tensor});
  write_safetensors(folder / "old", entries, file.metadata);
  EXPECT_EQ(Checkpoint(folder / "old").position().epochs_since_best, 2u);
  EXPECT_EQ(Checkpoint(folder / "old").position().weight_sum, 0);
}

}  // namespace
}  // namespace volley

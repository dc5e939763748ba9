#include <volley/run_recorder.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include <volley/volley.hpp>

#include "core/files.hpp"
#include "storage/safetensors.hpp"
#include "support/error_text.hpp"
#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
using test::result_of;
using test::toy_recipe;
using test::ToyRun;

std::string text_of(const fs::path& path) { return read_file(path, 1 << 20); }

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST(CheckpointEveryTest, IsOfEpochsOrMinutes) {
  EXPECT_EQ(CheckpointEvery::parse("2").epochs, 2u);
  EXPECT_EQ(CheckpointEvery::parse("30e").epochs, 30u);
  EXPECT_EQ(CheckpointEvery::parse("10m").minutes, 10);
  EXPECT_EQ(CheckpointEvery::parse("0.5m").minutes, 0.5);
  for (const char* wrong :
       {"", "0", "0e", "-1", "2x", "2ee", "m", "0m", "-1m", "nanm", "infm", "2 ", "1.5e"}) {
    EXPECT_EQ(
        error_text([&] { CheckpointEvery::parse(wrong); }),
        fmt::format("expected a number of epochs > 0 (2, 2e) or of minutes > 0 (10m), got '{}'", wrong));
  }
}

TEST(RunRecorderTest, TellsOfValidationAndOfWhatTheLayersDid) {
  const test::TempFolder folder;
  Recipe recipe = load_recipe("lif_fc_mnist");
  recipe.validation = 0.1;
  Sequential net = recipe.build_network(Shape{1, 28, 28});
  Trainer trainer(net, recipe.build_parts());
  RunRecorder recorder(run_folder::Lock(folder.path()), {.recipe_toml = to_toml(recipe)}, trainer);
  const auto epoch = [&](std::size_t number, double test_acc, double validation_acc) {
    EpochRecord record{
        .epoch = number, .test_acc = test_acc, .validation = ValidationRecord{0.5, validation_acc, 0.75}};
    record.activity = {{.layer = "2", .kind = "lif", .neurons = 10, .rate = 0.5, .dead = 1, .saturated = 2},
                       {.layer = "1", .kind = "linear", .synops = 20, .macs = 10, .dense_macs = 5}};
    trainer.set_position({.epoch = number + 1});
    recorder.epoch(record, trainer);
  };
  epoch(1, 0.75, 0.5);
  epoch(2, 0.5, 0.625);
  epoch(3, 0.875, 0.625);
  EXPECT_EQ(text_of(folder / "metrics.csv"),
            "epoch,train_loss,train_acc,test_loss,test_acc,max_test_acc,train_samples_per_second,"
            "test_samples_per_second,seconds,validation_loss,validation_acc,test_acc_at_best_validation\n"
            "1,0,0,0,0.75,0,0.0,0.0,0.000,0.5,0.5,0.75\n"
            "2,0,0,0,0.5,0,0.0,0.0,0.000,0.5,0.625,0.75\n"
            "3,0,0,0,0.875,0,0.0,0.0,0.000,0.5,0.625,0.75\n");
  EXPECT_EQ(Checkpoint(folder / "checkpoint_best.safetensors").epoch().epoch, 2u)
      << "the first best on validation";
  EXPECT_TRUE(
      text_of(folder / "monitors.csv")
          .starts_with("epoch,layer,kind,neurons,rate,dead,saturated,synops,macs,dense_macs,energy_pj,"
                       "dense_energy_pj\n"
                       "1,2,lif,10,0.5,1,2,0,0,0,0,0\n"
                       "1,1,linear,0,0,0,0,20,10,5,64,23\n"
                       "2,2,lif,"));
}

TEST(RunRecorderTest, KeepsWhatATrainingShowed) {
  const test::TempFolder folder;
  const Recipe recipe = load_recipe("lif_fc_mnist");
  Sequential net = recipe.build_network(Shape{1, 28, 28});
  Trainer trainer(net, recipe.build_parts(), {.seed = 7, .threads = 2});
  RunRecorder recorder(run_folder::Lock(folder.path()), {.recipe_toml = to_toml(recipe)}, trainer);
  EXPECT_EQ(to_toml(run_folder::load_recipe(folder.path())), to_toml(recipe));
  const auto environment = nlohmann::json::parse(text_of(folder / "environment.json"));
  EXPECT_EQ(environment["threads"], 2);
  EXPECT_EQ(environment["seed"], 7);
  EXPECT_EQ(Checkpoint(folder / "checkpoint_latest.safetensors").epoch().epoch, 0u)
      << "there is a checkpoint before the first step";

  const auto epoch = [&](std::size_t number, double test_acc, double max_test_acc) {
    trainer.set_position({.epoch = number, .iteration = 1, .iterations = number});
    recorder.iteration(
        {.epoch = number, .iteration = number, .loss = 0.1, .batch_acc = 0.5, .grad_norm = 1e-9}, trainer);
    trainer.set_position({.epoch = number + 1, .iterations = number});
    recorder.epoch({.epoch = number,
                    .train_loss = 0.25,
                    .train_acc = 1.0 / 3,
                    .test_acc = test_acc,
                    .max_test_acc = max_test_acc,
                    .train_samples_per_second = 123456.78,
                    .seconds = 1.5},
                   trainer);
  };
  epoch(1, 0.5, 0.5);
  epoch(2, 0.75, 0.75);
  epoch(3, 0.75, 0.75);
  const std::string row = "0.25,0.3333333333333333,0,";
  EXPECT_EQ(text_of(folder / "metrics.csv"),
            "epoch,train_loss,train_acc,test_loss,test_acc,max_test_acc,train_samples_per_second,"
            "test_samples_per_second,seconds\n"
            "1," +
                row +
                "0.5,0.5,123456.8,0.0,1.500\n"
                "2," +
                row +
                "0.75,0.75,123456.8,0.0,1.500\n"
                "3," +
                row + "0.75,0.75,123456.8,0.0,1.500\n");
  EXPECT_EQ(text_of(folder / "iterations.csv"),
            "iteration,loss,batch_acc,grad_norm\n1,0.1,0.5,1e-09\n2,0.1,0.5,1e-09\n3,0.1,0.5,1e-09\n");
  EXPECT_EQ(Checkpoint(folder / "checkpoint_latest.safetensors").epoch().epoch, 3u);
  EXPECT_EQ(Checkpoint(folder / "checkpoint_best.safetensors").epoch().epoch, 2u);
  EXPECT_EQ(Checkpoint(folder / "checkpoint_best.safetensors").run().recipe_toml, to_toml(recipe));
}

/// Copies the run folder at every event of a training: what is on the disk then is what a process killed
/// there leaves.
struct Snapshots : Recorder {
  Snapshots(fs::path from, fs::path into) : from_(std::move(from)), into_(std::move(into)) {}

  void take() { fs::copy(from_, into_ / std::to_string(count++)); }
  void begin(std::size_t, std::size_t, std::size_t) override { take(); }
  void iteration(const IterationRecord&, Trainer&) override { take(); }
  void test_batch(std::size_t, std::size_t) override { take(); }
  void epoch(const EpochRecord&, Trainer&) override { take(); }

  std::size_t count = 0;

 private:
  fs::path from_, into_;
};

TEST(RunRecorderTest, AKillAtAnyEventLeavesAFolderThatGoesOnToTheSameEnd) {
  const Recipe recipe = toy_recipe();
  for (const CheckpointEvery every : {CheckpointEvery{}, CheckpointEvery{.epochs = 2},
                                      CheckpointEvery{.minutes = 1e-9}, CheckpointEvery{.minutes = 1e5}}) {
    SCOPED_TRACE(fmt::format("{} epochs, {} minutes", every.epochs, every.minutes));
    const test::TempFolder folder;
    Snapshots snapshots(folder / "run", folder.path());
    EXPECT_EQ(ToyRun(folder / "run", recipe, every, &snapshots).train().epochs.size(), 3u);
    const test::RunResult expected = result_of(folder / "run");
    ASSERT_GT(snapshots.count, test::kToySteps);
    for (std::size_t i = 0; i < snapshots.count; ++i) {
      const fs::path copy = folder / std::to_string(i);
      ToyRun(copy, recipe, every).train();
      EXPECT_TRUE(result_of(copy) == expected) << "killed at event " << i;
      EXPECT_EQ(entries_in(copy), 7u);
    }
  }
}

/// Stops a training after its seventh step.
struct StopAtSeven : Recorder {
  std::size_t steps = 0;
  void iteration(const IterationRecord&, Trainer&) override { ++steps; }
  bool stop() override { return steps == 7; }
};

class Interrupted : public ::testing::Test {
 protected:
  Interrupted() {
    StopAtSeven stop;
    EXPECT_TRUE(ToyRun(run(), recipe_, {}, &stop).train().stopped);
  }
  fs::path run() const { return folder_ / "run"; }
  std::string resume_error(const Recipe& recipe) {
    return error_text([&] { ToyRun(run(), recipe); });
  }

  test::TempFolder folder_;
  Recipe recipe_ = toy_recipe();
};

TEST_F(Interrupted, WhatAKilledWriterLeftIsOverwrittenOrRemoved) {
  ToyRun(folder_ / "whole", recipe_).train();
  std::ofstream(run() / "iterations.csv", std::ios::app) << "8,0.5,0.5,0.5\n9,0.";
  std::ofstream(run() / "metrics.csv") << "epoch,tr";
  std::ofstream(run() / ".checkpoint_latest.safetensors.99.0.tmp") << "half";
  ToyRun(run(), recipe_).train();
  EXPECT_TRUE(result_of(run()) == result_of(folder_ / "whole"));
  EXPECT_EQ(entries_in(run()), 7u);
  const auto environment = nlohmann::json::parse(text_of(run() / "environment.json"));
  EXPECT_EQ(environment["resumed"].size(), 1u);
  EXPECT_EQ(environment["resumed"][0]["iteration"], 7);
}

TEST_F(Interrupted, WithARecipeAloneItBeginsAtTheBeginning) {
  fs::create_directory(folder_ / "bare");
  fs::copy(run() / "recipe.toml", folder_ / "bare/recipe.toml");
  ToyRun(folder_ / "bare", recipe_).train();
  ToyRun(folder_ / "whole", recipe_).train();
  EXPECT_TRUE(result_of(folder_ / "bare") == result_of(folder_ / "whole"));
}

TEST_F(Interrupted, WithItsCheckpointGoneItIsNotBegunAnew) {
  fs::remove(run() / "checkpoint_latest.safetensors");
  EXPECT_EQ(
      resume_error(recipe_),
      run().string() + ": expected a checkpoint_latest.safetensors, found none, though there were steps");
}

TEST_F(Interrupted, WhatWouldGiveAnotherEndIsNamedAndRefused) {
  const std::string before = text_of(run() / "checkpoint_latest.safetensors");
  const std::string begin =
      run().string() + ": going on would not give what a training without interruption gives:\n    ";
  EXPECT_EQ(resume_error(toy_recipe({"optimizer.lr=0.5", "network.2.tau=3"})),
            begin +
                "network.2.tau was 2, is 3\n    optimizer.lr was 0.01, is 0.5\n"
                "  --force goes on all the same");
  std::ofstream(run() / "iterations.csv") << "iteration,loss,batch_acc,grad_norm\n1,2,3,4\n";
  EXPECT_EQ(resume_error(recipe_), begin +
                                       "iterations.csv had 7 rows at the checkpoint, has 1\n"
                                       "  --force goes on all the same");
  run_folder::Paused paused = run_folder::open(run());
  Split other = test::toy_split();
  other.train.pixels[5] ^= 1;
  const std::string text =
      error_text([&] { run_folder::check_unchanged(paused, recipe_, sha256_of(other)); });
  expect_has(text, fmt::format("the SHA-256 of the data was {}, is {}", sha256_of(test::toy_split()),
                               sha256_of(other)));
  EXPECT_EQ(text_of(run() / "checkpoint_latest.safetensors"), before);
}

TEST_F(Interrupted, AnotherVersionIsNamed) {
  SafetensorsFile file = read_safetensors(run() / "checkpoint_latest.safetensors");
  file.metadata["volley_version"] = "0.0.9";
  std::vector<SafetensorsEntry> tensors;
  for (const auto& [name, tensor] : file.tensors) tensors.push_back({name, &tensor});
  write_safetensors(run() / "checkpoint_latest.safetensors", tensors, file.metadata);
  expect_has(resume_error(recipe_), "the version of volley was 0.0.9, is ");
}

TEST_F(Interrupted, EpochsThreadsAndWhatToDoWithNaNMayDiffer) {
  const Recipe other = toy_recipe({"epochs=5", "training.threads=1", "training.on_non_finite=skip"});
  ToyRun(run(), other).train();
  ToyRun(folder_ / "whole", other).train();
  EXPECT_TRUE(result_of(run()) == result_of(folder_ / "whole"));
}

TEST_F(Interrupted, AFullDiskIsOneClearErrorAndTheOldCheckpointIsWhole) {
  const std::string before = text_of(run() / "checkpoint_latest.safetensors");
  {
    const test::FileSizeLimit limit(before.size() - 1);
    EXPECT_EQ(resume_error(recipe_),
              (run() / "checkpoint_latest.safetensors").string() + ": cannot write: File too large");
  }
  EXPECT_EQ(text_of(run() / "checkpoint_latest.safetensors"), before);
  EXPECT_EQ(entries_in(run()), 7u);
  ToyRun(folder_ / "whole", recipe_).train();
  ToyRun(run(), recipe_).train();
  EXPECT_TRUE(result_of(run()) == result_of(folder_ / "whole"));
}

TEST_F(Interrupted, ATableThatCannotGrowIsNamed) {
  ToyRun toy(run(), recipe_, {.minutes = 1e-9});
  const auto size = fs::file_size(run() / "iterations.csv");
  const test::FileSizeLimit limit(size + 10);
  EXPECT_EQ(error_text([&] { toy.train(); }),
            (run() / "iterations.csv").string() + ": cannot write: File too large");
}

TEST_F(Interrupted, AFolderRemovedUnderWayIsOneClearError) {
  ToyRun toy(run(), recipe_);
  fs::remove_all(run());
  EXPECT_EQ(error_text([&] { toy.train(); }),
            (run() / "iterations.csv").string() + ": cannot write: No such file or directory");
}

TEST_F(Interrupted, ATableRemovedUnderWayIsOneClearError) {
  for (const char* table : {"metrics.csv", "iterations.csv", "monitors.csv"}) {
    const fs::path folder = folder_ / table;
    fs::create_directory(folder);
    ToyRun toy(folder, recipe_);
    fs::remove(folder / table);
    EXPECT_EQ(error_text([&] { toy.train(); }),
              (folder / table).string() + ": cannot write: No such file or directory");
  }
}

TEST_F(Interrupted, AReadOnlyFolderIsOneClearError) {
  const std::string expected = ".*recipe.toml: cannot write: (Permission denied|Read-only file system)";
  fs::permissions(folder_.path(), fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
  ::chmod(run().c_str(), 0555);
  EXPECT_EXIT(
      {
        // Root may write anywhere, so the child is nobody.
        if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(9);
        try {
          ToyRun(run(), recipe_);
        } catch (const Error& error) {
          fmt::print(stderr, "{}", error.what());
          ::_exit(1);
        }
        ::_exit(0);
      },
      ::testing::ExitedWithCode(1), expected);
  ::chmod(run().c_str(), 0755);
}

TEST_F(Interrupted, ATableThatIsNoFileIsRefused) {
  fs::remove(run() / "iterations.csv");
  ASSERT_EQ(::mkfifo((run() / "iterations.csv").c_str(), 0600), 0);
  EXPECT_EQ(resume_error(recipe_), (run() / "iterations.csv").string() + ": must be a regular file");
}

}  // namespace
}  // namespace volley

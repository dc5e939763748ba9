#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/file_size_limit.hpp"
#include "support/random.hpp"
#include "support/running_program.hpp"
#include "support/slice_training.hpp"
#include "support/toy_run.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using std::chrono::microseconds;
using test::expect_has;
using test::result_of;
using test::run_volley;
using test::RunningProgram;

constexpr std::size_t kMost = std::size_t{1} << 26;

class ResumeCommand : public test::SliceTraining {
 protected:
  ResumeCommand() : SliceTraining(6400, 300, 20) {}

  std::vector<std::string> training(const fs::path& out, const std::string& epochs = "3") const {
    return SliceTraining::training(out, epochs);
  }
  std::string run_failed(const std::vector<std::string>& arguments) const {
    const ProgramResult result = run_volley(arguments, {.folder = folder_.path()});
    EXPECT_EQ(result.end, ProgramResult::End::exited);
    EXPECT_EQ(result.code, 1);
    return result.err;
  }
  static std::string latest(const fs::path& run) { return read_file(run / run_folder::kLatest, kMost); }
  /// Trains, and is stopped by `signal` when an epoch is done.
  std::string interrupted(const fs::path& run, int signal) const {
    RunningProgram program(training(run, "100000"), folder_ / "out");
    EXPECT_TRUE(program.wait_until([&] {
      return fs::exists(run / "metrics.csv") &&
             test::without_times(read_file(run / "metrics.csv", kMost)).find("\n1,") != std::string::npos;
    }));
    program.signal(signal);
    EXPECT_TRUE(program.ends_within(std::chrono::minutes(1)));
    EXPECT_EQ(program.code(), 130);
    return read_file(folder_ / "out", kMost);
  }
};

TEST_F(ResumeCommand, AfterASignalTheStepIsDoneTheCheckpointWrittenAndTheCommandPrinted) {
  VOLLEY_NEEDS_DATA("mnist");
  run_ok(training(folder_ / "whole", "4"));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const fs::path run = folder_ / fmt::format("a run {}", signal);
    const std::string out = interrupted(run, signal);
    const Checkpoint checkpoint(run / run_folder::kLatest);
    const std::string place = fmt::format("in epoch {}, after {} of its steps", checkpoint.position().epoch,
                                          checkpoint.position().iteration);
    if (checkpoint.position().iteration > 0)
      expect_has(out, "interrupted " + place + ": the checkpoint is written\n");
    expect_has(out, "resume      volley train --resume '" + run.string() + "' --data-dir ");
    const std::string iterations = read_file(run / run_folder::kIterations, kMost);
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(iterations, '\n')),
              1 + checkpoint.position().iterations);
    const std::size_t epochs = std::max<std::size_t>(4, checkpoint.position().epoch);
    if (epochs > 4) continue;  // this machine was slow to send the signal
    run_ok(resuming(run, {"--epochs", "4"}));
    EXPECT_EQ(Checkpoint(run / run_folder::kLatest).epoch().epoch, 4u);
    test::RunResult result = result_of(run);
    EXPECT_TRUE(result == result_of(folder_ / "whole"));
  }
}

TEST_F(ResumeCommand, ASecondCtrlCStopsAtOnce) {
  VOLLEY_NEEDS_DATA("mnist");
  std::vector<std::string> arguments = training(folder_ / "run");
  *(std::ranges::find(arguments, "-T") + 1) = "65536";  // a step of a second
  RunningProgram program(arguments, folder_ / "out");
  ASSERT_TRUE(program.wait_until([&] {
    return fs::exists(folder_ / "out") &&
           read_file(folder_ / "out", kMost).find("run folder") != std::string::npos;
  }));
  program.signal(SIGINT);
  program.ends_within(std::chrono::milliseconds(20));  // or the two would count as one
  program.signal(SIGINT);
  EXPECT_TRUE(program.ends_within(std::chrono::minutes(1)));
  if (program.code() == 130) GTEST_SKIP() << "the step was done before the second signal was sent";
  EXPECT_EQ(program.code(), -SIGINT);
  EXPECT_EQ(Checkpoint(folder_ / "run" / run_folder::kLatest).position().iterations, 0u);
}

// The promise of the whole page: killed at random moments, again and again, a training ends with the same
// bytes. VOLLEY_TEST_KILLS says how often; a few dozen unless set.
TEST_F(ResumeCommand, KilledAtRandomMomentsItEndsWithTheSameBytes) {
  VOLLEY_NEEDS_DATA("mnist");
  const char* asked = std::getenv("VOLLEY_TEST_KILLS");
  const std::size_t kills = asked != nullptr ? std::strtoul(asked, nullptr, 10) : 36;
  const auto start = std::chrono::steady_clock::now();
  run_ok(training(folder_ / "whole"));
  // However fast this machine is, a kill may come at any moment of a whole training.
  const auto whole_time =
      std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - start).count();
  const test::RunResult expected = result_of(folder_ / "whole");

  test::Random random(20261124);
  std::size_t killed = 0, in_training = 0;
  for (std::size_t number = 0; killed < kills; ++number) {
    const fs::path run = folder_ / std::to_string(number);
    const auto arguments = [&] {
      // Before there is a recipe nothing has begun, and the folder is as good as new.
      if (fs::exists(run / run_folder::kRecipe)) return resuming(run);
      fs::remove_all(run);
      return training(run);
    };
    std::size_t before = 0;
    for (int i = 0; i < 6 && killed < kills; ++i) {
      RunningProgram program(arguments(), folder_ / "out");
      if (program.ends_within(microseconds(random.below(static_cast<std::uint32_t>(whole_time))))) {
        ASSERT_EQ(program.code(), 0) << read_file(folder_ / "out", kMost);
        break;
      }
      program.kill();
      ++killed;
      if (!fs::exists(run / run_folder::kLatest)) continue;
      const TrainerPosition position = Checkpoint(run / run_folder::kLatest).position();
      EXPECT_GE(position.iterations, before) << "nothing that was kept is lost";
      before = position.iterations;
      in_training += position.iterations > 0;
    }
    run_ok(arguments());
    ASSERT_TRUE(result_of(run) == expected) << "run " << number;
    EXPECT_EQ(std::distance(fs::directory_iterator(run), {}), 7);
    fs::remove_all(run);
  }
  EXPECT_GT(in_training, 0u) << "no kill came while it trained: the test has shown nothing";
  RecordProperty("kills", std::to_string(killed));
  RecordProperty("kills_in_training", std::to_string(in_training));
}

TEST_F(ResumeCommand, AChangeThatWouldGiveAnotherEndIsRefusedUnlessForced) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  run_ok(training(run, "1"));
  const std::string before = latest(run);
  const std::string error =
      run_failed(resuming(run, {"--epochs", "2", "--lr", "0.5", "--set", "train_samples=3200"}));
  expect_has(error, "volley train: " + run.string() +
                        ": going on would not give what a training without interruption gives:\n"
                        "    optimizer.lr was 0.001, is 0.5\n"
                        "    train_samples was 6400, is 3200\n"
                        "    the SHA-256 of the data was ");
  expect_has(error, "\n  --force goes on all the same\n");
  EXPECT_EQ(latest(run), before);
  const std::string out = run_ok(resuming(run, {"--epochs", "2", "--lr", "0.5", "--force"}));
  expect_has(out, "resumed     after epoch 1\n");
  EXPECT_EQ(std::get<AdamOptions>(run_folder::load_recipe(run).optimizer).lr, 0.5f);
  EXPECT_EQ(Checkpoint(run / run_folder::kLatest).epoch().epoch, 2u);
}

TEST_F(ResumeCommand, ARecipeThatAsksForMoreThanTheCheckpointHoldsIsRefusedBeforeItIsBuilt) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  run_ok(training(run, "1"));
  const std::string found = "expected the parameter '1.weight' of shape (16777216, 784), found (10, 784)";
  expect_has(run_failed(resuming(run, {"--force", "--set", "network.1.out=16777216"})), found);
  Recipe recipe = run_folder::load_recipe(run);
  std::get<LinearRecipe>(recipe.network[1]).out = 1 << 24;
  write_file_whole(run / run_folder::kRecipe, to_toml(recipe));
  expect_has(run_failed({"eval", run.string(), "--data-dir", test::data_folder().string()}), found);
}

TEST_F(ResumeCommand, MoreEpochsGiveWhatSoManyGiveFromTheBeginning) {
  VOLLEY_NEEDS_DATA("mnist");
  run_ok(training(folder_ / "longer", "2"));
  run_ok(training(folder_ / "run", "1"));
  expect_has(run_ok(resuming(folder_ / "run")), "nothing was left to do: --epochs N trains on\n");
  run_ok(resuming(folder_ / "run", {"--epochs", "2", "--threads", "1"}));
  test::RunResult a = result_of(folder_ / "run"), b = result_of(folder_ / "longer");
  a.recipe = b.recipe;  // the number of threads is in it
  EXPECT_TRUE(a == b);
  const ProgramResult fewer = run_volley(resuming(folder_ / "run", {"--epochs", "1"}));
  EXPECT_EQ(fewer.code, 2);
  EXPECT_EQ(fewer.err, "volley train: --epochs: expected at least 2, which are done, got 1\n");
}

TEST_F(ResumeCommand, TwoTrainingsDoNotShareARunFolder) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  {
    RunningProgram first(training(run, "100000"), folder_ / "out");
    ASSERT_TRUE(first.wait_until([&] { return fs::exists(run / run_folder::kLatest); }));
    EXPECT_EQ(run_failed(resuming(run)),
              "volley train: " + run.string() + ": another training is writing into this run folder\n");
    EXPECT_EQ(run_failed(training(run)),
              "volley train: " + run.string() + ": another training is writing into this run folder\n");
  }  // killed
  EXPECT_EQ(run_failed(training(run)), "volley train: " + run.string() +
                                           ": expected a new or empty run folder, found one with files in "
                                           "it\n");
  run_ok({"eval", run.string(), "--checkpoint", "latest", "--data-dir", test::data_folder().string()});
}

TEST_F(ResumeCommand, AFullDiskEndsItWithOneErrorAndTheOldCheckpointWhole) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  run_ok(training(run, "1"));
  const std::string before = latest(run);
  {
    const test::FileSizeLimit limit(before.size() - 1);
    EXPECT_EQ(run_failed(resuming(run, {"--epochs", "2"})),
              "volley train: " + (run / run_folder::kLatest).string() + ": cannot write: File too large\n");
  }
  EXPECT_EQ(latest(run), before);
  run_ok(resuming(run, {"--epochs", "2"}));
}

TEST_F(ResumeCommand, AFolderRemovedUnderWayEndsItWithOneError) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  RunningProgram program(training(run, "100000"), folder_ / "out");
  ASSERT_TRUE(program.wait_until([&] { return fs::exists(run / run_folder::kLatest); }));
  // Under another name: then no file is put into it while it is being removed.
  fs::rename(run, folder_ / "gone");
  EXPECT_TRUE(program.ends_within(std::chrono::minutes(1)));
  EXPECT_EQ(program.code(), 1);
  expect_has(read_file(folder_ / "out", kMost), "volley train: " + run.string() + "/");
}

TEST_F(ResumeCommand, ALossThatIsNoNumberStopsItAndTheLastCheckpointIsKept) {
  VOLLEY_NEEDS_DATA("mnist");
  std::vector<std::string> arguments = training(folder_ / "run");
  *std::ranges::find(arguments, "0.0005m") = "1";  // a checkpoint under way would be the first to see it
  arguments.insert(arguments.end(),
                   {"--optimizer", "sgd", "--lr", "3e38", "--set", "optimizer.weight_decay=3e38"});
  const std::string error = run_failed(arguments);
  EXPECT_TRUE(error.starts_with("volley train: [trainer] epoch 1, iteration ")) << error;
  expect_has(error,
             "'1.weight' itself has not been finite since an earlier update; likely cause: the "
             "learning rate is too high\n");
  EXPECT_EQ(Checkpoint(folder_ / "run" / run_folder::kLatest).position().epoch, 1u);
}

}  // namespace
}  // namespace volley

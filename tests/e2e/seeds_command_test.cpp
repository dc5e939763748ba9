#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <volley/run_folder.hpp>
#include <volley/seeds_folder.hpp>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/running_program.hpp"
#include "support/slice_training.hpp"
#include "support/toy_run.hpp"

// volley train --seeds, and early stopping, end to end.

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::expect_has;
using test::result_of;
using test::run_volley;

constexpr std::size_t kMost = std::size_t{1} << 26;

class SeedsCommand : public test::SliceTraining {
 protected:
  SeedsCommand() : SliceTraining(1280, 200, 10) {}

  std::vector<std::string> training(const fs::path& out, const std::vector<std::string>& more = {},
                                    const std::string& epochs = "2") const {
    return SliceTraining::training(out, epochs, more);
  }
  std::string refused(const std::vector<std::string>& words, int code) const {
    const ProgramResult result = run_volley(words, {.folder = folder_.path()});
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_EQ(result.out, "");
    return result.err;
  }
};

TEST_F(SeedsCommand, TrainsEachAsATrainingOfItsOwn) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path all = folder_ / "all";
  const std::string out = run_ok(training(all, {"--seeds", "2", "--seed", "7"}));
  expect_has(out, "seed 7 (1 of 2)\n");
  expect_has(out, "seed 8 (2 of 2)\n");
  expect_has(out, "seeds 7, 8: mean, and as spread the standard deviation of a sample (n - 1)\n");
  expect_has(out, "volley report " + all.string());
  EXPECT_EQ(seeds_folder::seeds(all), (std::vector<std::uint32_t>{7, 8}));
  for (const char* seed : {"7", "8"}) {
    run_ok(training(folder_ / seed, {"--seed", seed}));
    EXPECT_TRUE(result_of(all / fmt::format("seed-{}", seed)) == result_of(folder_ / seed)) << seed;
  }
  // The table: mean and spread of the last test accuracies.
  const auto last = [&](std::uint32_t seed) {
    return read_run(seeds_folder::run_of(all, seed)).epochs.back().test_acc;
  };
  const std::size_t row = out.find("\nlast        ");
  ASSERT_NE(row, std::string::npos) << out;
  expect_has(out.substr(row), fmt::format("{:>16.4f}\n  spread", (last(7) + last(8)) / 2));
  expect_has(out.substr(row), fmt::format("{:>16.4f}\n", std::abs(last(7) - last(8)) / std::sqrt(2)));

  const std::string page = "page.html";
  run_ok({"report", all.string(), "--out", (folder_ / page).string()});
  const std::string text = read_file(folder_ / page, kMost);
  expect_has(text, "lif_fc_mnist: seeds 7, 8");
  expect_has(text, "Mean and standard deviation (of a sample, n - 1) of 2 seeds");
  expect_has(text, "class=\"band ");
  expect_has(text, "training.seed");
  EXPECT_EQ(
      refused({"eval", all.string()}, 1),
      fmt::format("volley eval: {}: expected a run folder, found one of several seeds, whose runs are in "
                  "it: {}\n",
                  all.string(), (all / "seed-7").string()));
  run_ok({"eval", (all / "seed-8").string(), "--data-dir", test::data_folder().string()});
}

TEST_F(SeedsCommand, InterruptedAnywhereItGoesOnToTheSameBytes) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path whole = folder_ / "whole";
  run_ok(training(whole, {"--seeds", "3"}));
  // Within the first seed, within the second, and by a kill within the third.
  struct Stop {
    const char* file;
    int signal;
  };
  for (const Stop& stop : {Stop{"seed-0/iterations.csv", SIGINT}, Stop{"seed-1/iterations.csv", SIGTERM},
                           Stop{"seed-2/checkpoint_latest.safetensors", SIGKILL}}) {
    const fs::path out = folder_ / fmt::format("stopped {}", stop.signal);
    test::RunningProgram program(training(out, {"--seeds", "3"}), folder_ / "out");
    EXPECT_TRUE(program.wait_until([&] { return fs::exists(out / stop.file); }));
    program.signal(stop.signal);
    EXPECT_TRUE(program.ends_within(std::chrono::minutes(1)));
    const std::string text = read_file(folder_ / "out", kMost);
    if (stop.signal != SIGKILL && text.find("volley report") == std::string::npos) {  // not done before it
      EXPECT_EQ(program.code(), 130);
      expect_has(text, "resume      volley train --resume '" + out.string() + "' --data-dir ");
      EXPECT_EQ(text.find("resume "), text.rfind("resume      ")) << "the command of the seeds alone";
    }
    const std::string again = run_ok(resuming(out));
    if (std::string_view(stop.file).starts_with("seed-2")) expect_has(again, "seed 0 (1 of 3)\ndone  ");
    for (const std::uint32_t seed : {0u, 1u, 2u}) {
      EXPECT_TRUE(result_of(seeds_folder::run_of(out, seed)) == result_of(seeds_folder::run_of(whole, seed)))
          << "seed " << seed << ", stopped by " << stop.signal;
    }
  }
}

TEST_F(SeedsCommand, ResumeTrainsOnWithMoreEpochs) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path more = folder_ / "more", at_once = folder_ / "at once";
  run_ok(training(more, {"--seeds", "2"}));
  run_ok(resuming(more, {"--epochs", "3"}));
  run_ok(training(at_once, {"--seeds", "2"}, "3"));
  for (const std::uint32_t seed : {0u, 1u})
    EXPECT_TRUE(result_of(seeds_folder::run_of(more, seed)) ==
                result_of(seeds_folder::run_of(at_once, seed)));
  EXPECT_EQ(read_file(more / "recipe.toml", kMost), read_file(at_once / "recipe.toml", kMost));
  expect_has(run_ok(resuming(more)), "seed 1 (2 of 2)\ndone  ");
  const std::string changed = refused(resuming(more, {"--lr", "0.5"}), 1);
  expect_has(changed, "optimizer.lr was ");
}

TEST_F(SeedsCommand, RefusesWhatDoesNotGoTogether) {
  VOLLEY_NEEDS_DATA("mnist");
  fs::create_directory(folder_ / "seeds");
  std::ofstream(folder_ / "seeds/seeds.json") << "{\"seeds\": [3, 4]}\n";
  std::ofstream(folder_ / "seeds/recipe.toml") << to_toml(load_recipe("lif_fc_mnist"));
  fs::create_directory(folder_ / "broken");
  std::ofstream(folder_ / "broken/seeds.json") << "{\"seeds\": [3, -4]}\n";
  const fs::path out = folder_ / "out";
  EXPECT_EQ(refused(training(out, {"--seeds", "1"}), 2),
            "volley train: --seeds: expected an integer >= 2 and <= 1000, got 1\n");
  EXPECT_EQ(refused(training(out, {"--seeds", "2", "--seed", "4294967295"}), 2),
            "volley train: --seeds: expected seeds <= 4294967295, got 2 from 4294967295 on\n");
  EXPECT_EQ(refused({"train", "--resume", "seeds", "--seeds", "3"}, 2),
            "volley train: --resume takes the seeds from its folder, got --seeds too\n");
  EXPECT_EQ(refused({"train", "--resume", "seeds", "--seed", "3"}, 2),
            "volley train: --seed: --resume takes the seeds from its folder\n");
  EXPECT_EQ(refused({"train", "--resume", "seeds", "--set", "training.seed=3"}, 2),
            "volley train: --set training.seed: --resume takes the seeds from its folder\n");
  EXPECT_EQ(refused({"train", "--resume", "broken"}, 1),
            "volley train: broken/seeds.json: expected a list of seeds, found something else\n");
  EXPECT_EQ(refused(training(out, {"--seeds", "2", "--set", "train_samples=10"}), 1),
            "volley train: [trainer] mnist train: 10 samples do not fill one batch of 64\n");
  EXPECT_EQ(refused({"report", "seeds"}, 1),
            "volley report: seeds: expected a run that has begun, found none\n");
  EXPECT_EQ(refused({"plot", "seeds", "confusion"}, 1),
            "volley plot: [plot] a figure of several seeds must be one of 'loss', 'accuracy', got "
            "'confusion'\n");
  EXPECT_FALSE(fs::exists(out)) << "what is refused leaves no folder";
}

TEST_F(SeedsCommand, EarlyStoppingEndsATrainingAndIsToldOfTwice) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  // It learns nothing: the first epoch stays the best.
  const std::vector<std::string> still{"--lr", "0", "--early-stopping", "2", "--set", "encoder=direct"};
  const std::string out = run_ok(training(run, still, "9"));
  expect_has(out, "stopped early after epoch 3: 2 epochs without a better test accuracy than ");
  expect_has(out, ", of epoch 1\n");
  EXPECT_EQ(read_run(run).epochs.size(), 3u);
  expect_has(read_file(run / "recipe.toml", kMost), "early_stopping = 2\n");
  const std::string again = run_ok(resuming(run));
  expect_has(again, "nothing was left to do: a higher --early-stopping N trains on\n");
  run_ok(resuming(run, {"--early-stopping", "3"}));
  EXPECT_EQ(read_run(run).epochs.size(), 4u);
  run_ok({"report", run.string(), "--data-dir", test::data_folder().string()});
  const std::string page = read_file(run / "report.html", kMost);
  expect_has(page, "; stopped early, 3 epochs after the best");
  expect_has(page, "--early-stopping 6");
}

TEST_F(SeedsCommand, ClassWeightsAndGroupsReachTheRun) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  run_ok(training(run, {"--set", "loss.class_weights=balanced", "--set", "optimizer.weight_decay=0.1",
                        "--set", "optimizer.groups=[{match=\"1.*\", lr_factor=0.5}]"}));
  const Recipe recipe = load_recipe((run / "recipe.toml").string());
  const std::vector<float> weights = std::get<RateMseOptions>(recipe.loss).class_weights.values;
  const Dataset train = datasets::load("mnist", test::data_folder()).train.first(1280);
  EXPECT_EQ(weights, balanced_class_weights(train.labels, 10));
  // Its own figures come out again, by the weights that it was trained with.
  const std::string json = run_ok(
      {"eval", run.string(), "--checkpoint", "latest", "--json", "--data-dir", test::data_folder().string()});
  expect_has(json, fmt::format("\"loss\": {}", read_run(run).epochs.back().test_loss));
  EXPECT_EQ(
      refused(training(folder_ / "none", {"--set", "optimizer.groups=[{match=\"norm\"}]"}), 1),
      "volley train: [adam] groups.0: match 'norm' must be for a parameter that no group before it has, "
      "of '1.weight', got none\n");
  EXPECT_EQ(refused(training(folder_ / "none", {"--set", "loss.class_weights=[1, 2]"}), 1),
            "volley train: [rate_mse] class_weights must be one for each of 10 outputs, got 2\n");
  EXPECT_FALSE(fs::exists(folder_ / "none"));
}

}  // namespace
}  // namespace volley

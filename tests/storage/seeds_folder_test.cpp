#include <volley/seeds_folder.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "run_spread.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::error_text;
using test::toy_recipe;

TEST(SeedsFolder, SeedsCountFromTheRecipes) {
  const auto seeds = [](const char* first, std::size_t count) {
    return seeds_folder::seeds_from(toy_recipe({std::string("training.seed=") + first}), count, "--seeds");
  };
  EXPECT_EQ(seeds("3", 3), (std::vector<std::uint32_t>{3, 4, 5}));
  EXPECT_EQ(seeds("4294967294", 2), (std::vector<std::uint32_t>{4294967294u, 4294967295u}));
  EXPECT_EQ(error_text([&] { seeds("4294967294", 3); }),
            "--seeds: expected seeds <= 4294967295, got 3 from 4294967294 on");
  for (const std::size_t count : {0, 1, 1001})
    test::expect_has(error_text([&] { seeds("0", count); }),
                     "--seeds: expected an integer >= 2 and <= 1000, got ");
}

TEST(SeedsFolder, GivesBackWhatItWasMadeWith) {
  const test::TempFolder folder;
  const std::filesystem::path path = folder / "all";
  EXPECT_FALSE(seeds_folder::is_one(path));
  const std::vector<std::uint32_t> seeds{3, 4};
  {
    const run_folder::Lock lock = seeds_folder::create(toy_recipe(), seeds, path);
    EXPECT_EQ(lock.folder(), path);
  }
  EXPECT_TRUE(seeds_folder::is_one(path));
  EXPECT_EQ(seeds_folder::seeds(path), seeds);
  EXPECT_EQ(to_toml(seeds_folder::recipe(path)), to_toml(toy_recipe()));
  EXPECT_TRUE(seeds_folder::read_runs(path).empty()) << "none has begun";
  test::ToyRun(path / "seed-4", toy_recipe({"training.seed=4"})).train();
  const std::vector<RunRecord> runs = seeds_folder::read_runs(path);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].recipe.training.seed, 4u);
  EXPECT_EQ(error_text([&] { run_folder::load_recipe(path); }),
            path.string() + ": expected a run folder, found one of several seeds, whose runs are in it: " +
                (path / "seed-3").string());
  test::expect_has(error_text([&] { seeds_folder::create(toy_recipe(), seeds, path); }),
                   "expected a new or empty run folder");
}

TEST(SeedsFolder, IsHostile) {
  const test::TempFolder folder;
  for (const char* text : {"", "[]", "{}", "{\"seeds\": 3}", "{\"seeds\": []}", "{\"seeds\": [0.5]}",
                           "{\"seeds\": [-1]}", "{\"seeds\": [4294967296]}", "{\"seeds\": [\"0\"]}"}) {
    std::ofstream(folder / seeds_folder::kSeeds) << text;
    EXPECT_EQ(error_text([&] { seeds_folder::seeds(folder.path()); }),
              (folder / seeds_folder::kSeeds).string() + ": expected a list of seeds, found something else")
        << text;
  }
  std::string many = "{\"seeds\": [0";
  for (int i = 1; i <= 1000; ++i) many += ",0";
  std::ofstream(folder / seeds_folder::kSeeds) << many << "]}";
  test::expect_has(error_text([&] { seeds_folder::seeds(folder.path()); }), "expected a list of seeds");
}

RunRecord run_of(const std::vector<double>& test_accs) {
  RunRecord run;
  for (const double acc : test_accs) run.epochs.push_back({.epoch = run.epochs.size() + 1, .test_acc = acc});
  return run;
}

TEST(RunSpread, IsOfTheBestTheLastAndTheCommonEpochs) {
  const std::vector<RunRecord> runs{run_of({0.1, 0.5, 0.5, 0.4}), run_of({0.2, 0.3}), run_of({})};
  EXPECT_EQ(common_epochs(runs), 0u);
  EXPECT_EQ(common_epochs({}), 0u);
  EXPECT_EQ(common_epochs({runs[0], runs[1]}), 2u);
  const std::vector<EpochRecord> best = best_of_each(runs), last = last_of_each(runs);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].epoch, 2u) << "the first with the highest score";
  EXPECT_EQ(last[0].epoch, 4u);
  const auto acc = [](const EpochRecord& e) { return e.test_acc; };
  EXPECT_NEAR(mean_and_spread(best, acc).mean, 0.4, 1e-12);
  EXPECT_NEAR(mean_and_spread(best, acc).spread, 0.1 * std::sqrt(2), 1e-12) << "of a sample: n - 1";
  EXPECT_TRUE(std::isnan(mean_and_spread({best.data(), 1}, acc).spread));
  EXPECT_EQ(epoch_of_each({runs[0], runs[1]}, 1)[1].test_acc, 0.3);
  EXPECT_EQ(epoch_numbers(runs).size(), 4u);
}

}  // namespace
}  // namespace volley

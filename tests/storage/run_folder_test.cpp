#include "storage/run_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include <volley/volley.hpp>

#include "core/files.hpp"
#include "storage/checkpoint.hpp"
#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

std::string text_of(const fs::path& path) { return read_file(path, 1 << 20); }

/// Runs in an empty folder of its own.
class RunFolder : public ::testing::Test {
 protected:
  RunFolder() { fs::current_path(folder_.path()); }
  ~RunFolder() override { fs::current_path(before_); }

  fs::path before_ = fs::current_path();
  test::TempFolder folder_;
};

TEST_F(RunFolder, IsNamedByRecipeAndTime) {
  const fs::path first = run_folder::create("lif");
  EXPECT_TRUE(std::regex_match(first.string(), std::regex("runs/lif-[0-9]{8}-[0-9]{6}"))) << first;
  EXPECT_TRUE(fs::is_directory(first));
  const fs::path second = run_folder::create("lif");
  EXPECT_NE(first, second);
  EXPECT_TRUE(fs::is_directory(second));
}

TEST_F(RunFolder, TakesAGivenFolderOnlyWhenItIsNewOrEmpty) {
  EXPECT_EQ(run_folder::create("lif", "a/b"), "a/b");
  EXPECT_EQ(run_folder::create("lif", "a/b"), "a/b");
  std::ofstream("a/b/file") << "x";
  EXPECT_EQ(error_of([] { run_folder::create("lif", "a/b"); }),
            "a/b: expected a new or empty run folder, found one with files in it");
  EXPECT_TRUE(error_of([] { run_folder::create("lif", "a/b/file"); }).starts_with("a/b/file: "));
  EXPECT_TRUE(error_of([] {
                run_folder::create("lif", "a/b/file/c");
              }).starts_with("a/b/file/c: cannot make the run folder: "));
}

TEST_F(RunFolder, AFolderWithoutARecipeIsNoRun) {
  EXPECT_EQ(error_of([] { run_folder::load_recipe("nowhere"); }),
            "nowhere: expected a run folder with a recipe.toml, found none");
}

TEST_F(RunFolder, KeepsWhatATrainingShowed) {
  const Recipe recipe = load_recipe("lif_fc_mnist");
  Sequential net = recipe.build_network(Shape{1, 28, 28});
  Trainer trainer(net, recipe.build_parts());
  RunRecorder recorder(
      folder_.path(), recipe,
      {.date = "2026-01-02T03:04:05Z", .version = "1", .cpu = "a \"cpu\"", .threads = 2, .seed = 7});
  EXPECT_EQ(to_toml(run_folder::load_recipe(folder_.path())), to_toml(recipe));
  const auto environment = nlohmann::json::parse(text_of("environment.json"));
  EXPECT_EQ(environment["cpu"], "a \"cpu\"");
  EXPECT_EQ(environment["threads"], 2);
  EXPECT_EQ(environment["seed"], 7);

  const auto epoch = [&](std::size_t number, double test_acc, double max_test_acc) {
    recorder.iteration(
        {.epoch = number, .iteration = number, .loss = 0.1, .batch_acc = 0.5, .grad_norm = 1e-9});
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
  EXPECT_EQ(text_of("metrics.csv"),
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
  EXPECT_EQ(text_of("iterations.csv"),
            "iteration,loss,batch_acc,grad_norm\n1,0.1,0.5,1e-09\n2,0.1,0.5,1e-09\n3,0.1,0.5,1e-09\n");
  EXPECT_EQ(Checkpoint("checkpoint_latest.safetensors").epoch().epoch, 3u);
  EXPECT_EQ(Checkpoint("checkpoint_best.safetensors").epoch().epoch, 2u);
  EXPECT_EQ(Checkpoint("checkpoint_best.safetensors").recipe_toml(), to_toml(recipe));
}

TEST_F(RunFolder, AFullDiskIsOneClearError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  EXPECT_EQ(error_of([] { CsvFile("/dev/full", "a,b"); }),
            "/dev/full: cannot write: No space left on device");
}

TEST_F(RunFolder, AFolderThatIsGoneIsOneClearError) {
  EXPECT_EQ(error_of([] { RunRecorder("gone", load_recipe("lif_fc_mnist"), {}); }),
            "gone/metrics.csv: cannot write: No such file or directory");
}

}  // namespace
}  // namespace volley

#include <volley/run_folder.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <string>

#include <volley/recipe_difference.hpp>
#include <volley/volley.hpp>

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

/// Runs in an empty folder of its own.
class RunFolder : public ::testing::Test {
 protected:
  RunFolder() { fs::current_path(folder_.path()); }
  ~RunFolder() override { fs::current_path(before_); }

  fs::path before_ = fs::current_path();
  test::TempFolder folder_;
};

TEST_F(RunFolder, IsNamedByRecipeAndTime) {
  const fs::path first = run_folder::create("lif").folder();
  EXPECT_TRUE(std::regex_match(first.string(), std::regex("runs/lif-[0-9]{8}-[0-9]{6}"))) << first;
  EXPECT_TRUE(fs::is_directory(first));
  const fs::path second = run_folder::create("lif").folder();
  EXPECT_NE(first, second);
  EXPECT_TRUE(fs::is_directory(second));
}

TEST_F(RunFolder, TakesAGivenFolderOnlyWhenItIsNewOrEmpty) {
  EXPECT_EQ(run_folder::create("lif", "a/b").folder(), "a/b");
  EXPECT_EQ(run_folder::create("lif", "a/b").folder(), "a/b");
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

TEST_F(RunFolder, IsWrittenByOneTrainingAtATime) {
  std::optional<run_folder::Lock> first(run_folder::create("lif", "run"));
  EXPECT_EQ(error_of([] { run_folder::Lock("run"); }),
            "run: another training is writing into this run folder");
  EXPECT_EQ(error_of([] { run_folder::create("lif", "run"); }),
            "run: another training is writing into this run folder");
  const run_folder::Lock moved(std::move(*first));
  first.reset();
  EXPECT_NE(error_of([] { run_folder::Lock("run"); }), "(no error)") << "the lock went with the move";
}

TEST_F(RunFolder, IsFreeWhenItsTrainingHasEndedHoweverItEnded) {
  fs::create_directory("run");
  const pid_t child = ::fork();
  if (child == 0) {
    const run_folder::Lock lock("run");
    std::ofstream("run/locked") << "x";
    ::pause();
    ::_exit(1);
  }
  while (!fs::exists("run/locked")) ::usleep(1000);
  EXPECT_NE(error_of([] { run_folder::Lock("run"); }), "(no error)");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(error_of([] { run_folder::Lock("run"); }), "(no error)");
}

TEST_F(RunFolder, OneThatIsNotThereCannotBeOpened) {
  EXPECT_EQ(error_of([] { run_folder::open("gone"); }),
            "gone: expected a run folder with a recipe.toml, found none");
  EXPECT_EQ(error_of([] { run_folder::Lock("gone"); }),
            "gone: cannot open the run folder: No such file or directory");
}

TEST(RecipeDifference, IsNamedByItsKey) {
  const Recipe first = load_recipe("lif_fc_mnist");
  const Recipe second = with_settings(
      first, {"optimizer.lr=0.5", "network.2.surrogate=sigmoid", "network.2.v_reset=none", "epochs=3"});
  std::string text;
  for (const RecipeDifference& d : differences_of(first, second)) {
    text += fmt::format("{}: {} -> {}\n", d.key, d.first, d.second);
  }
  EXPECT_EQ(text,
            "epochs: 100 -> 3\n"
            "network.2.surrogate.alpha: 2 -> 4\n"
            "network.2.surrogate.kind: 'atan' -> 'sigmoid'\n"
            "network.2.v_reset: 0 -> 'none'\n"
            "optimizer.lr: 0.001 -> 0.5\n");
  EXPECT_TRUE(differences_of(first, first).empty());
}

}  // namespace
}  // namespace volley

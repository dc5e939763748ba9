#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include <volley/run_folder.hpp>

#include "core/files.hpp"
#include "support/error_text.hpp"
#include "support/needs_data.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;

class ReportCommand : public ::testing::Test {
 protected:
  std::string folder(const std::string& name) const { return (folder_ / name).string(); }
  void train(const std::string& name, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"train",      "lif_fc_mnist",
                                   "--epochs",   "2",
                                   "-T",         "10",
                                   "--set",      "train_samples=640",
                                   "--set",      "test_samples=200",
                                   "--out",      folder(name),
                                   "--data-dir", test::data_folder().string()};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult result = run_volley(words);
    ASSERT_TRUE(result.ok()) << result.reason() << result.err;
  }
  ProgramResult report(const std::vector<std::string>& words, const std::string& data) {
    std::vector<std::string> all{"report", "--data-dir", data};
    all.insert(all.end(), words.begin(), words.end());
    return run_volley(all, {.folder = folder_.path()});
  }
  std::string page(const std::string& name) { return read_file(folder_ / name, std::size_t{1} << 24); }

  test::TempFolder folder_;
};

TEST_F(ReportCommand, WritesAPageOfARun) {
  VOLLEY_NEEDS_DATA("mnist");
  train("run", {"--set", "description=<script>alert(1)</script>"});
  const ProgramResult result = report({folder("run")}, test::data_folder().string());
  ASSERT_TRUE(result.ok()) << result.reason() << result.err;
  expect_has(result.out, "report    " + folder("run/report.html"));
  const std::string text = page("run/report.html");
  EXPECT_LT(text.size(), 1000000u);
  EXPECT_TRUE(text.ends_with("</html>\n"));
  EXPECT_EQ(text.find("<script>alert"), std::string::npos);
  expect_has(text, "&lt;script&gt;alert(1)&lt;/script&gt;");
  expect_has(text, "volley train " + folder("run/recipe.toml"));
  expect_has(text, "Spikes of the output layer, 2 lif: 10 neurons over 10 steps, one for each class");
  expect_has(text, "Firing rate by layer");
  for (const char* id : {"curves", "test", "examples", "layers", "machine", "commands", "recipe"})
    expect_has(text, std::string("<section id=\"") + id + "\"");
}

TEST_F(ReportCommand, WithoutDataOrACheckpointSaysWhatIsMissing) {
  VOLLEY_NEEDS_DATA("mnist");
  train("run");
  fs::create_directory(folder_ / "empty");
  ProgramResult result = run_volley({"report", folder("run"), "--data-dir", folder("empty")},
                                    {.environment = {{"HOME", folder("empty")}}});
  ASSERT_TRUE(result.ok()) << result.reason() << result.err;
  expect_has(page("run/report.html"), "Missing here: ");
  expect_has(page("run/report.html"), "Loss of each iteration");
  fs::remove(folder_ / "run" / run_folder::kBest);
  result = report({folder("run"), "--out", folder("page.html")}, test::data_folder().string());
  ASSERT_TRUE(result.ok()) << result.reason() << result.err;
  expect_has(result.out, "missing   ");
  expect_has(page("page.html"), "Missing here: " + folder("run") + ": expected a checkpoint_best");
  expect_has(page("page.html"), "2 of 2");
}

TEST_F(ReportCommand, ComparesRuns) {
  VOLLEY_NEEDS_DATA("mnist");
  train("one");
  train("two", {"--lr", "0.01"});
  const ProgramResult result = report({folder("one"), folder("two")}, test::data_folder().string());
  ASSERT_TRUE(result.ok()) << result.reason() << result.err;
  const std::string text = page("comparison.html");
  expect_has(text, "2 runs compared");
  expect_has(text, "optimizer.lr");
  expect_has(text, fmt::format("volley report {} {}", folder("one"), folder("two")));
}

TEST_F(ReportCommand, RefusesWhatIsNoRunAndWritesNothing) {
  fs::create_directory(folder_ / "empty");
  const ProgramResult result = report({folder("empty")}, folder("empty"));
  EXPECT_EQ(result.code, 1);
  expect_has(result.err, "expected a run folder");
  EXPECT_TRUE(fs::is_empty(folder_ / "empty"));
  EXPECT_EQ(run_volley({"report"}).code, 2);
}

}  // namespace
}  // namespace volley

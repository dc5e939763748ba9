#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/version.hpp>

#include "core/files.hpp"
#include "data/toy_set.hpp"
#include "storage/safetensors.hpp"
#include "support/needs_data.hpp"
#include "support/program.hpp"

// `volley compare` with a Python that only pretends to have the peer.

namespace fs = std::filesystem;

namespace volley::test {
namespace {

constexpr const char* kDescribe = R"(case "$*" in *--describe*)
  echo '{"modules": {"python": "3.0", "spikingjelly": "1.2"}, "threads": 2}'; exit 0;; esac
)";
constexpr const char* kTrial = R"(case "$*" in *--trial*)
  case "$*" in *"--threads 2"*) speed=300;; *) speed=200;; esac
  echo "{\"trial_samples_per_second\": $speed}"; exit 0;; esac
)";
constexpr const char* kEpochs = R"(
case "$*" in *--compile*) speed=400;; *) speed=50;; esac
for epoch in 1 2; do echo "{\"epoch\": $epoch, \"train_loss\": 0.5, \"train_acc\": 0.7, \"test_loss\": 0.6,
 \"test_acc\": 0.$((4 + epoch)), \"train_samples_per_second\": $((speed * epoch)), \"test_samples_per_second\": 50}" | tr -d '\n'
echo; done
echo '{"done": true, "threads": 2, "first_step_seconds": 1.5}'
)";

class CompareCommand : public ::testing::Test {
 protected:
  /// Writes a pretended Python that runs `script`, which sees the arguments after its own name.
  std::string python(const std::string& script) {
    write_program(folder_ / "python", script);
    return (folder_ / "python").string();
  }
  ProgramResult compare(const std::string& python_, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"compare",    "lif_fc_mnist",
                                       "--out",      out().string(),
                                       "--data-dir", data_folder().string(),
                                       "--epochs",   "2",
                                       "--seeds",    "2",
                                       "-T",         "8",
                                       "--set",      "train_samples=256",
                                       "--set",      "test_samples=100"};
    if (!python_.empty()) arguments.insert(arguments.end(), {"--python", python_});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_volley(arguments,
                      {.folder = folder_.path(), .environment = {{"VOLLEY_PEER_PYTHON", std::nullopt}}});
  }
  fs::path out() const { return folder_ / "out"; }
  std::string text(const fs::path& name) const { return read_file(out() / name, std::size_t{1} << 20); }

  TempFolder folder_;
};

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in:\n" << text;
}

TEST_F(CompareCommand, WritesTablesRowsAndFigure) {
  VOLLEY_NEEDS_DATA("mnist");
  const ProgramResult result = compare(python(std::string(kDescribe) + kTrial + kEpochs));
  ASSERT_TRUE(result.ok()) << result.err;
  expect_in(result.err, "spikingjelly  trial with 1 thread: 200 samples/s");
  expect_in(result.err, "spikingjelly  trial with 2 threads: 300 samples/s");
  expect_in(result.err, "volley  seed 0  epoch 1/2");
  expect_in(result.err, "spikingjelly  seed 1  epoch 2/2");
  const std::string table = text("compare.md");
  expect_in(result.out, table);
  expect_in(table, "| 1 | ");
  expect_in(table, " | 50.00 +- 0.00 | ");
  expect_in(table, "| 2 | ");
  expect_in(table, " | 60.00 +- 0.00 | ");
  expect_in(table, "From epoch 2 on");
  expect_in(table, "Student's t with 1 degree of freedom");
  expect_in(table, "| spikingjelly | python 3.0, spikingjelly 1.2 |");
  expect_in(table, "| threads tried there, the faster taken | 1 thread: 200/s, 2 threads: 300/s |");
  expect_in(table, "each by its own random numbers");
  const std::string rows = text("compare.csv");
  EXPECT_EQ(std::ranges::count(rows, '\n'), 1 + 2 * 2 * 2);
  expect_in(rows, "spikingjelly,1,2,0.5,0.7,0.6,0.6,100.0,50.0,");
  EXPECT_TRUE(text("accuracy.png").starts_with("\x89PNG"));
  // Both began with the same weights: those the recipe draws from its seed.
  for (const std::string seed : {"0", "1"}) {
    const fs::path place = out() / ("seed-" + seed);
    const Recipe recipe = load_recipe((place / "recipe.toml").string());
    EXPECT_EQ(std::to_string(recipe.training.seed), seed);
    EXPECT_EQ(recipe.training.steps, 8u);
    Sequential net = recipe.build_network({1, 28, 28});
    const Tensor saved = read_safetensors(place / "initial.safetensors").tensors.at("1.weight");
    EXPECT_TRUE(std::ranges::equal(saved.values(), net.parameters()[0].parameter->value.values()));
  }
}

TEST_F(CompareCommand, TheFasterOfEagerAndCompiledIsTheRatios) {
  VOLLEY_NEEDS_DATA("mnist");
  const std::string script = std::string(kDescribe) + kTrial + kEpochs;
  ASSERT_TRUE(compare(python(script), {"--peer-compile"}).ok());
  // Of the second epoch; the first was at half that speed.
  expect_in(text("compare.md"), "| spikingjelly 1.2, eager | 100 | 50 | ");
  expect_in(text("compare.md"), "| spikingjelly 1.2, torch.compile | 800 | 50 | ");
  expect_in(text("compare.md"), " | 1.5 | ");
  expect_in(text("compare.md"), "| ratio, volley " VOLLEY_VERSION " to spikingjelly 1.2, torch.compile | ");
  const std::string rows = text("compare.csv");
  EXPECT_EQ(std::ranges::count(rows, '\n'), 1 + 2 * 2 * 2 + 2) << "of the first seed alone";
  expect_in(rows, "spikingjelly-compiled,0,2,");
  fs::remove_all(out());
  ASSERT_TRUE(compare(python(script)).ok());
  expect_in(text("compare.md"), "| ratio, volley " VOLLEY_VERSION " to spikingjelly 1.2, eager | ");
}

TEST_F(CompareCommand, TellsThePeerWhatItNeeds) {
  VOLLEY_NEEDS_DATA("mnist");
  const std::string keep = R"(echo "$* OMP=$OMP_NUM_THREADS" >> )" + (folder_ / "calls").string() + "\n";
  // The script that it is given is the one in peers/, beside what that imports.
  const std::string copy = "cp \"$1\" " + (folder_ / "script.py").string() + "; cp \"${1%/*}/common.py\" " +
                           folder_.path().string() + "\n";
  ASSERT_TRUE(compare(python(copy + keep + kDescribe + kTrial + kEpochs), {"--same-spikes"}).ok());
  const std::string calls = read_file(folder_ / "calls", std::size_t{1} << 20);
  expect_in(calls, "--recipe " + (out() / "seed-1" / "recipe.toml").string());
  expect_in(calls, "--weights " + (out() / "seed-1" / "initial.safetensors").string());
  expect_in(calls, "--threads 2 --same-spikes OMP=2\n");
  const fs::path peers = fs::path(VOLLEY_SOURCE_DIR) / "peers";
  const auto same = [](const fs::path& a, const fs::path& b) {
    return read_file(a, std::size_t{1} << 20) == read_file(b, std::size_t{1} << 20);
  };
  EXPECT_TRUE(same(folder_ / "script.py", peers / "run_spikingjelly.py"));
  EXPECT_TRUE(same(folder_ / "common.py", peers / "common.py"));
  expect_in(text("compare.md"), "every input spike");
}

TEST_F(CompareCommand, SaysHowToInstallAPeerThatIsMissing) {
  VOLLEY_NEEDS_DATA("mnist");
  const auto expect_help = [&](const ProgramResult& result, const std::string& reason) {
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.out, "");
    expect_in(result.err, "volley compare: spikingjelly was not found: ");
    expect_in(result.err, reason);
    expect_in(result.err, ".peers/bin/pip install numpy torch spikingjelly");
    EXPECT_FALSE(fs::exists(out())) << "nothing is left behind";
  };
  expect_help(compare((folder_ / "none").string()),
              "cannot run " + (folder_ / "none").string() + ": not found");
  expect_help(compare(python("echo '{\"missing\": \"torch\"}'; exit 3")), "has no module 'torch'");
  const ProgramResult nowhere = run_volley(
      {"compare", "lif_fc_mnist", "--data-dir", data_folder().string(), "--out", out().string()},
      {.folder = folder_.path(),
       .environment = {{"VOLLEY_PEER_PYTHON", std::nullopt}, {"XDG_CACHE_HOME", folder_.path().string()}}});
  expect_help(nowhere, "no " + (folder_ / "volley/.peers/bin/python").string());
}

TEST_F(CompareCommand, PassesOnWhyAPeerFailed) {
  VOLLEY_NEEDS_DATA("mnist");
  const auto expect_failure = [&](const std::string& script, const std::string& reason) {
    const ProgramResult result = compare(python(script));
    EXPECT_EQ(result.code, 1);
    expect_in(result.err, reason);
    fs::remove_all(out());
  };
  const std::string start = std::string(kDescribe) + kTrial;
  expect_failure("echo trouble >&2; exit 9", "spikingjelly: the peer failed (exit status 9): trouble");
  expect_failure(std::string(kDescribe) + "echo no such neuron >&2; exit 4",
                 "volley compare: no such neuron");
  expect_failure(start + "echo nonsense", "expected a record in JSON from the peer, got 'nonsense'");
  expect_failure(start + "echo '{\"epoch\": 1}'", "expected a number 'train_loss' from the peer");
  expect_failure(start + "true", "the peer ended without saying that it was done");
  expect_failure(start + "echo '{\"done\": true, \"first_step_seconds\": 0}'",
                 "spikingjelly: expected 2 epochs, got 0");
}

TEST_F(CompareCommand, RefusesWrongUse) {
  const auto expect_usage = [&](const std::vector<std::string>& arguments, const std::string& reason) {
    const ProgramResult result = run_volley(arguments, {.folder = folder_.path()});
    EXPECT_EQ(result.code, 2) << result.err;
    expect_in(result.err, reason);
  };
  expect_usage({"compare"}, "RECIPE");
  expect_usage({"compare", "lif_fc_mnist", "--peer", "spikingjely"}, "did you mean 'spikingjelly'?");
  expect_usage({"compare", "lif_fc_mnist", "--seeds", "0"}, "--seeds");
  expect_usage({"compare", "lif_fc_mnist", "--epochs", "0"}, "--epochs");
  expect_usage({"compare", "lif_fc_mnist", "--set", "nothing=1"}, "--set: ");
  expect_usage({"compare", "no_such_recipe"}, "no_such_recipe");
  const ProgramResult empty = run_volley({"compare", "lif_fc_mnist", "--data-dir", folder_.path().string()},
                                         {.folder = folder_.path()});
  EXPECT_EQ(empty.code, 1);
  expect_in(empty.err, "volley data fetch mnist");
}

}  // namespace
}  // namespace volley::test

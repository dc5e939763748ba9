#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <volley/kernels.hpp>

#include "support/error_text.hpp"
#include "support/needs_data.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;

std::vector<std::string> bench(const std::string& recipe, const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"bench", recipe, "--data-dir", test::data_folder().string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// A moment's training.
const std::vector<std::string> kShort{"--seconds", "0.05", "--epochs", "2", "-T", "5"};

nlohmann::json bench_json(const std::string& recipe, std::vector<std::string> more = {}) {
  more.insert(more.end(), kShort.begin(), kShort.end());
  more.emplace_back("--json");
  const ProgramResult result = run_volley(bench(recipe, more));
  EXPECT_TRUE(result.ok()) << result.reason() << "\n" << result.err;
  return nlohmann::json::parse(result.out);
}

std::vector<std::string> phase_names(const nlohmann::json& json) {
  std::vector<std::string> names;
  for (const auto& phase : json["phases"]) names.push_back(phase["name"]);
  return names;
}

TEST(BenchCommand, SaysAsJsonHowFastAndWhere) {
  VOLLEY_NEEDS_DATA("mnist");
  const nlohmann::json json = bench_json("mlp_mnist", {"-b", "32", "--threads", "2", "--seed", "3"});
  EXPECT_EQ(json["recipe"], "mlp_mnist");
  EXPECT_EQ(json["network"], "flatten, linear 784-800, lif, linear 800-10, lif");
  EXPECT_EQ(json["steps"], 5);
  EXPECT_EQ(json["batch"], 32);
  EXPECT_EQ(json["epochs"], 2);
  EXPECT_EQ(json["seed"], 3);
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["simd_target"], kernels::active_target());
  EXPECT_EQ(phase_names(json),
            (std::vector<std::string>{"encode", "forward 0 flatten", "forward 1 linear", "forward 2 lif",
                                      "forward 3 linear", "forward 4 lif", "loss", "loss backward",
                                      "backward 4 lif", "backward 3 linear", "backward 2 lif",
                                      "backward 1 linear", "optimizer"}));
  for (const char* key :
       {"bytes_per_sample", "operations_per_sample", "spikes_per_sample", "spikes_per_second", "peak_bytes",
        "memory_limit_bytes_per_second", "arithmetic_limit_operations_per_second"}) {
    EXPECT_GT(json[key].get<double>(), 0) << key;
  }
  for (const char* key : {"train_samples_per_second", "test_samples_per_second"}) {
    EXPECT_GT(json[key]["median"].get<double>(), 0) << key;
    EXPECT_GE(json[key]["mad"].get<double>(), 0) << key;
  }
  EXPECT_GE(json["train_samples"].get<int>(), 32);
  EXPECT_LT(json["train_samples"].get<int>(), 60000) << "0.05 s are too short for all of MNIST";

  double bytes = 0;
  for (const auto& phase : json["phases"]) bytes += phase["bytes_per_sample"].get<double>();
  EXPECT_DOUBLE_EQ(json["bytes_per_sample"], bytes);
}

// Counted by hand, for one sample of a batch of 64 at T = 5.
TEST(BenchCommand, CountsWhatEachPhaseHasToMove) {
  VOLLEY_NEEDS_DATA("mnist");
  const nlohmann::json json = bench_json("lif_fc_mnist");
  const double weights = 4.0 * 784 * 10, spikes_in = 5 * 784 / 8.0, currents = 4.0 * 5 * 10,
               spikes_out = 5 * 10 / 8.0;
  const auto bytes = [&](const std::string& name) {
    for (const auto& phase : json["phases"]) {
      if (phase["name"] == name) return phase["bytes_per_sample"].get<double>();
    }
    return -1.0;
  };
  EXPECT_DOUBLE_EQ(bytes("encode"), 784 + spikes_in);
  EXPECT_DOUBLE_EQ(bytes("forward 0 flatten"), 0);
  EXPECT_DOUBLE_EQ(bytes("forward 1 linear"), spikes_in + currents + weights / 64);
  EXPECT_DOUBLE_EQ(bytes("forward 2 lif"), currents + spikes_out);
  EXPECT_DOUBLE_EQ(bytes("loss"), spikes_out);
  EXPECT_DOUBLE_EQ(bytes("backward 2 lif"), 3 * currents);  // currents, dy and dx
  EXPECT_DOUBLE_EQ(bytes("backward 1 linear"), currents + spikes_in + 2 * weights / 64);
  EXPECT_DOUBLE_EQ(bytes("optimizer"), 8 * weights / 64);
}

// The stem of conv_fashion_mnist under a constant picture, computed once: 28 x 28 positions, 9 inputs, 2
// channels. The second convolution, 14 x 14 and 2 to 2 channels, has a gradient of its input at each of 5
// steps. Clipping reads and writes the gradients once more, and once for their norm.
TEST(BenchCommand, CountsConvolutionsAndClipping) {
  VOLLEY_NEEDS_DATA("fashion_mnist");
  const std::vector<std::string> narrow = {"-b",    "16",
                                           "--set", "network.0.out_channels=2",
                                           "--set", "network.1.channels=2",
                                           "--set", "network.4.in_channels=2",
                                           "--set", "network.4.out_channels=2",
                                           "--set", "network.5.channels=2",
                                           "--set", "network.9.in=98",
                                           "--set", "network.9.out=10",
                                           "--set", "network.11.in=10"};
  std::vector<std::string> clipped = narrow;
  clipped.insert(clipped.end(), {"--set", "training.clip_norm=1"});
  const nlohmann::json json = bench_json("conv_fashion_mnist", narrow);
  const auto of = [](const nlohmann::json& in, const std::string& name, const char* what) {
    for (const auto& phase : in["phases"]) {
      if (phase["name"] == name) return phase[what].get<double>();
    }
    return -1.0;
  };
  EXPECT_DOUBLE_EQ(of(json, "forward 0 conv2d", "operations_per_sample"), 2.0 * 784 * 9 * 2);
  EXPECT_GT(of(json, "backward 4 conv2d", "operations_per_sample"), 2.0 * 5 * 196 * 9 * 2 * 2);
  const double weights = 4.0 * (9 * 2 + 2 * 2 + 9 * 2 * 2 + 2 * 2 + 98 * 10 + 10 * 10) / 16;
  EXPECT_NEAR(of(bench_json("conv_fashion_mnist", clipped), "optimizer", "bytes_per_sample") -
                  of(json, "optimizer", "bytes_per_sample"),
              3 * weights, 1e-6);
}

TEST(BenchCommand, AnotherRuleIsAPhaseOfItsOwn) {
  VOLLEY_NEEDS_DATA("mnist");
  EXPECT_EQ(phase_names(bench_json("article_mnist")),
            (std::vector<std::string>{"encode", "forward 0 flatten", "forward 1 linear", "forward 2 soft_lif",
                                      "loss", "rule", "optimizer"}));
}

TEST(BenchCommand, TellsAPersonTheSame) {
  VOLLEY_NEEDS_DATA("mnist");
  const test::TempFolder folder;
  const ProgramResult result = run_volley(bench("lif_fc_mnist", kShort), {.folder = folder.path()});
  ASSERT_TRUE(result.ok()) << result.err;
  EXPECT_EQ(result.out.rfind("recipe      lif_fc_mnist: flatten, linear 784-10, lif\n", 0), 0u) << result.out;
  for (const char* part : {"\nepoch 2/2  ", "\ntraining    ", "\nspikes      ", "\nmemory      ",
                           "\nlimits      ", "\nbackward 1 linear ", "\nrest (-: overlapped) ", "\nwhole "}) {
    expect_has(result.out, part);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "it leaves nothing behind";
}

TEST(BenchCommand, RefusesWhatItCannotDo) {
  VOLLEY_NEEDS_DATA("mnist");
  struct Refusal {
    std::vector<std::string> arguments;
    int code;
    std::string error;
  };
  const Refusal cases[] = {
      {{"bench"}, 2, "volley bench: RECIPE is required\n"},
      {bench("lif_fc_mnits", {}), 2, "did you mean 'lif_fc_mnist'?\n"},
      {bench("lif_fc_mnist", {"-T", "0"}), 2, "volley bench: -T: training.steps=0: expected an integer >= 1"},
      {bench("lif_fc_mnist", {"--epochs", "0"}), 2, "volley bench: --epochs: "},
      {bench("lif_fc_mnist", {"--seconds", "-1"}), 2, "volley bench: --seconds: "},
      {bench("lif_fc_mnist", {"--seconds", "soon"}), 2, "volley bench: --seconds: "},
      {bench("lif_fc_mnist", {"--set", "nothing=1"}), 2, "volley bench: --set: "},
      {bench("lif_fc_mnist", {"--sed", "1"}), 2,
       "volley bench: unknown argument '--sed'; did you mean '--seed'?\n"},
      {bench("lif_fc_mnist", {"--set", "train_samples=10"}), 1, "10 samples do not fill one batch of 64\n"},
      {{"bench", "lif_fc_mnist", "--data-dir", "nowhere"}, 1, "volley bench: nowhere: MNIST is not there: "},
  };
  for (const Refusal& refusal : cases) {
    const ProgramResult result = run_volley(refusal.arguments);
    EXPECT_EQ(result.end, ProgramResult::End::exited);
    EXPECT_EQ(result.code, refusal.code) << result.err;
    expect_has(result.err, refusal.error);
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
}  // namespace volley

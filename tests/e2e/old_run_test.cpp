// Runs of Volley 0.1: evaluated as before, and never resumed. tests/golden/run-0.1 has the run folder that
// 0.1.0 wrote for its recipe.toml and the pictures beside it, without random draws in the encoder.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/run_folder.hpp>
#include <volley/volley.hpp>

#include "core/files.hpp"
#include "storage/safetensors.hpp"
#include "support/error_text.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::error_text;
using test::expect_has;

constexpr std::size_t kMost = 1 << 20;
constexpr const char* kReason =
    "expected numerics 2, found 1 (Volley 0.1.0): its sums and draws are others, so the training cannot go "
    "on; its network can be evaluated";

class OldRun : public ::testing::Test {
 protected:
  OldRun() {
    fs::copy(VOLLEY_SOURCE_DIR "/tests/golden/run-0.1", folder_.path(), fs::copy_options::recursive);
  }

  ProgramResult volley(const std::vector<std::string>& arguments) const {
    return test::run_volley(arguments, {.folder = folder_.path()});
  }
  fs::path latest() const { return folder_ / "run" / run_folder::kLatest; }

  test::TempFolder folder_;
};

TEST_F(OldRun, IsEvaluatedToTheFiguresOfItsTraining) {
  const ProgramResult result = volley({"eval", "run", "--checkpoint", "latest", "--json"});
  ASSERT_TRUE(result.ok()) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  const EpochRecord last = read_run(folder_ / "run").epochs.back();
  EXPECT_EQ(json["epoch"], 30);
  EXPECT_EQ(json["numerics"], 1);
  EXPECT_EQ(json["accuracy"].get<double>(), last.test_acc);
  EXPECT_NEAR(json["loss"].get<double>(), last.test_loss, 1e-6);
  expect_has(
      volley({"eval", "run"}).out,
      "\nnumerics  1 (Volley 0.1.0), here 2: sums and draws differ, and so may figures from the run's own\n");
}

TEST_F(OldRun, IsReadByTheOtherCommandsAndTheLibrary) {
  EXPECT_TRUE(volley({"predict", "run", "--index", "0"}).ok());
  EXPECT_TRUE(volley({"report", "run"}).ok());
  EXPECT_EQ(read_run(folder_ / "run").environment.numerics, 1);
  Sequential net = load_network(latest());
  EXPECT_EQ(net.parameters().size(), 4u);
}

TEST_F(OldRun, IsNotResumed) {
  const std::string before = read_file(latest(), kMost);
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--force"}, {"--epochs", "40"}}) {
    std::vector<std::string> arguments{"train", "--resume", "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = volley(arguments);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, std::string("volley train: run/checkpoint_latest.safetensors: ") + kReason + "\n");
  }
  EXPECT_EQ(read_file(latest(), kMost), before);
  const Checkpoint checkpoint(latest());
  Sequential net = load_network(latest());
  EXPECT_NO_THROW(checkpoint.load_into(net));
  Trainer trainer(net, Adam{}, RateMse{}, Direct{});
  EXPECT_EQ(error_text([&] { checkpoint.load_into(trainer); }), latest().string() + ": " + kReason);
}

TEST_F(OldRun, ANumericsThatIsNoNumberIsRefused) {
  SafetensorsFile file = read_safetensors(latest());
  file.metadata["numerics"] = "two";
  std::vector<SafetensorsEntry> tensors;
  for (const auto& [name, tensor] : file.tensors) tensors.push_back({name, &tensor});
  write_safetensors(latest(), tensors, file.metadata);
  EXPECT_EQ(error_text([&] { Checkpoint{latest()}; }),
            latest().string() + ": expected a number as 'numerics', found 'two'");
}

}  // namespace
}  // namespace volley

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/files.hpp"
#include "storage/safetensors.hpp"
#include "support/program.hpp"
#include "support/toy_run.hpp"
#include "support/toy_set_program.hpp"

namespace volley {
namespace {

using DeviceOption = test::ToySetProgram;

/// Which changes no result: the file says so, and the bytes of the weights.
TEST_F(DeviceOption, IsASettingOfARun) {
  ASSERT_TRUE(volley({"train", "toy.toml", "--out", "a", "--no-figures"}).ok());
  ASSERT_TRUE(volley({"train", "toy.toml", "--out", "b", "--no-figures", "--device", "auto"}).ok());
  const auto text = [&](const char* path) { return read_file(folder_ / path, 1 << 24); };
  EXPECT_EQ(test::without_times(text("a/metrics.csv")), test::without_times(text("b/metrics.csv")));
  const SafetensorsFile a = read_safetensors(folder_ / "a/checkpoint_latest.safetensors");
  const SafetensorsFile b = read_safetensors(folder_ / "b/checkpoint_latest.safetensors");
  EXPECT_FALSE(a.tensors.empty());
  for (const auto& [name, tensor] : a.tensors)
    EXPECT_TRUE(std::ranges::equal(tensor.values(), b.tensors.at(name).values())) << name;
  EXPECT_NE(text("a/recipe.toml").find("device = \"cpu\""), std::string::npos);
  EXPECT_NE(text("b/recipe.toml").find("device = \"auto\""), std::string::npos);
  for (const char* command : {"eval", "stream"})
    EXPECT_TRUE(volley({command, "a", "--device", "cpu"}).ok()) << command;
  EXPECT_TRUE(volley({"predict", "a", "--index", "0", "--device", "auto"}).ok());
  EXPECT_TRUE(
      volley({"train", "--resume", "a", "--no-figures", "--epochs", "3", "--set", "training.device='auto'"})
          .ok());
}

TEST_F(DeviceOption, CudaIsNotInThisBuild) {
  train();
  const std::vector<std::vector<std::string>> commands{{"train", "toy.toml", "--out", "c"},
                                                       {"eval", "run"},
                                                       {"predict", "run", "--index", "0"},
                                                       {"stream", "run"},
                                                       {"bench", "toy.toml"}};
  for (std::vector<std::string> command : commands) {
    SCOPED_TRACE(command[0]);
    const std::string name = command[0];
    command.insert(command.end(), {"--device", "cuda:1"});
    const ProgramResult result = volley(command);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err,
              "volley " + name +
                  ": device cuda:1: this build of Volley runs on CPUs alone; volley info lists its "
                  "devices\n");
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "c"));
}

TEST_F(DeviceOption, AnotherNameIsAUsageError) {
  for (const char* command : {"train", "eval", "predict", "stream", "bench", "compare"}) {
    const ProgramResult result = volley({command, "toy.toml", "--device", "gpu"});
    EXPECT_EQ(result.code, 2) << command;
    EXPECT_NE(result.err.find("--device: name must be 'cpu', 'cuda', 'cuda:N' or 'auto', got 'gpu'"),
              std::string::npos)
        << result.err;
  }
  const ProgramResult result = volley({"train", "toy.toml", "--set", "training.device='gpu'"});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(
      result.err.find("training.device='gpu': name must be 'cpu', 'cuda', 'cuda:N' or 'auto', got 'gpu'"),
      std::string::npos)
      << result.err;
}

TEST_F(DeviceOption, InfoListsWhatIsThere) {
  const auto info = nlohmann::json::parse(volley({"info", "--json"}).out);
  ASSERT_EQ(info["devices"].size(), 1u);
  EXPECT_EQ(info["devices"][0]["name"], "cpu");
  EXPECT_NE(volley({"info"}).out.find("device      cpu: "), std::string::npos);
}

}  // namespace
}  // namespace volley

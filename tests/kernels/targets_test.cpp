// A forced instruction set is the one whose code runs, in this process and in the program.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include <volley/kernels.hpp>

#include "core/files.hpp"
#include "kernels/limits.hpp"
#include "support/every_target.hpp"
#include "support/needs_data.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::run_volley;

// How much a kernel does in one round is a vector's width: that of the instruction set it was compiled for.
TEST(Targets, ForcedOneIsTheOneWhoseKernelsRun) {
  const std::map<std::string, double> lanes{{"avx2", 8}, {"avx512", 16}, {"neon", 4}};
  float sum = 0;
  std::map<std::string, double> operations;
  test::on_every_target([&] { operations[kernels::active_target()] = kernels::multiply_adds(&sum, 10); });
  EXPECT_EQ(operations.size(), kernels::supported_targets().size());
  for (const auto& [target, count] : operations) {
    EXPECT_EQ(count / operations.begin()->second, lanes.at(target) / lanes.at(operations.begin()->first))
        << target;
  }
}

TEST(Targets, ProgramRunsWhatVolleyTargetSays) {
  VOLLEY_NEEDS_DATA("mnist");
  const test::TempFolder folder;
  const std::string data = test::data_folder().string();
  for (const std::string& target : kernels::supported_targets()) {
    const auto run = [&](const std::vector<std::string>& arguments) {
      const ProgramResult result =
          run_volley(arguments, {.folder = folder.path(), .environment = {{"VOLLEY_TARGET", target}}});
      EXPECT_TRUE(result.ok()) << result.reason() << "\n" << result.err;
      return result.out;
    };
    EXPECT_EQ(nlohmann::json::parse(run({"info", "--json"}))["simd_active"], target);
    run({"train", "lif_fc_mnist", "--epochs", "1", "-T", "5", "--set", "train_samples=100", "--set",
         "test_samples=100", "--data-dir", data, "--out", target});
    const auto environment = nlohmann::json::parse(read_file(folder / target / "environment.json", 10000));
    EXPECT_EQ(environment["simd_target"], target);
  }
}

}  // namespace
}  // namespace volley

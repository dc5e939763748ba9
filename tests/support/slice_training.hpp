#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/needs_data.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace volley::test {

/// `volley train` on a slice of MNIST, whose checkpoints are often in the middle of an epoch.
class SliceTraining : public ::testing::Test {
 protected:
  using Words = std::vector<std::string>;

  SliceTraining(std::size_t train_samples, std::size_t test_samples, std::size_t steps)
      : slice_{"--set", "train_samples=" + std::to_string(train_samples),
               "--set", "test_samples=" + std::to_string(test_samples),
               "-T",    std::to_string(steps)} {}

  Words training(const std::filesystem::path& out, const std::string& epochs, const Words& more = {}) const {
    return joined(
        {{"train", "lif_fc_mnist", "--epochs", epochs, "--out", out.string()}, slice_, common_, more});
  }
  Words resuming(const std::filesystem::path& run, const Words& more = {}) const {
    return joined({{"train", "--resume", run.string()}, common_, more});
  }
  std::string run_ok(const Words& words) const {
    const ProgramResult result = run_volley(words, {.folder = folder_.path()});
    EXPECT_TRUE(result.ok()) << result.reason() << "\n" << result.err;
    return result.out;
  }

  TempFolder folder_;

 private:
  static Words joined(const std::vector<Words>& parts) {
    Words words;
    for (const Words& part : parts) words.insert(words.end(), part.begin(), part.end());
    return words;
  }

  Words slice_;
  Words common_{"--data-dir", data_folder().string(), "--checkpoint-every", "0.0005m", "--no-figures"};
};

}  // namespace volley::test

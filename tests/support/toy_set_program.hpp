#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include <volley/recipe.hpp>

#include "core/files.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace volley::test {

/// A folder of pictures by class, and a recipe that trains on it in a moment.
class ToySetProgram : public testing::Test {
 protected:
  ToySetProgram() {
    const Dataset data = stripes(60, 1);
    for (std::size_t n = 0; n < data.size(); ++n) {
      const std::filesystem::path folder = folder_ / "set" / data.classes[data.labels[n]];
      std::filesystem::create_directories(folder);
      const std::span<const std::uint8_t> picture = data.picture(n);
      write_file_whole(folder / (std::to_string(n) + ".pgm"),
                       "P5 6 6 255\n" + std::string(picture.begin(), picture.end()));
    }
    // Without biases a black picture is silent; with low thresholds hardly another is.
    Recipe recipe =
        toy_recipe({"epochs=2", "data='./set'", "name='toy'", "network.1.bias=false", "network.3.bias=false",
                    "network.2.v_threshold=0.05", "network.4.v_threshold=0.05"});
    write_file_whole(folder_ / "toy.toml", to_toml(recipe));
  }

  ProgramResult volley(std::vector<std::string> arguments, bool gnuplot = true) const {
    ProgramOptions options{.folder = folder_.path()};
    if (!gnuplot) options.environment = {{"PATH", folder_.path().string()}};
    return run_volley(arguments, options);
  }
  /// A run without figures.
  void train() const {
    const ProgramResult result = volley({"train", "toy.toml", "--out", "run", "--no-figures"});
    ASSERT_TRUE(result.ok()) << result.err;
    ASSERT_FALSE(std::filesystem::exists(folder_ / "run/figures"));
  }
  std::string first_of(const std::string& folder) const {
    return std::filesystem::directory_iterator(folder_ / folder)->path().filename().string();
  }
  bool has(const std::string& path) const { return std::filesystem::exists(folder_ / path); }

  TempFolder folder_;
};

}  // namespace volley::test

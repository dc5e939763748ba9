#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <regex>
#include <string>
#include <vector>

#include <volley/tensor.hpp>

#include "core/files.hpp"

// What no part of the sources may do, and how all of them are compiled.

namespace volley {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = VOLLEY_SOURCE_DIR;

std::vector<fs::path> sources(const std::vector<std::string>& folders) {
  std::vector<fs::path> found;
  for (const std::string& folder : folders) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string ending = entry.path().extension().string();
      if (ending == ".cpp" || ending == ".hpp" || ending == ".h") found.push_back(entry.path());
    }
  }
  EXPECT_GT(found.size(), 20u);
  return found;
}

// Other programs get an argument vector, from one place (tests/core/process_test.cpp). No shell is started.
TEST(Hardening, NoSourceStartsAShellOrAProgramOfItsOwn) {
  const std::regex forbidden(
      R"re((^|[^A-Za-z0-9_.>])(system|popen|exec[lv]p?e?|wordexp|posix_spawnp?|v?fork)\s*\()re"
      R"re(|"(/bin/|/usr/bin/)?(sh|bash|dash)"|"-c")re");
  for (const fs::path& source : sources({"src", "include", "cli", "python/src"})) {
    if (source.lexically_relative(kRoot) == "src/core/process.cpp") continue;
    const std::string text = read_file(source, 1 << 20);
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, forbidden)) << source << ": " << found.str();
  }
}

// A checkpoint, a recipe or a data set is read as numbers and text.
TEST(Hardening, NoSourceLoadsCode) {
  const std::regex forbidden(
      R"((^|[^A-Za-z0-9_])(dlopen|dlmopen|mprotect|nb::exec|nb::eval)\s*\(|PROT_EXEC)");
  for (const fs::path& source : sources({"src", "include", "cli", "python/src"})) {
    const std::string text = read_file(source, 1 << 20);
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, forbidden)) << source << ": " << found.str();
  }
}

TEST(Arithmetic, IsCompiledAsItIsWritten) {
  std::string text;
  for (const char* file :
       {"CMakeLists.txt", "CMakePresets.json", "cmake/dependencies.cmake", "cmake/install.cmake",
        "python/CMakeLists.txt", "tests/CMakeLists.txt", "pyproject.toml"}) {
    text += read_file(kRoot / file, 1 << 20);
  }
  for (const char* flag :
       {"fast-math", "-Ofast", "unsafe-math", "finite-math", "-march", "associative-math"}) {
    EXPECT_EQ(text.find(flag), std::string::npos) << flag;
  }
  EXPECT_NE(text.find("-ffp-contract=off"), std::string::npos);
}

// Compiled with fast-math, the library would hold every number to be finite and denormals to be nought.
TEST(Arithmetic, KnowsInfinityNaNAndTheSmallestNumbers) {
  Tensor x(Shape{5});
  EXPECT_TRUE(is_finite(x));
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
    x.data()[4] = value;
    EXPECT_FALSE(is_finite(x));
  }
  volatile float smallest = std::numeric_limits<float>::denorm_min();
  const float kept = smallest * 1.0f;
  EXPECT_GT(kept, 0.0f);
}

}  // namespace
}  // namespace volley

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <volley/process.hpp>
#include <volley/version.hpp>

#include "support/temp_folder.hpp"

namespace volley {
namespace {

ProgramResult run(const std::vector<std::string>& arguments) {
  ProgramResult result = run_program(arguments, {.time_limit = std::chrono::minutes(5)});
  EXPECT_TRUE(result.ok()) << arguments[0] << ": " << result.reason() << "\n" << result.out << result.err;
  return result;
}

TEST(Install, AProgramOfTenLinesBuildsAgainstIt) {
  if (std::string_view(VOLLEY_SANITIZE) != "")
    GTEST_SKIP() << "a library with sanitizers is not for installing";
  const test::TempFolder folder;
  const std::string prefix = (folder / "prefix").string();
  run({"cmake", "--install", VOLLEY_BINARY_DIR, "--prefix", prefix});

  std::filesystem::create_directory(folder / "user");
  std::ofstream(folder / "user/CMakeLists.txt") << "cmake_minimum_required(VERSION 3.22)\n"
                                                   "project(user CXX)\n"
                                                   "find_package(volley REQUIRED)\n"
                                                   "add_executable(user main.cpp)\n"
                                                   "target_link_libraries(user PRIVATE volley::volley)\n";
  std::ofstream(folder / "user/main.cpp") << R"(#include <cstdio>
#include <volley/volley.hpp>

int main() {
  volley::Dataset two{"two", {1, 1, 2}, {255, 0, 0, 255}, {0, 1}, {"left", "right"}};
  volley::Sequential net{volley::Flatten{}, volley::Linear{2, 2}, volley::LIF{{.tau = 2.0f}}};
  volley::Trainer trainer{net, volley::Adam{0.1f}, volley::RateMse{}, volley::Poisson{}, {.steps = 10, .batch = 2}};
  std::printf("%.1f\n", trainer.fit(two, two, 50).epochs.back().test_acc);
}
)";
  const std::string build = (folder / "build").string();
  run({"cmake", "-S", (folder / "user").string(), "-B", build, "-DCMAKE_PREFIX_PATH=" + prefix,
       "-DCMAKE_BUILD_TYPE=Release"});
  run({"cmake", "--build", build});
  EXPECT_EQ(run({build + "/user"}).out, "1.0\n");
  EXPECT_EQ(run({prefix + "/bin/volley", "--version"}).out, VOLLEY_VERSION "\n");
}

}  // namespace
}  // namespace volley

#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace volley::test {

/// The path of `name` among the files that other programs wrote, $VOLLEY_TEST_FILES.
inline std::filesystem::path test_file(const std::string& name) {
  const char* folder = std::getenv("VOLLEY_TEST_FILES");
  return folder != nullptr && *folder != '\0' ? std::filesystem::path(folder) / name
                                              : std::filesystem::path();
}

}  // namespace volley::test

/// For the first line of a test.
#define VOLLEY_NEEDS_FILE(name)                                  \
  if (!std::filesystem::exists(::volley::test::test_file(name))) \
  GTEST_SKIP() << "no " << name << " in $VOLLEY_TEST_FILES"

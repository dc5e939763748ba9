#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <volley/dataset.hpp>
#include <volley/known_sets.hpp>

namespace volley::test {

/// Where tests look for real data: $VOLLEY_TEST_DATA, or where `volley data fetch` leaves it.
inline std::filesystem::path data_folder() {
  const char* folder = std::getenv("VOLLEY_TEST_DATA");
  return folder != nullptr && *folder != '\0' ? std::filesystem::path(folder) : datasets::default_folder();
}

/// Why a test that needs `name` cannot run here; empty when it can. With VOLLEY_REQUIRE_DATA set, as
/// scripts/test does, missing data fails the test instead of skipping it.
inline std::string missing_data(const std::string& name) {
  try {
    datasets::load(name, data_folder());
    return "";
  } catch (const std::exception& error) {
    if (std::getenv("VOLLEY_REQUIRE_DATA") != nullptr) ADD_FAILURE() << error.what();
    return error.what();
  }
}

}  // namespace volley::test

/// For the first line of a test.
#define VOLLEY_NEEDS_DATA(name)                                                         \
  if (const std::string missing = ::volley::test::missing_data(name); !missing.empty()) \
  GTEST_SKIP() << missing

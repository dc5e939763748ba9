#pragma once

#include <gtest/gtest.h>

#include <string>

#include <volley/error.hpp>

namespace volley::test {

/// The text of the Error that `action` throws; fails the test when it throws none.
template <class Action>
std::string error_text(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no volley::Error was thrown";
  return {};
}

inline void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in:\n" << text;
}

}  // namespace volley::test

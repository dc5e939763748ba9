#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <volley/error.hpp>
#include <volley/fields.hpp>

#include "core/files.hpp"

namespace volley {
namespace {

namespace fs = std::filesystem;

TEST(Error, TheFamilyIsOneOfRuntimeErrors) {
  EXPECT_TRUE((std::is_base_of_v<std::runtime_error, Error>));
  EXPECT_TRUE((std::is_base_of_v<Error, ArgumentError>));
  EXPECT_TRUE((std::is_base_of_v<ArgumentError, ShapeError>));
  EXPECT_TRUE((std::is_base_of_v<Error, FileError>));
  EXPECT_TRUE((std::is_base_of_v<Error, RecipeError>));
  EXPECT_FALSE((std::is_base_of_v<ArgumentError, FileError>));
  EXPECT_FALSE((std::is_base_of_v<ArgumentError, RecipeError>));
  EXPECT_STREQ(Error("loss is not finite").what(), "loss is not finite");
  EXPECT_STREQ(RecipeError("my.toml:12: no").what(), "my.toml:12: no");
}

TEST(Error, AnArgumentErrorIsMadeOfItsValues) {
  const ArgumentError error("lif", "tau must be > 1", "0.5");
  EXPECT_STREQ(error.what(), "[lif] tau must be > 1, got 0.5");
  EXPECT_EQ(error.operation(), "lif");
  EXPECT_EQ(error.rule(), "tau must be > 1");
  EXPECT_EQ(error.found(), "0.5");
  const ArgumentError without("sgd", "momentum must be > 0 with nesterov");
  EXPECT_STREQ(without.what(), "[sgd] momentum must be > 0 with nesterov");
  EXPECT_EQ(without.found(), "");
}

TEST(Error, AShapeErrorHasTheShape) {
  const ShapeError error("linear", "input features must be (784)", Shape{10, 2});
  EXPECT_STREQ(error.what(), "[linear] input features must be (784), got (10, 2)");
  EXPECT_EQ(error.operation(), "linear");
  EXPECT_EQ(error.rule(), "input features must be (784)");
  EXPECT_EQ(error.found(), "(10, 2)");
  EXPECT_EQ(error.shape(), (Shape{10, 2}));
}

TEST(Error, AFileErrorHasThePath) {
  EXPECT_STREQ(FileError("a/b", "cannot read").what(), "a/b: cannot read");
  EXPECT_STREQ(FileError("a/b", 12, "expected a number").what(), "a/b:12: expected a number");
  const FileError error("a/b", "a network", "none");
  EXPECT_STREQ(error.what(), "a/b: expected a network, found none");
  EXPECT_EQ(error.path(), "a/b");
  EXPECT_EQ(FileError("a/b", 12, "").path(), "a/b");
}

TEST(Error, WhatIsThrownHasItsClassAndValues) {
  try {
    check_range("lif", "tau", 0.5, above(1));
    ADD_FAILURE();
  } catch (const ArgumentError& error) {
    EXPECT_EQ(error.rule(), "tau must be > 1");
    EXPECT_EQ(error.found(), "0.5");
  }
  try {
    read_file("/nowhere/at/all", 10);
    ADD_FAILURE();
  } catch (const FileError& error) {
    EXPECT_EQ(error.path(), "/nowhere/at/all");
    EXPECT_STREQ(error.what(), "/nowhere/at/all: cannot read: No such file or directory");
  }
  EXPECT_THROW(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), ArgumentError);
}

/// Of a C++ file: each statement that throws a plain Error whose text names an operation and a rule.
std::vector<std::string> plain_errors_with_a_rule(std::string_view text) {
  std::vector<std::string> found;
  for (std::size_t at = 0; (at = text.find("throw ", at)) != std::string_view::npos; ++at) {
    std::string_view statement = text.substr(at, text.find(";\n", at) - at);
    std::string_view thrown = statement.substr(6);
    if (thrown.starts_with("volley::")) thrown.remove_prefix(8);
    const std::size_t literal = thrown.find('"');
    if (!thrown.starts_with("Error(") || literal == std::string_view::npos) continue;
    if (thrown.substr(literal + 1).starts_with("[") && thrown.find("must") != std::string_view::npos)
      found.emplace_back(statement);
  }
  return found;
}

TEST(Error, ThrowsAreRead) {
  EXPECT_EQ(plain_errors_with_a_rule("throw Error(\n  fmt::format(\"[lif] tau must be {}\", 1));\n").size(),
            1u);
  EXPECT_EQ(plain_errors_with_a_rule("throw volley::Error(\"[a] b must\"); // x;\n").size(), 1u);
  EXPECT_EQ(plain_errors_with_a_rule("throw Error(\"[a] is gone\");\nthrow ArgumentError(\"a\", \"must\");\n")
                .size(),
            0u);
}

TEST(Error, ABrokenRuleIsAnArgumentErrorInEveryFile) {
  std::size_t files = 0;
  for (const char* folder : {"src", "cli", "include", "python/src"}) {
    for (const fs::directory_entry& entry :
         fs::recursive_directory_iterator(fs::path(VOLLEY_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".hpp" && extension != ".h") continue;
      ++files;
      const std::string name = fs::relative(entry.path(), VOLLEY_SOURCE_DIR).string();
      for (const std::string& statement : plain_errors_with_a_rule(read_file(entry.path(), 1 << 20)))
        ADD_FAILURE() << name << ": " << statement;
    }
  }
  EXPECT_GT(files, 200u);
}

}  // namespace
}  // namespace volley

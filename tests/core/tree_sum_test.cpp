#include "core/tree_sum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace volley {
namespace {

/// A sum that shows its own shape.
struct Shown {
  std::string text;
  friend Shown operator+(const Shown& a, const Shown& b) { return {"(" + a.text + b.text + ")"}; }
};

std::string shape(std::size_t n) {
  return tree_sum(n, [](std::size_t i) { return Shown{std::string(1, static_cast<char>('a' + i))}; }).text;
}

TEST(TreeSum, TheOrderIsThatOfATreeOverThePositions) {
  EXPECT_EQ(shape(0), "");
  EXPECT_EQ(shape(1), "a");
  EXPECT_EQ(shape(2), "(ab)");
  EXPECT_EQ(shape(3), "((ab)c)");
  EXPECT_EQ(shape(4), "((ab)(cd))");
  EXPECT_EQ(shape(7), "(((ab)(cd))((ef)g))");
  EXPECT_EQ(shape(9), "((((ab)(cd))((ef)(gh)))i)");
}

TEST(TreeSum, WholeSubtreesCanBeSummedElsewhere) {
  const auto term = [](std::size_t i) { return 1.0f / static_cast<float>(i + 1); };
  for (const std::size_t n : {5u, 8u, 13u, 1000u}) {
    TreeSum<float> joined;
    for (std::size_t first = 0; first < n; first += 4) {
      joined.add(
          tree_sum(std::min<std::size_t>(4, n - first), [&](std::size_t i) { return term(first + i); }));
    }
    EXPECT_EQ(joined.total(), tree_sum(n, term)) << n;
  }
}

}  // namespace
}  // namespace volley

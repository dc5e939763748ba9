#include "spec/residual.hpp"

#include <gtest/gtest.h>

#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;
constexpr std::size_t kN = 12;

TEST(ResidualReference, BackwardIsTheGradient) {
  const Values b = test::Random(1).values<double>(kN), s = test::Random(2).values<double>(kN),
               dy = test::Random(3).values<double>(kN);
  for (const Connect connect : {Connect::ADD, Connect::AND, Connect::IAND}) {
    Values db(kN), ds(kN);
    spec::connect_backward(db.data(), ds.data(), dy.data(), b.data(), s.data(), connect, kN);
    const auto loss = [&](const Values& branch, const Values& shortcut) {
      Values y(kN);
      spec::connect_forward(y.data(), branch.data(), shortcut.data(), connect, kN);
      return test::dot(dy, y);
    };
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(at, s); }, b, db), 1e-8);
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(b, at); }, s, ds), 1e-8);
    if (connect != Connect::ADD) {
      EXPECT_GT(test::gradient_error([&](const Values& at) { return loss(at, s); }, b, ds), 1e-2);
    }
  }
}

// b, s: 0 0, 0 1, 1 0, 1 1.
TEST(ResidualReference, OnSpikesTheyAreTheFunctionsOfLogic) {
  const Values b{0, 0, 1, 1}, s{0, 1, 0, 1};
  Values y(4);
  spec::connect_forward(y.data(), b.data(), s.data(), Connect::ADD, 4);
  EXPECT_EQ(y, (Values{0, 1, 1, 2}));
  spec::connect_forward(y.data(), b.data(), s.data(), Connect::AND, 4);
  EXPECT_EQ(y, (Values{0, 0, 0, 1}));
  spec::connect_forward(y.data(), b.data(), s.data(), Connect::IAND, 4);
  EXPECT_EQ(y, (Values{0, 1, 0, 0}));
}

}  // namespace
}  // namespace volley

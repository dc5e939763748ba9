#include "spec/dropout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "spec/voting.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;

constexpr PhiloxKey kKey = philox_key(3, Purpose::dropout, 1);

Values mask_of(std::size_t F, double p, std::uint32_t sample = 0, std::uint64_t place = 0,
               PhiloxKey key = kKey) {
  Values mask(F);
  spec::dropout_mask(mask.data(), p, key, sample, place, F);
  return mask;
}

TEST(DropoutReference, SilencesThePartThatItShould) {
  constexpr std::size_t F = 100000;
  for (const double p : {0.0, 0.1, 0.5, 0.9}) {
    double silent = 0;
    for (const double m : mask_of(F, p)) {
      EXPECT_TRUE(m == 0 || std::abs(m - 1 / (1 - p)) < 1e-12);
      silent += m == 0;
    }
    EXPECT_NEAR(silent / F, p, 4 * std::sqrt(p * (1 - p) / F) + 1e-12);
  }
}

TEST(DropoutReference, EveryAddressHasAMaskOfItsOwn) {
  const Values mask = mask_of(1001, 0.5);
  EXPECT_EQ(mask_of(1001, 0.5), mask);
  EXPECT_NE(mask_of(1001, 0.5, 1), mask);
  EXPECT_NE(mask_of(1001, 0.5, 0, 1), mask);
  EXPECT_NE(mask_of(1001, 0.5, 0, std::uint64_t{1} << 32), mask);
  EXPECT_NE(mask_of(1001, 0.5, 0, 0, philox_key(3, Purpose::dropout, 2)), mask);
  Values first = mask;
  first.resize(7);
  EXPECT_EQ(mask_of(7, 0.5), first) << "a feature's bit does not depend on how many there are";
}

TEST(DropoutReference, FourFeaturesShareABlockOfRandomWords) {
  const Values mask = mask_of(30, 0.25, 7, 9);
  for (std::uint32_t f = 0; f < 30; ++f) {
    const std::uint32_t word = philox({f / 4, 7, 9, 0}, kKey)[f % 4];
    EXPECT_EQ(mask[f] == 0, word < std::uint32_t{1} << 30) << f;
  }
}

TEST(DropoutReference, BackwardIsTheGradient) {
  constexpr std::size_t T = 3, F = 8;
  const Values mask = mask_of(F, 0.4);
  const Values x = test::Random(1).values<double>(T * F), dy = test::Random(2).values<double>(T * F);
  Values dx(T * F);
  spec::apply_mask(dx.data(), dy.data(), mask.data(), T, F);
  const auto loss = [&](const Values& at) {
    Values y(T * F);
    spec::apply_mask(y.data(), at.data(), mask.data(), T, F);
    return test::dot(dy, y);
  };
  EXPECT_LT(test::gradient_error(loss, x, dx), 1e-8);
}

TEST(VotingReference, BackwardIsTheGradient) {
  constexpr std::size_t kRows = 2, K = 3, V = 4;
  const Values x = test::Random(1).values<double>(kRows * K * V),
               dy = test::Random(2).values<double>(kRows * K);
  Values dx(x.size());
  spec::voting_backward(dx.data(), dy.data(), kRows, K, V);
  const auto loss = [&](const Values& at) {
    Values y(kRows * K);
    spec::voting_forward(y.data(), at.data(), kRows, K, V);
    return test::dot(dy, y);
  };
  EXPECT_LT(test::gradient_error(loss, x, dx), 1e-8);
  std::rotate(dx.begin(), dx.begin() + 1, dx.end());
  EXPECT_GT(test::gradient_error(loss, x, dx), 1e-2);
}

}  // namespace
}  // namespace volley

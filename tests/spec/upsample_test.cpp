#include "spec/upsample.hpp"

#include <gtest/gtest.h>

#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;
constexpr std::size_t kC = 2;

struct Case {
  Size2 picture, outputs;
};
constexpr Case kCases[] = {{{3, 4}, {6, 12}}, {{5, 3}, {3, 7}}, {{1, 2}, {4, 1}}, {{4, 4}, {4, 4}}};

TEST(UpsampleReference, GradientsAreThoseOfFiniteDifferences) {
  for (const Case& c : kCases) {
    const Values x = test::Random(1).values<double>(kC * c.picture.area());
    const Values dy = test::Random(2).values<double>(kC * c.outputs.area());
    Values dx(x.size());
    spec::upsample_nearest_backward(dx.data(), dy.data(), kC, c.picture, c.outputs);
    const auto nearest = [&](const Values& at) {
      Values y(dy.size());
      spec::upsample_nearest_forward(y.data(), at.data(), kC, c.picture, c.outputs);
      return test::dot(y, dy);
    };
    EXPECT_LT(test::gradient_error(nearest, x, dx), 1e-8);
    for (const bool align : {false, true}) {
      spec::upsample_bilinear_backward(dx.data(), dy.data(), kC, c.picture, c.outputs, align);
      const auto bilinear = [&](const Values& at) {
        Values y(dy.size());
        spec::upsample_bilinear_forward(y.data(), at.data(), kC, c.picture, c.outputs, align);
        return test::dot(y, dy);
      };
      EXPECT_LT(test::gradient_error(bilinear, x, dx), 1e-8);
    }
  }
}

// 0, 1 to four places: at -1/4, 1/4, 3/4, 5/4 between the two, or at 0, 1/3, 2/3, 1.
TEST(UpsampleReference, AsByHand) {
  const double x[] = {0, 1};
  Values y(4);
  spec::upsample_nearest_forward(y.data(), x, 1, {1, 2}, {1, 4});
  EXPECT_EQ(y, (Values{0, 0, 1, 1}));
  spec::upsample_bilinear_forward(y.data(), x, 1, {1, 2}, {1, 4}, false);
  EXPECT_EQ(y, (Values{0, 0.25, 0.75, 1}));
  spec::upsample_bilinear_forward(y.data(), x, 1, {1, 2}, {1, 4}, true);
  EXPECT_LT(test::relative_error(y, Values{0, 1.0 / 3, 2.0 / 3, 1}), 1e-7);
  EXPECT_EQ(spec::nearest_place(4, 3, 5), 2u);
}

}  // namespace
}  // namespace volley

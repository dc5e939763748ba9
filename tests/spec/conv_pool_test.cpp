// Convolution and pools in double against finite differences, with a random cotangent.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>

#include "spec/conv.hpp"
#include "spec/pool.hpp"
#include "spec/winograd.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;

const spec::Conv2dShape kConvolutions[] = {
    {2, 3, 1, {4, 5}, {.kernel_size = 3, .padding = 1}},
    {4, 6, 2, {5, 4}, {.kernel_size = {2, 3}, .stride = {2, 1}}},
    {3, 3, 3, {6, 5}, {.kernel_size = {3, 2}, .stride = 2, .padding = {2, 1}, .dilation = {2, 3}}},
};

const spec::ConvTranspose2dShape kTransposed[] = {
    {2, 3, 1, {4, 5}, {.kernel_size = 3, .padding = 1}},
    {4, 6, 2, {3, 4}, {.kernel_size = {2, 3}, .stride = {3, 2}}, {2, 1}},
    {3, 3, 3, {4, 5}, {.kernel_size = {3, 2}, .stride = 2, .padding = {2, 1}, .dilation = {2, 3}}, {0, 2}},
};

template <class ConvShape>
void expect_finite_differences(std::span<const ConvShape> shapes) {
  for (const ConvShape& shape : shapes) {
    const std::size_t y_size = shape.out * shape.outputs().area();
    const std::size_t weights = shape.out * shape.in / shape.groups * shape.window.kernel_size.area();
    const Values x = test::Random(1).values<double>(shape.in * shape.picture.area());
    const Values w = test::Random(2).values<double>(weights), b = test::Random(3).values<double>(shape.out);
    const Values dy = test::Random(4).values<double>(y_size);
    const auto loss = [&](const Values& x_at, const Values& w_at, const Values& b_at) {
      Values y(y_size);
      spec::conv2d_forward(y.data(), x_at.data(), w_at.data(), b_at.data(), shape);
      return test::dot(y, dy);
    };
    Values dx(x.size()), dw(w.size()), db(b.size());
    spec::conv2d_input_gradient(dx.data(), dy.data(), w.data(), shape);
    spec::conv2d_weight_gradient(dw.data(), dy.data(), x.data(), shape);
    spec::conv2d_bias_gradient(db.data(), dy.data(), shape);
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(at, w, b); }, x, dx), 1e-8);
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(x, at, b); }, w, dw), 1e-8);
    EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(x, w, at); }, b, db), 1e-8);
    dw[0] = -dw[0];  // the check can fail
    EXPECT_GT(test::gradient_error([&](const Values& at) { return loss(x, at, b); }, w, dw), 1e-3);
  }
}

TEST(Conv2dReference, GradientsAreThoseOfFiniteDifferences) {
  expect_finite_differences<spec::Conv2dShape>(kConvolutions);
}

TEST(ConvTranspose2dReference, GradientsAreThoseOfFiniteDifferences) {
  expect_finite_differences<spec::ConvTranspose2dShape>(kTransposed);
}

// Every pair of an input and an output that meet in one meets in the other, by the same weight.
TEST(ConvTranspose2dReference, IsTheAdjointOfTheConvolution) {
  for (const spec::ConvTranspose2dShape& shape : kTransposed) {
    using Meeting = std::array<std::size_t, 3>;
    std::vector<Meeting> forward, back;
    const spec::Conv2dShape conv{shape.out, shape.in, shape.groups, shape.outputs(), shape.window};
    ASSERT_GE(conv.outputs().h, shape.picture.h);
    ASSERT_GE(conv.outputs().w, shape.picture.w);
    conv.for_each([&](std::size_t o, std::size_t i, std::size_t w) {
      // Rows and columns that a dilated output_padding adds to the convolution's outputs are not there.
      const std::size_t r = o / conv.outputs().w % conv.outputs().h, c = o % conv.outputs().w;
      const std::size_t channel = o / conv.outputs().area();
      if (r >= shape.picture.h || c >= shape.picture.w) return;
      forward.push_back({i, (channel * shape.picture.h + r) * shape.picture.w + c, w});
    });
    shape.for_each([&](std::size_t o, std::size_t i, std::size_t w) { back.push_back({o, i, w}); });
    std::ranges::sort(forward);
    std::ranges::sort(back);
    EXPECT_EQ(forward, back);
    EXPECT_FALSE(back.empty());
  }
}

TEST(Conv2dReference, WinogradIsTheSameGradient) {
  for (const std::size_t padding : {0u, 1u, 2u}) {
    for (const Size2& picture : {Size2{3, 4}, Size2{5, 7}, Size2{6, 3}}) {
      const spec::Conv2dShape shape{3, 2, 1, picture, {.kernel_size = 3, .padding = {padding, 2 - padding}}};
      const Values dy = test::Random(1).values<double>(shape.out * shape.window.outputs(picture).area());
      const Values w = test::Random(2).values<double>(shape.out * shape.in * 9);
      Values dx(shape.in * picture.area()), by_winograd(dx.size());
      spec::conv2d_input_gradient(dx.data(), dy.data(), w.data(), shape);
      spec::conv2d_input_gradient_winograd(by_winograd.data(), dy.data(), w.data(), shape);
      EXPECT_LT(test::relative_error(by_winograd, dx), 1e-14);
    }
  }
}

TEST(PoolReference, GradientsAreThoseOfFiniteDifferences) {
  constexpr std::size_t C = 2, P = 6;
  const spec::Windows windows{{0, 1, 3, 4}, {1, 2, 4, 5}, {5}};
  const std::vector<std::size_t> sizes{4, 6, 1};
  const Values x = test::Random(5).values<double>(C * P),
               dy = test::Random(6).values<double>(C * windows.size());
  Values dx(x.size());
  spec::max_pool_backward(dx.data(), dy.data(), x.data(), windows, C, P);
  const auto max_loss = [&](const Values& at) {
    Values y(dy.size());
    spec::max_pool_forward(y.data(), at.data(), windows, C, P);
    return test::dot(y, dy);
  };
  EXPECT_LT(test::gradient_error(max_loss, x, dx), 1e-8);
  spec::avg_pool_backward(dx.data(), dy.data(), windows, sizes, C, P);
  const auto mean_loss = [&](const Values& at) {
    Values y(dy.size());
    spec::avg_pool_forward(y.data(), at.data(), windows, sizes, C, P);
    return test::dot(y, dy);
  };
  EXPECT_LT(test::gradient_error(mean_loss, x, dx), 1e-8);
}

TEST(PoolReference, TheFirstOfTheHighestWins) {
  const Values x{1, 0, 1, std::nan(""), 2};
  EXPECT_EQ(spec::first_of_highest(x.data(), {1, 0, 2}), 1u);
  EXPECT_EQ(spec::first_of_highest(x.data(), {1, 1, 1}), 0u);
  EXPECT_EQ(spec::first_of_highest(x.data(), {0, 3, 4}), 1u);
}

}  // namespace
}  // namespace volley

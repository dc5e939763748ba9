// The pools in every form of their input, on every target, against the reference.

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include <volley/layers.hpp>
#include <volley/pool.hpp>
#include <volley/volley.hpp>

#include "layers/picture_layers.hpp"
#include "spec/pool.hpp"
#include "support/error_text.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"

namespace volley {
namespace {

using test::error_text;

constexpr std::size_t kN = 2, kT = 3;

struct Case {
  Size2 kernel, stride, padding, picture;
};

const Case kCases[] = {
    {2, 2, 0, {4, 6}}, {3, 2, 1, {5, 6}}, {{2, 3}, {1, 2}, {0, 1}, {4, 7}},
    {1, 1, 0, {1, 3}}, {3, 4, 0, {7, 8}},
};

/// The positions that a sliding window sees, written as PyTorch describes it.
spec::Windows sliding(const Case& c) {
  spec::Windows windows;
  const auto outputs = [](std::size_t size, std::size_t k, std::size_t s, std::size_t p) {
    return (size + 2 * p - k) / s + 1;
  };
  for (std::size_t r = 0; r < outputs(c.picture.h, c.kernel.h, c.stride.h, c.padding.h); ++r) {
    for (std::size_t q = 0; q < outputs(c.picture.w, c.kernel.w, c.stride.w, c.padding.w); ++q) {
      auto& window = windows.emplace_back();
      for (std::size_t i = 0; i < c.kernel.h; ++i) {
        for (std::size_t j = 0; j < c.kernel.w; ++j) {
          const auto row =
              static_cast<std::ptrdiff_t>(r * c.stride.h + i) - static_cast<std::ptrdiff_t>(c.padding.h);
          const auto column =
              static_cast<std::ptrdiff_t>(q * c.stride.w + j) - static_cast<std::ptrdiff_t>(c.padding.w);
          if (row < 0 || row >= static_cast<std::ptrdiff_t>(c.picture.h)) continue;
          if (column < 0 || column >= static_cast<std::ptrdiff_t>(c.picture.w)) continue;
          window.push_back(static_cast<std::size_t>(row) * c.picture.w + static_cast<std::size_t>(column));
        }
      }
    }
  }
  return windows;
}

/// Every form that one input can have: spikes and values, both layouts.
struct Forms {
  std::vector<float> spike_values;
  Spikes spikes;
  Tensor values;
  SignalMemory turned_spikes, turned_values;
  std::vector<Signal> signals;

  explicit Forms(const Shape& shape) : values(test::random_tensor(shape, 1)) {
    const auto bytes = test::Random(2).spikes<std::uint8_t>(shape.size(), 0.3);
    spikes = Spikes::from_bytes(shape, bytes);
    ThreadPool pool(1);
    signals = {spikes, values, in_layout(spikes, Layout::channels_last, turned_spikes, pool),
               in_layout(values, Layout::channels_last, turned_values, pool)};
  }
};

TEST(MaxPool2d, IsTheReferenceBitForBit) {
  test::on_every_target([] {
    for (const Case& c : kCases) {
      for (const std::size_t C : {1u, 15u, 16u, 17u, 63u, 64u, 65u}) {
        MaxPool2d pool(c.kernel, {.stride = c.stride, .padding = c.padding});
        const Shape features{C, c.picture.h, c.picture.w};
        const spec::Windows windows = sliding(c);
        const Shape out = pool.output_shape(features);
        ASSERT_EQ(out.from(1).size(), windows.size());
        const Tensor dy = test::random_tensor(out.after({kN, kT}), 3);
        const Forms forms(features.after({kN, kT}));
        for (const Signal& x : forms.signals) {
          const std::vector<float> in = test::plain_values(x);
          std::vector<float> y(dy.size()), dx(in.size());
          for (std::size_t n = 0; n < kN * kT; ++n) {
            spec::max_pool_forward(&y[n * out.size()], &in[n * features.size()], windows, C,
                                   c.picture.area());
            spec::max_pool_backward(&dx[n * features.size()], &dy.data()[n * out.size()],
                                    &in[n * features.size()], windows, C, c.picture.area());
          }
          const test::PassResult got = test::run_pass(pool, x, dy);
          EXPECT_EQ(got.y.is_spikes(), x.is_spikes());
          EXPECT_EQ(got.y.layout(), Layout::channels_last);
          EXPECT_EQ(got.y_values, y);
          EXPECT_EQ(got.dx, dx);
        }
      }
    }
  });
}

void expect_mean(Layer& pool, const Shape& features, const spec::Windows& windows,
                 const std::vector<std::size_t>& sizes) {
  const Shape out = pool.output_shape(features);
  const std::size_t C = features[0], P = features.from(1).size();
  ASSERT_EQ(out.from(1).size(), windows.size());
  const Tensor dy = test::random_tensor(out.after({kN, kT}), 4);
  const Forms forms(features.after({kN, kT}));
  for (const Signal& x : forms.signals) {
    const std::vector<float> in = test::plain_values(x);
    std::vector<float> y(dy.size()), dx(in.size());
    for (std::size_t n = 0; n < kN * kT; ++n) {
      spec::avg_pool_forward(&y[n * out.size()], &in[n * features.size()], windows, sizes, C, P);
      spec::avg_pool_backward(&dx[n * features.size()], &dy.data()[n * out.size()], windows, sizes, C, P);
    }
    const test::PassResult got = test::run_pass(pool, x, dy);
    EXPECT_EQ(got.y.layout(), Layout::channels_last);
    EXPECT_EQ(got.y_values, y);
    EXPECT_EQ(got.dx, dx);
  }
}

TEST(AvgPool2d, IsTheReferenceBitForBit) {
  test::on_every_target([] {
    for (const Case& c : kCases) {
      for (const std::size_t C : {1u, 16u, 65u}) {
        AvgPool2d pool(c.kernel, {.stride = c.stride, .padding = c.padding});
        const spec::Windows windows = sliding(c);
        expect_mean(pool, {C, c.picture.h, c.picture.w}, windows,
                    std::vector<std::size_t>(windows.size(), c.kernel.area()));
      }
    }
  });
}

TEST(AdaptiveAvgPool2d, IsTheReferenceBitForBit) {
  // Per dimension the windows of 5 places on 3 outputs, and of 2 on 3.
  const std::vector<std::vector<std::size_t>> five{{0, 1}, {1, 2, 3}, {3, 4}}, two{{0}, {0, 1}, {1}};
  spec::Windows windows;
  std::vector<std::size_t> sizes;
  for (const auto& rows : five) {
    for (const auto& columns : two) {
      auto& window = windows.emplace_back();
      for (const std::size_t r : rows) {
        for (const std::size_t c : columns) window.push_back(r * 2 + c);
      }
      sizes.push_back(window.size());
    }
  }
  AdaptiveAvgPool2d pool(Size2{3, 3});
  expect_mean(pool, {17, 5, 2}, windows, sizes);
}

TEST(Pools, KeepAConstantConstant) {
  const Shape features{5, 4, 4};
  const Tensor values = test::random_tensor(features.after({kN, 1}), 5);
  const Signal x(values, features.after({kN, kT}));
  ThreadPool threads(1);
  SignalMemory memory;
  const Signal every_step = plain(x, memory, threads);
  MaxPool2d max(2);
  AvgPool2d mean(2);
  AdaptiveAvgPool2d adaptive(Size2{3, 2});
  for (Layer* pool :
       {static_cast<Layer*>(&max), static_cast<Layer*>(&mean), static_cast<Layer*>(&adaptive)}) {
    const Tensor dy = test::random_tensor(pool->output_shape(features).after({kN, kT}), 6);
    const test::PassResult got = test::run_pass(*pool, x, dy),
                           expected = test::run_pass(*pool, every_step, dy);
    EXPECT_EQ(got.y.stored_steps(), 1u);
    EXPECT_EQ(got.y_values, expected.y_values);
    const std::size_t F = features.size();
    std::vector<float> sums(kN * F), once(kN * F);
    for (std::size_t i = 0; i < expected.dx.size(); ++i) sums[i / (kT * F) * F + i % F] += expected.dx[i];
    for (std::size_t i = 0; i < once.size(); ++i) once[i] = got.dx[i / F * kT * F + i % F];
    EXPECT_LT(test::relative_error(once, sums), 1e-6);
  }
}

TEST(MaxPool2d, NaNIsHigherThanAll) {
  Tensor x(Shape{1, 1, 1, 2, 2});
  x.data()[1] = std::numeric_limits<float>::quiet_NaN();
  x.data()[2] = 5;
  MaxPool2d pool(2);
  Tape tape;
  EXPECT_TRUE(std::isnan(pool.forward(x, tape).values()[0]));
}

TEST(Pools, RefuseOptionsAndShapes) {
  EXPECT_EQ(error_text([] { MaxPool2d(Size2{0}); }),
            "[max_pool2d] kernel_size must be >= 1 and <= 4096, got 0");
  EXPECT_EQ(error_text([] { AvgPool2d(2, {.stride = Size2{0}}); }),
            "[avg_pool2d] stride must be >= 1 and <= 4096, got 0");
  EXPECT_EQ(error_text([] { MaxPool2d(3, {.padding = 2}); }),
            "[max_pool2d] padding must be at most half of kernel_size (3, 3), got (2, 2)");
  EXPECT_EQ(error_text([] {
              AdaptiveAvgPool2d(Size2{3, 0});
            }),
            "[adaptive_avg_pool2d] output_size must be >= 1 and <= 4096, got 0");
  const Sequential net{MaxPool2d(3), AvgPool2d(2), Flatten{}, AdaptiveAvgPool2d(Size2{1})};
  EXPECT_EQ(error_text([&] { static_cast<void>(net.output_shape({784})); }),
            "layer 0: [max_pool2d] input features must be (C, H, W), got (784)");
  EXPECT_EQ(error_text([&] {
              static_cast<void>(net.output_shape({3, 5, 9}));
            }),
            "layer 1: [avg_pool2d] input must be at least as large as the window (2, 2), is (1, 3) with its "
            "padding, got "
            "(3, 1, 3)");
  EXPECT_EQ(error_text([&] {
              static_cast<void>(net.output_shape({3, 12, 12}));
            }),
            "layer 3: [adaptive_avg_pool2d] input features must be (C, H, W), got (12)");
}

}  // namespace
}  // namespace volley

// Upsample and Unflatten: against the reference, every form of a signal, threads, errors.

#include <gtest/gtest.h>

#include <volley/layers.hpp>
#include <volley/upsample.hpp>

#include "layers/picture_layers.hpp"
#include "spec/upsample.hpp"
#include "support/error_text.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

constexpr std::size_t kN = 2, kT = 5;

struct Case {
  UpsampleOptions options;
  Shape features;
};

const Case kCases[] = {
    {{.scale_factor = 2}, {3, 4, 5}},
    {{.scale_factor = Size2{3, 1}}, {65, 2, 3}},
    {{.size = Size2{5, 3}}, {17, 3, 7}},
    {{.scale_factor = 2, .mode = UpsampleMode::bilinear}, {3, 4, 5}},
    {{.size = Size2{7, 3}, .mode = UpsampleMode::bilinear}, {17, 3, 5}},
    {{.scale_factor = 3, .mode = UpsampleMode::bilinear, .align_corners = true}, {70, 2, 1}},
    {{.size = 4, .mode = UpsampleMode::bilinear}, {2, 4, 4}},
};

/// y and dx of the reference for plain x and dy.
struct Expected {
  std::vector<float> y, dx;

  Expected(const Upsample& layer, const Shape& features, const std::vector<float>& x, const Tensor& dy) {
    const UpsampleOptions& o = layer.options();
    const Shape out = layer.output_shape(features);
    const Size2 picture{features[1], features[2]}, outputs{out[1], out[2]};
    y.resize(dy.size());
    dx.resize(x.size());
    const std::size_t F = features.size(), G = out.size();
    for (std::size_t n = 0; n < x.size() / F; ++n) {
      if (o.mode == UpsampleMode::nearest) {
        spec::upsample_nearest_forward(&y[n * G], &x[n * F], features[0], picture, outputs);
        spec::upsample_nearest_backward(&dx[n * F], dy.data() + n * G, features[0], picture, outputs);
      } else {
        spec::upsample_bilinear_forward(&y[n * G], &x[n * F], features[0], picture, outputs, o.align_corners);
        spec::upsample_bilinear_backward(&dx[n * F], dy.data() + n * G, features[0], picture, outputs,
                                         o.align_corners);
      }
    }
  }
};

TEST(Upsample, IsTheReferenceToTheBitOnEveryTarget) {
  test::on_every_target([] {
    for (const Case& c : kCases) {
      SCOPED_TRACE(&c - kCases);
      Upsample layer(c.options);
      const bool nearest = c.options.mode == UpsampleMode::nearest;
      const Shape shape = c.features.after({kN, kT});
      const Tensor dy = random_tensor(layer.output_shape(c.features).after({kN, kT}), 1);
      const Tensor values = random_tensor(shape, 2);
      const Spikes spikes =
          Spikes::from_bytes(shape, test::Random(3).spikes<std::uint8_t>(shape.size(), 0.4));
      ThreadPool pool(1);
      SignalMemory memory, spike_memory;
      for (const Signal& x : {Signal(values), in_layout(values, Layout::channels_last, memory, pool),
                              Signal(spikes), in_layout(spikes, Layout::channels_last, spike_memory, pool)}) {
        const Expected expected(layer, c.features, test::plain_values(x), dy);
        for (const std::size_t threads : {1u, 3u}) {
          const test::PassResult got = test::run_pass(layer, x, dy, threads);
          EXPECT_EQ(got.y.is_spikes(), nearest && x.is_spikes());
          EXPECT_EQ(got.y.layout(), Layout::channels_last);
          EXPECT_EQ(got.y_values, expected.y);
          EXPECT_EQ(got.dx, expected.dx);
        }
      }
    }
  });
}

TEST(Upsample, ConstantSignalsStayConstant) {
  for (const Case& c : kCases) {
    Upsample layer(c.options);
    const Tensor stored = random_tensor(c.features.after({kN, 1}), 4);
    const Signal x(stored, c.features.after({kN, kT}));
    const Tensor dy = random_tensor(layer.output_shape(c.features).after({kN, kT}), 5);
    const Expected expected(layer, c.features, test::plain_values(x), dy);
    const test::PassResult got = test::run_pass(layer, x, dy);
    EXPECT_EQ(got.y.stored_steps(), 1u);
    EXPECT_EQ(got.y_values, expected.y);
    const std::size_t F = c.features.size();
    std::vector<double> sums(kN * F), once(kN * F);
    for (std::size_t i = 0; i < expected.dx.size(); ++i)
      sums[i / (kT * F) * F + i % F] += static_cast<double>(expected.dx[i]);
    for (std::size_t i = 0; i < once.size(); ++i)
      once[i] = static_cast<double>(got.dx[i / F * kT * F + i % F]);
    EXPECT_LT(test::relative_error(once, sums), 1e-6);
  }
}

TEST(Upsample, RefusesOptionsAndShapes) {
  EXPECT_EQ(error_text([] { Upsample(UpsampleOptions{}); }),
            "[upsample] exactly one of size and scale_factor must be given, got neither");
  EXPECT_EQ(error_text([] { Upsample({.size = 2, .scale_factor = 2}); }),
            "[upsample] exactly one of size and scale_factor must be given, got both");
  EXPECT_EQ(error_text([] { Upsample({.scale_factor = 2, .align_corners = true}); }),
            "[upsample] align_corners must be false where mode is nearest, got true");
  EXPECT_EQ(error_text([] {
              Upsample({.size = Size2{0, 2}});
            }),
            "[upsample] size must be >= 1 and <= 4096, got 0");
  EXPECT_EQ(error_text([] { static_cast<void>(Upsample({.size = 2}).output_shape({4})); }),
            "[upsample] input features must be (C, H, W), got (4)");
}

TEST(Unflatten, IsTheInverseOfFlatten) {
  Unflatten unflatten({.unflattened_size = {2, 3, 4}});
  const Tensor x = random_tensor({2, 3, 24}, 1), dy = random_tensor({2, 3, 2, 3, 4}, 2);
  const Spikes spikes = Spikes::from_bytes(x.shape(), test::Random(3).spikes<std::uint8_t>(x.size(), 0.4));
  for (const Signal& given : {Signal(x), Signal(spikes)}) {
    const test::PassResult got = test::run_pass(unflatten, given, dy);
    EXPECT_EQ(got.y.shape(), dy.shape());
    EXPECT_EQ(got.y_values, test::plain_values(given));
    EXPECT_EQ(got.y.is_spikes(), given.is_spikes());
    EXPECT_TRUE(std::ranges::equal(got.dx, dy.values()));
  }
  EXPECT_EQ(Unflatten({.dim = 2, .unflattened_size = {2, 2}}).output_shape({3, 4, 5}), (Shape{3, 2, 2, 5}));
}

TEST(Unflatten, RefusesOptionsAndShapes) {
  EXPECT_EQ(error_text([] { Unflatten(UnflattenOptions{}); }),
            "[unflatten] unflattened_size must have 1 to 6 sizes, got 0");
  EXPECT_EQ(error_text([] {
              static_cast<void>(Unflatten({.unflattened_size = {2, 3}}).output_shape({7}));
            }),
            "[unflatten] dimension 1 of the input must be 6, got (7)");
  EXPECT_EQ(
      error_text([] { static_cast<void>(Unflatten({.dim = 2, .unflattened_size = {6}}).output_shape({6})); }),
      "[unflatten] dimension 2 of the input must be 6, got (6)");
}

}  // namespace
}  // namespace volley

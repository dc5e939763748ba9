// Convolutions and transposed ones in every form of their input, on every target, against the reference.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <volley/conv.hpp>
#include <volley/layers.hpp>

#include "layers/picture_layers.hpp"
#include "spec/conv.hpp"
#include "support/error_text.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

using test::error_text;

constexpr std::size_t kN = 2, kT = 6;

template <class Options>
struct Case {
  Options options;
  Size2 picture;
};

/// Channels at and beside the edges of vectors, panels and words; every option.
const std::vector<Case<Conv2dOptions>> kConvolutions{
    {{.in_channels = 1, .out_channels = 1, .kernel_size = 1}, {1, 1}},
    {{.in_channels = 1, .out_channels = 17, .kernel_size = 3, .padding = 1}, {6, 7}},
    {{.in_channels = 5, .out_channels = 7, .kernel_size = {2, 3}, .stride = {2, 1}, .bias = false}, {5, 8}},
    {{.in_channels = 63, .out_channels = 64, .kernel_size = 3, .padding = 1}, {4, 5}},
    {{.in_channels = 65, .out_channels = 130, .kernel_size = 1, .stride = 2}, {5, 5}},
    {{.in_channels = 64, .out_channels = 65, .kernel_size = 2, .padding = {2, 1}, .dilation = {2, 3}},
     {4, 6}},
    {{.in_channels = 6, .out_channels = 8, .kernel_size = 3, .stride = 2, .padding = 1, .groups = 2}, {7, 6}},
    {{.in_channels = 70, .out_channels = 70, .kernel_size = 3, .padding = 1, .groups = 70}, {4, 4}},
    {{.in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 4, .padding = 2}, {9, 9}},
    // dx by Winograd's algorithm, as the fourth.
    {{.in_channels = 16, .out_channels = 17, .kernel_size = 3}, {5, 4}},
    {{.in_channels = 33, .out_channels = 16, .kernel_size = 3, .padding = {2, 0}}, {3, 7}},
    {{.in_channels = 40, .out_channels = 64, .kernel_size = 3, .padding = 1, .groups = 2}, {7, 7}},
};

const std::vector<Case<ConvTranspose2dOptions>> kTransposed{
    {{.in_channels = 1, .out_channels = 1, .kernel_size = 1}, {1, 1}},
    {{.in_channels = 3, .out_channels = 17, .kernel_size = 3, .padding = 1}, {6, 7}},
    {{.in_channels = 5, .out_channels = 7, .kernel_size = {2, 3}, .stride = {2, 1}, .bias = false}, {5, 8}},
    {{.in_channels = 65, .out_channels = 66, .kernel_size = 2, .stride = 2}, {3, 4}},
    {{.in_channels = 16,
      .out_channels = 130,
      .kernel_size = 3,
      .stride = 2,
      .padding = 1,
      .output_padding = 1},
     {4, 3}},
    {{.in_channels = 6,
      .out_channels = 9,
      .kernel_size = 3,
      .stride = {3, 2},
      .output_padding = {2, 0},
      .groups = 3},
     {3, 5}},
    // An output_padding that only the dilation allows.
    {{.in_channels = 8,
      .out_channels = 5,
      .kernel_size = 2,
      .padding = {1, 0},
      .output_padding = 1,
      .dilation = {2, 3}},
     {4, 6}},
    {{.in_channels = 40, .out_channels = 40, .kernel_size = 3, .padding = 1, .groups = 2}, {5, 5}},
};

spec::Conv2dShape reference_shape(const Conv2dOptions& o, const Size2& picture) {
  return {o.in_channels, o.out_channels, o.groups, picture, {o.kernel_size, o.stride, o.padding, o.dilation}};
}
spec::ConvTranspose2dShape reference_shape(const ConvTranspose2dOptions& o, const Size2& picture) {
  return {
      o.in_channels,   o.out_channels, o.groups, picture, {o.kernel_size, o.stride, o.padding, o.dilation},
      o.output_padding};
}

/// y, dx and the gradients of the reference for plain x and dy (N, T, ...).
template <class Real>
struct Expected {
  std::vector<Real> y, y_of_spikes, dx, dw, dw_by_fours, db;

  template <class Options>
  Expected(ConvolutionOf<Options>& conv, const Size2& picture, const std::vector<float>& x_values,
           const Tensor& dy_values) {
    const Options& o = conv.options();
    const auto shape = reference_shape(o, picture);
    const std::vector<Real> x(x_values.begin(), x_values.end()),
        dout(dy_values.values().begin(), dy_values.values().end()),
        w(conv.weight().value.values().begin(), conv.weight().value.values().end()),
        b(conv.bias().value.values().begin(), conv.bias().value.values().end());
    const std::size_t in = o.in_channels * picture.area();
    const std::size_t out = o.out_channels * shape.outputs().area();
    y.resize(dout.size());
    y_of_spikes.resize(y.size());
    dx.resize(x.size());
    dw.resize(w.size());
    dw_by_fours.resize(w.size());
    db.resize(o.out_channels);
    for (std::size_t n = 0; n < kN; ++n) {
      spec::conv2d_weight_gradient_by_fours(dw_by_fours.data(), &dout[n * kT * out], &x[n * kT * in], kT,
                                            shape);
    }
    for (std::size_t n = 0; n < kN * kT; ++n) {
      spec::conv2d_forward(&y[n * out], &x[n * in], w.data(), o.bias ? b.data() : nullptr, shape);
      spec::conv2d_forward_by_fours(&y_of_spikes[n * out], &x[n * in], w.data(), o.bias ? b.data() : nullptr,
                                    shape);
      spec::conv2d_input_gradient(&dx[n * in], &dout[n * out], w.data(), shape);
      spec::conv2d_weight_gradient(dw.data(), &dout[n * out], &x[n * in], shape);
      spec::conv2d_bias_gradient(db.data(), &dout[n * out], shape);
    }
  }
};

void expect_gradients(const test::PassResult& got, const Expected<double>& expected, bool bias) {
  EXPECT_LT(test::relative_error(got.dx, expected.dx), 2e-6);
  EXPECT_LT(test::relative_error(got.gradients.at(0), expected.dw), 2e-6);
  if (bias) {
    EXPECT_LT(test::relative_error(got.gradients.at(1), expected.db), 2e-6);
  }
}

template <class Options>
void expect_the_reference_on_every_target(const std::vector<Case<Options>>& cases) {
  test::on_every_target([&] {
    for (const Case<Options>& c : cases) {
      SCOPED_TRACE(testing::Message() << "case " << &c - cases.data());
      ConvolutionOf<Options> conv(c.options);
      const Shape features{c.options.in_channels, c.picture.h, c.picture.w};
      const Tensor dy = test::random_tensor(conv.output_shape(features).after({kN, kT}), 2);
      ThreadPool pool(1);
      // Few spikes take the gather, many look-ups.
      for (const double rate : {0.0, 0.15, 0.7}) {
        const Shape shape = features.after({kN, kT});
        const auto bytes = test::Random(3).spikes<std::uint8_t>(shape.size(), rate);
        const Spikes rows = Spikes::from_bytes(shape, bytes);
        Spikes turned;
        to_layout(turned, rows, rows.shape(), Layout::channels_last, pool);
        const std::vector<float> x(bytes.begin(), bytes.end());
        const Expected<float> exact(conv, c.picture, x, dy);
        const Expected<double> expected(conv, c.picture, x, dy);
        for (const Spikes* spikes : {&rows, static_cast<const Spikes*>(&turned)}) {
          const test::PassResult got = test::run_pass(conv, *spikes, dy);
          EXPECT_EQ(got.y.layout(), Layout::channels_last);
          EXPECT_EQ(got.y_values, exact.y_of_spikes);  // to the bit
          EXPECT_EQ(got.gradients.at(0), exact.dw_by_fours);
          expect_gradients(got, expected, c.options.bias);
        }
        Tensor values(shape);
        std::copy(x.begin(), x.end(), values.data());
        expect_gradients(test::run_pass(conv, values, dy), expected, c.options.bias);
      }
    }
  });
}

template <class Options>
void expect_real_values_and_constants_in_both_layouts(const std::vector<Case<Options>>& cases) {
  for (const Case<Options>& c : cases) {
    SCOPED_TRACE(testing::Message() << "case " << &c - cases.data());
    ConvolutionOf<Options> conv(c.options);
    const Shape features{c.options.in_channels, c.picture.h, c.picture.w};
    const Shape shape = features.after({kN, kT});
    const Tensor dy = test::random_tensor(conv.output_shape(features).after({kN, kT}), 4);
    for (const std::size_t stored : {kT, std::size_t{1}}) {
      const Tensor values = test::random_tensor(features.after({kN, stored}), 5);
      const Signal x(values, shape);
      ThreadPool pool(1);
      SignalMemory memory;
      const Expected<double> expected(conv, c.picture, test::plain_values(x), dy);
      for (const Signal& form : {x, in_layout(x, Layout::channels_last, memory, pool)}) {
        test::PassResult got = test::run_pass(conv, form, dy);
        EXPECT_EQ(got.y.stored_steps(), stored);
        EXPECT_LT(test::relative_error(got.y_values, expected.y), 2e-6);
        if (stored == kT) {
          expect_gradients(got, expected, c.options.bias);
          continue;
        }
        // A constant's gradient is the sum over the steps.
        EXPECT_LT(test::relative_error(got.gradients.at(0), expected.dw), 3e-6);
        const std::size_t F = features.size();
        std::vector<double> sums(kN * F), once(kN * F);
        for (std::size_t i = 0; i < expected.dx.size(); ++i) sums[i / (kT * F) * F + i % F] += expected.dx[i];
        for (std::size_t i = 0; i < once.size(); ++i)
          once[i] = static_cast<double>(got.dx[i / F * kT * F + i % F]);
        EXPECT_LT(test::relative_error(once, sums), 3e-6);
      }
    }
  }
}

template <class Options>
void expect_same_bits_for_any_number_of_threads(const std::vector<Case<Options>>& cases) {
  for (const Case<Options>& c : cases) {
    ConvolutionOf<Options> conv(c.options);
    const Shape features{c.options.in_channels, c.picture.h, c.picture.w};
    const Shape shape = features.after({kN, kT});
    const Tensor dy = test::random_tensor(conv.output_shape(features).after({kN, kT}), 6);
    const Tensor values = test::random_tensor(shape, 7);
    const Spikes spikes = Spikes::from_bytes(shape, test::Random(8).spikes<std::uint8_t>(shape.size(), 0.2));
    for (const Signal& x : {Signal(values), Signal(spikes)}) {
      const test::PassResult one = test::run_pass(conv, x, dy, 1);
      for (const std::size_t threads : {2u, 5u}) {
        const test::PassResult many = test::run_pass(conv, x, dy, threads);
        EXPECT_EQ(many.y_values, one.y_values);
        EXPECT_EQ(many.dx, one.dx);
        EXPECT_EQ(many.gradients, one.gradients);
      }
    }
  }
}

template <class Options>
void expect_same_bits_on_every_target(const std::vector<Case<Options>>& cases) {
  for (const Case<Options>& c : cases) {
    ConvolutionOf<Options> conv(c.options);
    const Shape features{c.options.in_channels, c.picture.h, c.picture.w};
    const Shape shape = features.after({kN, kT});
    const Tensor dy = test::random_tensor(conv.output_shape(features).after({kN, kT}), 9);
    const Tensor values = test::random_tensor(shape, 10);
    const Spikes spikes = Spikes::from_bytes(shape, test::Random(11).spikes<std::uint8_t>(shape.size(), 0.3));
    for (const Signal& x : {Signal(values), Signal(spikes)}) {
      std::vector<test::PassResult> passes;
      test::on_every_target([&] {
        if (kernels::active_target().starts_with("avx")) passes.push_back(test::run_pass(conv, x, dy));
      });
      for (const test::PassResult& pass : passes) {
        EXPECT_EQ(pass.y_values, passes[0].y_values);
        EXPECT_EQ(pass.dx, passes[0].dx);
        EXPECT_EQ(pass.gradients, passes[0].gradients);
      }
    }
  }
}

TEST(Conv2d, IsTheReferenceOnEveryTarget) { expect_the_reference_on_every_target(kConvolutions); }
TEST(ConvTranspose2d, IsTheReferenceOnEveryTarget) { expect_the_reference_on_every_target(kTransposed); }
TEST(Conv2d, TakesRealValuesAndConstantsInBothLayouts) {
  expect_real_values_and_constants_in_both_layouts(kConvolutions);
}
TEST(ConvTranspose2d, TakesRealValuesAndConstantsInBothLayouts) {
  expect_real_values_and_constants_in_both_layouts(kTransposed);
}
TEST(Conv2d, SameBitsForAnyNumberOfThreadsAndEveryForm) {
  expect_same_bits_for_any_number_of_threads(kConvolutions);
}
TEST(ConvTranspose2d, SameBitsForAnyNumberOfThreadsAndEveryForm) {
  expect_same_bits_for_any_number_of_threads(kTransposed);
}
TEST(Conv2d, SameBitsOnEveryTargetThatFuses) { expect_same_bits_on_every_target(kConvolutions); }
TEST(ConvTranspose2d, SameBitsOnEveryTargetThatFuses) { expect_same_bits_on_every_target(kTransposed); }

// y of a transposed convolution is dx of the convolution with the same weights, whose x it returns as dx.
TEST(ConvTranspose2d, IsTheAdjointOfTheConvolution) {
  Conv2d conv(6, 4, 3, {.stride = 2, .padding = 1, .groups = 2, .bias = false});
  ConvTranspose2d back(4, 6, 3,
                       {.stride = 2, .padding = 1, .output_padding = {1, 0}, .groups = 2, .bias = false});
  ASSERT_EQ(conv.weight().value.shape(), back.weight().value.shape());
  back.weight().value = conv.weight().value;
  const Shape features{6, 8, 7}, outputs = conv.output_shape(features);
  ASSERT_EQ(back.output_shape(outputs), features);
  const Tensor x = test::random_tensor(features.after({kN, kT}), 1);
  const Tensor dy = test::random_tensor(outputs.after({kN, kT}), 2);
  const test::PassResult forward = test::run_pass(conv, x, dy), backward = test::run_pass(back, dy, x);
  EXPECT_LT(test::relative_error(backward.y_values, forward.dx), 1e-6);
  EXPECT_LT(test::relative_error(backward.dx, forward.y_values), 1e-6);
  EXPECT_LT(test::relative_error(backward.gradients.at(0), forward.gradients.at(0)), 1e-6);
}

/// One dimension is two of which one has one row: the same bits.
template <class Line, class Picture>
void expect_a_picture_of_one_row(Line line, Picture picture, std::size_t channels) {
  constexpr std::size_t kLength = 11;
  ASSERT_EQ(line.weight().value.size(), picture.weight().value.size());
  std::ranges::copy(line.weight().value.values(), picture.weight().value.data());
  std::ranges::copy(line.bias().value.values(), picture.bias().value.data());
  const Shape of_line = Shape{channels, kLength}.after({kN, kT}), of_picture{kN, kT, channels, 1, kLength};
  const Shape y = line.output_shape({channels, kLength});
  ASSERT_EQ(picture.output_shape({channels, 1, kLength}), (Shape{y[0], 1, y[1]}));
  EXPECT_EQ(line.macs({channels, kLength}), picture.macs({channels, 1, kLength}));
  const Tensor dy_line = test::random_tensor(y.after({kN, kT}), 1);
  const Tensor dy_picture = test::random_tensor({kN, kT, y[0], 1, y[1]}, 1);
  const auto bytes = test::Random(2).spikes<std::uint8_t>(of_line.size(), 0.3);
  const Spikes spikes_line = Spikes::from_bytes(of_line, bytes),
               spikes_picture = Spikes::from_bytes(of_picture, bytes);
  const Tensor stored_line = test::random_tensor({kN, 1, channels, kLength}, 3);
  const Tensor stored_picture = test::random_tensor({kN, 1, channels, 1, kLength}, 3);
  const Tensor values_line = test::random_tensor(of_line, 4),
               values_picture = test::random_tensor(of_picture, 4);
  const std::pair<Signal, Signal> forms[] = {
      {spikes_line, spikes_picture},
      {values_line, values_picture},
      {Signal(stored_line, of_line), Signal(stored_picture, of_picture)}};
  ThreadPool pool(1);
  for (const auto& [x_line, x_picture] : forms) {
    const test::PassResult expected = test::run_pass(picture, x_picture, dy_picture);
    SignalMemory memory;
    for (const Signal& x : {x_line, in_layout(x_line, Layout::channels_last, memory, pool)}) {
      const test::PassResult got = test::run_pass(line, x, dy_line);
      EXPECT_EQ(got.y.layout(), Layout::channels_last);
      EXPECT_EQ(got.y_values, expected.y_values);
      EXPECT_EQ(got.dx, expected.dx);
      EXPECT_EQ(got.gradients, expected.gradients);
    }
  }
}

TEST(Conv1d, IsAConvolutionOfPicturesOfOneRow) {
  expect_a_picture_of_one_row(
      Conv1d(6, 10, 3, {.stride = 2, .padding = 2, .dilation = 2, .groups = 2}),
      Conv2d(6, 10, {1, 3}, {.stride = {1, 2}, .padding = {0, 2}, .dilation = {1, 2}, .groups = 2}), 6);
  expect_a_picture_of_one_row(Conv1d(70, 65, 1), Conv2d(70, 65, 1), 70);
}

TEST(ConvTranspose1d, IsATransposedConvolutionOfPicturesOfOneRow) {
  expect_a_picture_of_one_row(
      ConvTranspose1d(6, 10, 3, {.stride = 3, .padding = 1, .output_padding = 2, .groups = 2}),
      ConvTranspose2d(6, 10, {1, 3},
                      {.stride = {1, 3}, .padding = {0, 1}, .output_padding = {0, 2}, .groups = 2}),
      6);
}

TEST(ConvTranspose2d, CountsWhatItMultiplies) {
  EXPECT_EQ(ConvTranspose2d(4, 6, 3, {.stride = 2, .groups = 2}).macs({4, 5, 7}), 4u * 5 * 7 * 3 * 9);
  EXPECT_EQ(Conv1d(4, 6, 3, {.groups = 2}).macs({4, 9}), 6u * 7 * 2 * 3);
}

TEST(ConvTranspose2d, RefusesOptionsAndShapes) {
  EXPECT_EQ(error_text([] {
              ConvTranspose2d(1, 1, 3, {.stride = 2, .output_padding = {1, 2}});
            }),
            "[conv_transpose2d] output_padding must be less than stride or dilation, got (1, 2)");
  EXPECT_EQ(error_text([] { ConvTranspose1d(1, 1, 3, {.output_padding = 1}); }),
            "[conv_transpose1d] output_padding must be less than stride or dilation, got 1");
  EXPECT_EQ(error_text([] {
              ConvTranspose2d(1, 1, 3, {.padding = {1, 4}}).output_shape({1, 9, 2});
            }),
            "[conv_transpose2d] padding must leave something of the output, got (1, 9, 2)");
  EXPECT_EQ(error_text([] { ConvTranspose2d(4, 3, 3, {.groups = 2}); }),
            "[conv_transpose2d] out_channels must be a multiple of groups, got 3 and 2");
}

TEST(Conv1d, RefusesOptionsAndShapes) {
  EXPECT_EQ(error_text([] { Conv1d(1, 1, 0); }), "[conv1d] kernel_size must be >= 1 and <= 4096, got 0");
  EXPECT_EQ(error_text([] {
              Conv1d(3, 1, 5).output_shape({3, 4});
            }),
            "[conv1d] input must be at least as long as the window 5, is 4 with its padding, got (3, 4)");
  EXPECT_EQ(error_text([] {
              Conv1d(3, 1, 2).output_shape({3, 1, 4});
            }),
            "[conv1d] input features must be (3, L), got (3, 1, 4)");
}

TEST(Conv2d, EmptyBatchGoesThrough) {
  Conv2d conv(2, 3, 3);
  Tape tape;
  const Spikes none(Shape{0, 4, 2, 5, 5});
  EXPECT_EQ(conv.forward(none, tape).shape(), (Shape{0, 4, 3, 3, 3}));
}

TEST(Conv2d, RefusesOptionsAndShapes) {
  EXPECT_EQ(error_text([] { Conv2d(0, 1, 3); }), "[conv2d] in_channels must be >= 1 and <= 1048576, got 0");
  EXPECT_EQ(error_text([] { Conv2d(1, 1, {3, 0}); }), "[conv2d] kernel_size must be >= 1 and <= 4096, got 0");
  EXPECT_EQ(error_text([] { Conv2d(3, 4, 3, {.groups = 2}); }),
            "[conv2d] in_channels must be a multiple of groups, got 3 and 2");
  EXPECT_EQ(error_text([] { Conv2d(4, 3, 3, {.groups = 2}); }),
            "[conv2d] out_channels must be a multiple of groups, got 3 and 2");
  const Sequential net{Conv2d(3, 8, 5), Flatten{}, Linear(8, 2)};
  EXPECT_EQ(error_text([&] {
              static_cast<void>(net.output_shape({1, 28, 28}));
            }),
            "layer 0: [conv2d] input features must be (3, H, W), got (1, 28, 28)");
  EXPECT_EQ(error_text([&] {
              static_cast<void>(net.output_shape({3, 4, 28}));
            }),
            "layer 0: [conv2d] input must be at least as large as the window (5, 5), is (4, 28) with its "
            "padding, got (3, "
            "4, 28)");
  EXPECT_EQ(error_text([&] {
              static_cast<void>(net.output_shape({3, 28, 28}));
            }),
            "layer 2: [linear] input features must be (8), got (4608)");
}

TEST(Conv2d, WeightsAreDrawnAsPyTorchDrawsThem) {
  Conv2d conv(32, 64, 3, {.groups = 2});
  const double bound = 1 / std::sqrt(16.0 * 9);
  double squares = 0;
  for (const float w : conv.weight().value.values()) {
    EXPECT_LE(std::abs(static_cast<double>(w)), bound);
    squares += static_cast<double>(w) * static_cast<double>(w);
  }
  const auto n = static_cast<double>(conv.weight().value.size());
  EXPECT_NEAR(std::sqrt(squares / n), bound / std::sqrt(3.0), 0.02 * bound);
  EXPECT_EQ(conv.weight().value.shape(), (Shape{64, 16, 3, 3}));
  // PyTorch's fan-in of a transposed convolution is what one input channel is multiplied by.
  ConvTranspose2d transposed(32, 64, 3, {.groups = 2});
  EXPECT_EQ(transposed.weight().value.shape(), (Shape{32, 32, 3, 3}));
  const auto weights = transposed.weight().value.values();
  const double most = 1 / std::sqrt(32.0 * 9), largest = static_cast<double>(std::ranges::max(weights));
  EXPECT_LE(largest, most);
  EXPECT_GT(largest, 0.99 * most);
}

}  // namespace
}  // namespace volley

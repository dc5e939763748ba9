// Group and layer normalisation as layers: against the reference, forms of signals, threads, errors, files.

#include <gtest/gtest.h>

#include <algorithm>

#include <volley/volley.hpp>

#include "layers/picture_layers.hpp"
#include "spec/group_norm.hpp"
#include "support/bars.hpp"
#include "support/error_text.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

constexpr std::size_t kN = 3, kT = 4;

/// What a sample's step is: `places` parts of C features, of which each is normalised by itself, or all are
/// the rows of one.
struct Case {
  std::shared_ptr<Layer> layer;
  Shape features;
  std::size_t C, G;
  bool by_channel;
  float eps = 1e-5f;
};

std::vector<Case> cases() {
  std::vector<Case> all{
      {std::make_shared<GroupNorm>(2, 6), {6, 5, 2}, 6, 2, true},
      {std::make_shared<GroupNorm>(1, 70), {70, 3, 1}, 70, 1, true},
      {std::make_shared<GroupNorm>(17, 17, GroupNormOptions{.eps = 0.1f}), {17, 9}, 17, 17, true, 0.1f},
      {std::make_shared<GroupNorm>(4, 40), {40}, 40, 4, true},
      {std::make_shared<GroupNorm>(3, 6, GroupNormOptions{.affine = false}), {6, 2, 2}, 6, 3, true},
      {std::make_shared<LayerNorm>(std::vector<std::size_t>{33}), {33}, 33, 1, false},
      {std::make_shared<LayerNorm>(std::vector<std::size_t>{5, 3}), {4, 5, 3}, 15, 1, false},
      {std::make_shared<LayerNorm>(std::vector<std::size_t>{4, 5, 3}, LayerNormOptions{.bias = false}),
       {4, 5, 3},
       60,
       1,
       false},
      {std::make_shared<LayerNorm>(std::vector<std::size_t>{9},
                                   LayerNormOptions{.elementwise_affine = false}),
       {2, 9},
       9,
       1,
       false}};
  for (const Case& c : all) {
    std::uint32_t seed = 10;
    for (const NamedParameter& p : c.layer->parameters()) {
      const std::vector<float> drawn = test::Random(seed++).values<float>(p.parameter->value.size(), 0.5, 2);
      std::ranges::copy(drawn, p.parameter->value.data());
    }
  }
  return all;
}

struct Expected {
  std::vector<double> y, dx, dweight, dbias;
};

/// By the reference in double, from plain values.
Expected expected_of(const Case& c, const std::vector<float>& x, const Tensor& dy_values) {
  using Values = std::vector<double>;
  const std::size_t F = c.features.size(), places = F / c.C;
  const std::size_t rows = c.by_channel ? places : 1, parts = c.by_channel ? 1 : places;
  // Feature f of a step is row r, channel k of a part.
  const auto at = [&](std::size_t step, std::size_t part, std::size_t r, std::size_t k) {
    return step * F + (c.by_channel ? k * places + r : part * c.C + k);
  };
  const auto parameters = c.layer->parameters();
  const auto values = [&](std::size_t i) {
    if (i >= parameters.size()) return Values{};
    const auto v = parameters[i].parameter->value.values();
    return Values(v.begin(), v.end());
  };
  const Values weight = values(0), bias = values(1);
  Expected e{Values(x.size()), Values(x.size()), Values(c.C), Values(c.C)};
  Values in(rows * c.C), dout(in.size()), out(in.size()), din(in.size());
  Values sum(c.C), dot(c.C), scale(c.C), slope(c.C), offset(c.C);
  std::vector<spec::ChannelStatistics> s(c.G);
  const double* w = weight.empty() ? nullptr : weight.data();
  for (std::size_t step = 0; step < kN * kT; ++step) {
    for (std::size_t part = 0; part < parts; ++part) {
      for (std::size_t i = 0; i < in.size(); ++i) {
        in[i] = static_cast<double>(x[at(step, part, i / c.C, i % c.C)]);
        dout[i] = static_cast<double>(dy_values.data()[at(step, part, i / c.C, i % c.C)]);
      }
      spec::channel_sums(sum.data(), dot.data(), in.data(), in.data(), rows, c.C);
      spec::group_statistics(s.data(), sum.data(), dot.data(), rows, c.C, c.G, static_cast<double>(c.eps));
      spec::group_norm_forward_coefficients(scale.data(), offset.data(), s.data(), w,
                                            bias.empty() ? nullptr : bias.data(), c.C, c.G);
      spec::group_norm_forward(out.data(), in.data(), scale.data(), offset.data(), rows, c.C);
      spec::channel_sums(sum.data(), dot.data(), in.data(), dout.data(), rows, c.C);
      spec::group_norm_backward_coefficients(scale.data(), slope.data(), offset.data(), e.dweight.data(),
                                             e.dbias.data(), sum.data(), dot.data(), s.data(), w, rows, c.C,
                                             c.G);
      spec::group_norm_backward(din.data(), dout.data(), in.data(), scale.data(), slope.data(), offset.data(),
                                rows, c.C);
      for (std::size_t i = 0; i < in.size(); ++i) {
        e.y[at(step, part, i / c.C, i % c.C)] = out[i];
        e.dx[at(step, part, i / c.C, i % c.C)] = din[i];
      }
    }
  }
  return e;
}

void expect_near(const test::PassResult& got, const Expected& e) {
  EXPECT_LT(test::relative_error(got.y_values, e.y), 2e-6);
  EXPECT_LT(test::relative_error(got.dx, e.dx), 4e-6);
  if (got.gradients.size() > 0) {
    EXPECT_LT(test::relative_error(got.gradients[0], e.dweight), 2e-6);
  }
  if (got.gradients.size() > 1) {
    EXPECT_LT(test::relative_error(got.gradients[1], e.dbias), 2e-6);
  }
}

TEST(SampleNorm, IsTheReferenceOnEveryTargetInEveryForm) {
  test::on_every_target([] {
    for (const Case& c : cases()) {
      SCOPED_TRACE(std::string(c.layer->kind()) + c.features.text());
      const Shape shape = c.features.after({kN, kT});
      const Tensor dy = random_tensor(shape, 1), values = random_tensor(shape, 2);
      ThreadPool pool(1);
      SignalMemory memory;
      expect_near(test::run_pass(*c.layer, values, dy), expected_of(c, test::plain_values(values), dy));
      if (c.features.rank() > 1) {
        const Signal turned = in_layout(values, Layout::channels_last, memory, pool);
        expect_near(test::run_pass(*c.layer, turned, dy), expected_of(c, test::plain_values(values), dy));
      }
      const Spikes spikes =
          Spikes::from_bytes(shape, test::Random(3).spikes<std::uint8_t>(shape.size(), 0.3));
      expect_near(test::run_pass(*c.layer, spikes, dy), expected_of(c, test::plain_values(spikes), dy));
    }
  });
}

// One step stored for all: the same as that step repeated, with dx summed over the steps.
TEST(SampleNorm, ConstantSignalsAreTheirStepsRepeated) {
  for (const Case& c : cases()) {
    const std::size_t F = c.features.size();
    const Tensor stored = random_tensor(c.features.after({kN, 1}), 4);
    const Tensor dy = random_tensor(c.features.after({kN, kT}), 5);
    const Signal constant(stored, c.features.after({kN, kT}));
    const Expected each = expected_of(c, test::plain_values(constant), dy);
    const test::PassResult once = test::run_pass(*c.layer, constant, dy);
    EXPECT_EQ(once.y.stored_steps(), 1u);
    EXPECT_LT(test::relative_error(once.y_values, each.y), 2e-6);
    std::vector<double> sums(kN * F), got(kN * F);
    for (std::size_t i = 0; i < each.dx.size(); ++i) sums[i / (kT * F) * F + i % F] += each.dx[i];
    for (std::size_t i = 0; i < got.size(); ++i)
      got[i] = static_cast<double>(once.dx[i / F * kT * F + i % F]);
    EXPECT_LT(test::relative_error(got, sums), 1e-5);
    if (once.gradients.size() > 0) {
      EXPECT_LT(test::relative_error(once.gradients[0], each.dweight), 1e-5);
    }
  }
}

TEST(SampleNorm, SameBitsForAnyNumberOfThreadsAndTarget) {
  for (const Case& c : cases()) {
    const Shape shape = c.features.after({7, kT});
    const Tensor dy = random_tensor(shape, 6), x = random_tensor(shape, 7);
    const test::PassResult one = test::run_pass(*c.layer, x, dy, 1);
    std::vector<test::PassResult> others;
    for (const std::size_t threads : {2u, 5u}) others.push_back(test::run_pass(*c.layer, x, dy, threads));
    test::on_every_target([&] {
      if (kernels::active_target().starts_with("avx")) others.push_back(test::run_pass(*c.layer, x, dy));
    });
    for (const test::PassResult& other : others) {
      EXPECT_EQ(other.y_values, one.y_values);
      EXPECT_EQ(other.dx, one.dx);
      EXPECT_EQ(other.gradients, one.gradients);
    }
  }
}

TEST(SampleNorm, TrainingAndEvaluationAreTheSame) {
  for (const Case& c : cases()) {
    const Tensor x = random_tensor(c.features.after({2, 3}), 8);
    Tape tape;
    const std::vector<float> first = test::plain_values(c.layer->forward(x, tape));
    tape.set_context({.training = true});
    EXPECT_EQ(test::plain_values(c.layer->forward(x, tape)), first);
    EXPECT_TRUE(c.layer->buffers().empty());
  }
}

TEST(SampleNorm, ParametersAreThoseOfPyTorch) {
  EXPECT_EQ(GroupNorm(2, 6).weight().value.shape(), Shape{6});
  EXPECT_EQ(GroupNorm(2, 6).weight().value.data()[5], 1);
  EXPECT_EQ(GroupNorm(2, 6).bias().value.data()[5], 0);
  EXPECT_TRUE(GroupNorm(2, 6, {.affine = false}).parameters().empty());
  LayerNorm plain({2, 3});
  EXPECT_EQ(plain.parameters().size(), 2u);
  EXPECT_EQ(plain.weight().value.shape(), (Shape{2, 3}));
  EXPECT_EQ(LayerNorm({2, 3}, {.bias = false}).parameters().size(), 1u);
  EXPECT_TRUE(LayerNorm({2, 3}, {.elementwise_affine = false}).parameters().empty());
}

TEST(SampleNorm, AFileHoldsThem) {
  const test::TempFolder folder;
  Sequential net{GroupNorm{3, 6, {.eps = 0.5f}}, LayerNorm{{6, 2}, {.bias = false}},
                 Unflatten{{.dim = 2, .unflattened_size = {1, 2}}},
                 Upsample{{.scale_factor = 2, .mode = UpsampleMode::bilinear}}, Flatten{}};
  net.parameters()[0].parameter->value.data()[1] = 3;
  save_network(folder / "n.safetensors", net);
  Sequential back = load_network(folder / "n.safetensors");
  const Tensor x = random_tensor({2, 3, 6, 2}, 3);
  Tape a, b;
  const Signal expected = net.forward(x, a), got = back.forward(x, b);
  EXPECT_EQ(got.shape(), (Shape{2, 3, 48}));
  EXPECT_EQ(test::plain_values(got), test::plain_values(expected));
}

TEST(SampleNorm, RefuseWhatTheyCannotDo) {
  EXPECT_EQ(error_text([] { GroupNorm(3, 4); }),
            "[group_norm] num_channels must be a multiple of num_groups, got 4 and 3");
  EXPECT_EQ(error_text([] { GroupNorm(0, 4); }),
            "[group_norm] num_groups must be >= 1 and <= 16777216, got 0");
  EXPECT_EQ(error_text([] { GroupNorm(2, 4, {.eps = 0}); }), "[group_norm] eps must be > 0, got 0");
  EXPECT_EQ(error_text([] {
              static_cast<void>(GroupNorm(2, 4).output_shape({3, 4}));
            }),
            "[group_norm] input features must be (4) or (4, positions...), got (3, 4)");
  EXPECT_EQ(error_text([] { LayerNorm(LayerNormOptions{}); }),
            "[layer_norm] normalized_shape must have 1 to 6 sizes, got 0");
  EXPECT_EQ(error_text([] {
              LayerNorm({3, 0});
            }),
            "[layer_norm] normalized_shape must be >= 1 and <= 16777216, got 0");
  EXPECT_EQ(error_text([] {
              static_cast<void>(LayerNorm({3, 4}).output_shape({4, 3}));
            }),
            "[layer_norm] input features must end in (3, 4), got (4, 3)");
}

TEST(SampleNorm, ANetworkOfThemLearns) {
  const Dataset train = test::bars(400, 1), test = test::bars(150, 2);
  Sequential net{Flatten{},
                 Linear{24, 30, {.bias = false}},
                 GroupNorm{3, 30},
                 LIF{},
                 Linear{30, 30, {.bias = false}},
                 LayerNorm{{30}},
                 LIF{},
                 Linear{30, 3},
                 LIF{}};
  net.initialize(0);
  Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 8, .batch = 20}};
  EXPECT_GT(trainer.fit(train, test, 6).epochs.back().max_test_acc, 0.9);
}

}  // namespace
}  // namespace volley

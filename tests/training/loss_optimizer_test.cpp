#include <gtest/gtest.h>

#include <cmath>

#include <volley/error.hpp>
#include <volley/loss.hpp>
#include <volley/optimizer.hpp>

#include "spec/loss.hpp"
#include "spec/optimizer.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/loss_values.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using test::error_text;
using test::library_gradient_error;
using test::value_of;

// Two samples, four steps, three classes: rates (0.5, 0, 1) and (0.25, 0.25, 0).
Spikes some_spikes() {
  return Spikes::from_bytes({2, 4, 3}, std::vector<std::uint8_t>{1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1,  //
                                                                 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0});
}

TEST(RateMse, IsAsByHand) {
  const Spikes s = some_spikes();
  Tape tape;
  Tensor scores;
  const RateMse mse;
  const double loss = mse.forward(s, std::vector<std::uint32_t>{0, 1}, scores, tape);
  EXPECT_EQ(std::vector<float>(scores.values().begin(), scores.values().end()),
            (std::vector<float>{0.5f, 0, 1, 0.25f, 0.25f, 0}));
  EXPECT_NEAR(loss, (0.25 + 0 + 1 + 0.0625 + 0.5625 + 0) / 6, 1e-7);
  const Signal dy = mse.backward(tape);
  ASSERT_EQ(dy.shape(), (Shape{2, 4, 3}));
  for (std::size_t t = 0; t < 4; ++t) {
    EXPECT_NEAR(dy.values()[t * 3 + 0], 2 * -0.5 / (6 * 4), 1e-8);
    EXPECT_NEAR(dy.values()[t * 3 + 2], 2 * 1.0 / (6 * 4), 1e-8);
    EXPECT_NEAR(dy.values()[12 + t * 3 + 1], 2 * -0.75 / (6 * 4), 1e-8);
  }
}

TEST(RateLosses, TakeRealValuesAsTheyTakeSpikes) {
  const Spikes s = some_spikes();
  std::vector<std::uint8_t> bytes(24);
  s.to_bytes(bytes);
  Tensor values(Shape{2, 4, 3});
  std::copy(bytes.begin(), bytes.end(), values.data());
  EXPECT_DOUBLE_EQ(value_of(RateMse{}, s, {2, 2}), value_of(RateMse{}, values, {2, 2}));
  EXPECT_DOUBLE_EQ(value_of(RateCrossEntropy{}, s, {2, 2}), value_of(RateCrossEntropy{}, values, {2, 2}));
}

TEST(RateLosses, GradientsAreThoseOfTheLosses) {
  constexpr std::size_t N = 5, K = 4;
  const std::vector<double> r = test::Random(1).values<double>(N * K, 0, 1);
  const std::vector<std::uint32_t> labels{0, 3, 1, 1, 2};
  std::vector<double> dr(N * K);
  spec::mse_backward(dr.data(), r.data(), labels.data(), 0.5, 1.0, 0.0, N, K);
  const auto mse = [&](const std::vector<double>& at) {
    return spec::mse_forward(at.data(), labels.data(), 0.5, 1.0, 0.0, N, K);
  };
  EXPECT_LT(test::gradient_error(mse, r, dr), 1e-8);
  const auto cross_entropy = [&](const std::vector<double>& at) {
    return spec::mean_cross_entropy_forward(at.data(), labels.data(), 0.0, N, K);
  };
  EXPECT_GT(test::gradient_error(cross_entropy, r, dr), 1e-2) << "the check must tell the two losses apart";
  spec::mean_cross_entropy_backward(dr.data(), r.data(), labels.data(), 0.0, N, K);
  EXPECT_LT(test::gradient_error(cross_entropy, r, dr), 1e-8);
}

TEST(RateCrossEntropy, IsAsByHandAndDoesNotOverflow) {
  const std::vector<double> r{1, 0};
  const std::uint32_t label = 0;
  EXPECT_NEAR(spec::mean_cross_entropy_forward(r.data(), &label, 0.0, 1, 2), std::log(1 + std::exp(-1.0)),
              1e-12);
  const std::vector<double> huge{2000, 0};
  EXPECT_NEAR(spec::mean_cross_entropy_forward(huge.data(), &label, 0.0, 1, 2), 0, 1e-12);
}

TEST(CrossEntropy, WithSmoothedLabelsHasItsGradient) {
  constexpr std::size_t N = 5, K = 4;
  const std::vector<double> z = test::Random(2).values<double>(N * K, -3, 3);
  const std::vector<std::uint32_t> labels{0, 3, 1, 1, 2};
  std::vector<double> dz(N * K);
  const auto loss = [&](const std::vector<double>& at) {
    return spec::mean_cross_entropy_forward(at.data(), labels.data(), 0.3, N, K);
  };
  spec::mean_cross_entropy_backward(dz.data(), z.data(), labels.data(), 0.2, N, K);
  EXPECT_GT(test::gradient_error(loss, z, dz), 1e-3) << "the check must see another smoothing";
  spec::mean_cross_entropy_backward(dz.data(), z.data(), labels.data(), 0.3, N, K);
  EXPECT_LT(test::gradient_error(loss, z, dz), 1e-8);
}

TEST(Tet, HasItsGradient) {
  constexpr std::size_t N = 1, T = 6, K = 4;
  const std::vector<double> y = test::Random(3).values<double>(T * K, -3, 3);
  const spec::TetParameters<double> p{.lamb = 0.3, .means = 0.7, .smoothing = 0.1};
  const auto loss = [&](const std::vector<double>& at) { return spec::tet_forward(at.data(), 2u, p, T, K); };
  std::vector<double> dy(T * K);
  spec::tet_backward(dy.data(), y.data(), 1u, p, N, T, K);
  EXPECT_GT(test::gradient_error(loss, y, dy), 1e-2) << "the check must see another label";
  spec::tet_backward(dy.data(), y.data(), 2u, p, N, T, K);
  EXPECT_LT(test::gradient_error(loss, y, dy), 1e-8);
}

// In float: a readout that is wrong, by a factor or a step, is far above the bound.
TEST(Losses, EveryReadoutHasItsGradient) {
  EXPECT_LT(library_gradient_error(RateMse{{.scale = 0.5f}}), 2e-3);
  EXPECT_LT(library_gradient_error(RateCrossEntropy{{.label_smoothing = 0.1f}}), 2e-3);
  EXPECT_LT(library_gradient_error(CountMse{{.scale = 0.5f, .correct_rate = 0.8f}}), 2e-3);
  EXPECT_LT(library_gradient_error(CountCrossEntropy{}), 2e-3);
  for (const Readout readout : {Readout::last, Readout::mean}) {
    EXPECT_LT(library_gradient_error(MembraneMse{{.readout = readout}}), 2e-3);
    EXPECT_LT(library_gradient_error(MembraneCrossEntropy{{.readout = readout}}), 2e-3);
  }
  EXPECT_LT(library_gradient_error(Tet{{.lamb = 0.4f}}), 2e-3);
}

TEST(Losses, ScoresAreWhatThePredictionIsMadeFrom) {
  const Spikes s = some_spikes();
  Tensor scores;
  value_of(CountMse{}, s, {0, 1}, &scores);
  EXPECT_EQ(std::vector<float>(scores.values().begin(), scores.values().end()),
            (std::vector<float>{2, 0, 4, 1, 1, 0}));
  value_of(Tet{}, s, {0, 1}, &scores);
  EXPECT_EQ(scores.data()[2], 1.0f);
  Tensor y(Shape{1, 2, 2});
  std::ranges::copy(std::vector<float>{1, 2, 3, -4}, y.data());
  value_of(MembraneMse{}, y, {1}, &scores);
  EXPECT_EQ(std::vector<float>(scores.values().begin(), scores.values().end()), (std::vector<float>{3, -4}));
}

TEST(Losses, GiveTheSameBitsForAnyThreads) {
  Tensor y(Shape{37, 5, 3});
  std::ranges::copy(test::Random(6).values<float>(y.size(), -1, 1), y.data());
  std::vector<std::uint32_t> labels;
  for (std::uint32_t n = 0; n < 37; ++n) labels.push_back(n % 3);
  const auto run = [&](const Loss& loss, std::size_t threads) {
    ThreadPool pool(threads);
    Tape tape(pool);
    Tensor scores;
    const double value = loss.forward(y, labels, scores, tape);
    const Signal dy = loss.backward(tape);
    return std::pair(value, std::vector<float>(dy.values(), dy.values() + y.size()));
  };
  EXPECT_EQ(run(Tet{}, 3), run(Tet{}, 1));
  EXPECT_EQ(run(MembraneMse{}, 3), run(MembraneMse{}, 1));
  EXPECT_EQ(run(CountCrossEntropy{}, 3), run(CountCrossEntropy{}, 1));
  EXPECT_EQ(run(Tet{{.class_weights = {1, 5, 2}}}, 3), run(Tet{{.class_weights = {1, 5, 2}}}, 1));
}

TEST(Losses, RefuseWhatTheyCannotTake) {
  const Spikes s = some_spikes();
  EXPECT_EQ(error_text([&] {
              value_of(MembraneMse{}, s, {0, 1});
            }),
            "[membrane_mse] y must be real-valued, potentials, got spikes");
  EXPECT_EQ(error_text([] { Tet{{.lamb = 1.5f}}; }), "[tet] lamb must be >= 0 and <= 1, got 1.5");
  EXPECT_EQ(error_text([] { CountMse{{.correct_rate = -1}}; }),
            "[count_mse] correct_rate must be >= 0 and <= 1, got -1");
  EXPECT_EQ(error_text([] { RateCrossEntropy{{.label_smoothing = 2}}; }),
            "[rate_cross_entropy] label_smoothing must be >= 0 and <= 1, got 2");
}

TEST(Losses, RefuseLabelsThatDoNotFit) {
  const Spikes s = some_spikes();
  EXPECT_EQ(error_text([&] { value_of(RateMse{}, s, {0}); }),
            "[rate_mse] needs one label for each of 2 samples, got 1");
  EXPECT_EQ(error_text([&] {
              value_of(RateCrossEntropy{}, s, {0, 3});
            }),
            "[rate_cross_entropy] labels must be < 3, the number of outputs, got 3");
}

TEST(Predict, TakesTheLowestIndexOnATie) {
  EXPECT_EQ(predict(std::vector<float>{0.1f, 0.7f, 0.7f, 0.2f}), 1u);
  EXPECT_EQ(predict(std::vector<float>{0, 0, 0}), 0u);
}

/// The weight after three steps of `optimizer` from w = 1 with gradients 0.5, -0.25, 1.
std::vector<float> three_steps(Optimizer& optimizer) {
  Parameter p(Shape{1});
  p.value.data()[0] = 1;
  std::vector<float> path;
  for (const float g : {0.5f, -0.25f, 1.0f}) {
    p.gradient.data()[0] = g;
    optimizer.step({{"w", &p}}, ThreadPool::shared());
    path.push_back(p.value.data()[0]);
  }
  return path;
}

void expect_path(Optimizer&& optimizer, const std::vector<double>& expected) {
  const std::vector<float> path = three_steps(optimizer);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(path[i], expected[i], 2e-7) << "step " << i + 1;
}

// By hand from PyTorch's formulas: 1 - 0.1 * 0.5 = 0.95, and so on.
TEST(Sgd, IsAsByHand) {
  expect_path(Sgd{0.1f}, {0.95, 0.975, 0.875});
  // b = 0.5, 0.2, 1.18
  expect_path(Sgd{0.1f, {.momentum = 0.9f}}, {0.95, 0.93, 0.812});
  // g + 0.9 b = 0.95, -0.07, 2.062
  expect_path(Sgd{0.1f, {.momentum = 0.9f, .nesterov = true}}, {0.905, 0.912, 0.7058});
  // g = 0.6, -0.156, 1.09556
  expect_path(Sgd{0.1f, {.weight_decay = 0.1f}}, {0.94, 0.9556, 0.846044});
}

TEST(Adam, IsAsByHand) {
  std::vector<double> expected;
  double w = 1, m = 0, v = 0, k = 0;
  for (const double g : {0.5, -0.25, 1.0}) {
    ++k;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    w -= 0.01 * (m / (1 - std::pow(0.9, k))) / (std::sqrt(v / (1 - std::pow(0.999, k))) + 1e-8);
    expected.push_back(w);
  }
  EXPECT_NEAR(expected[0], 0.99, 1e-7);  // the first step is lr itself, whatever the gradient
  expect_path(Adam{0.01f}, expected);
}

// The first step's moments, as they are without their bias, are g and g^2: lr g / (|g| + eps).
TEST(Adam, AddsEpsToTheRoot) {
  Adam adam(0.1f, {.eps = 0.3f});
  EXPECT_NEAR(three_steps(adam)[0], 1 - 0.1 * 0.5 / (0.5 + 0.3), 1e-7);
  double w = 1, m = 0, v = 0, g = 0.5;
  spec::adam_step(&w, &m, &v, &g, spec::adam_coefficients<double>(0.1, 0.9, 0.999, 0.3, 0, 1), 1);
  EXPECT_NEAR(w, 1 - 0.1 * 0.5 / (0.5 + 0.3), 1e-12);
}

TEST(AdamW, DecaysTheWeightBesideTheStep) {
  std::vector<double> expected;
  double w = 1, m = 0, v = 0, k = 0;
  for (const double g : {0.5, -0.25, 1.0}) {
    ++k;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    w -= 0.01 * 0.5 * w;
    w -= 0.01 * (m / (1 - std::pow(0.9, k))) / (std::sqrt(v / (1 - std::pow(0.999, k))) + 1e-8);
    expected.push_back(w);
  }
  expect_path(AdamW{0.01f, {.weight_decay = 0.5f}}, expected);
}

TEST(Clipping, IsAsByHand) {
  Parameter a(Shape{2}), b(Shape{1});
  const std::vector<NamedParameter> both{{"a", &a}, {"b", &b}};
  const auto set = [&](float x, float y, float z) {
    a.gradient.data()[0] = x, a.gradient.data()[1] = y, b.gradient.data()[0] = z;
  };
  set(2, -3, 6);
  clip_gradient_norm(both, 8, 7, ThreadPool::shared());
  EXPECT_EQ(b.gradient.data()[0], 6) << "within the norm nothing changes";
  clip_gradient_norm(both, 3.5f, 7, ThreadPool::shared());
  EXPECT_NEAR(a.gradient.data()[0], 1, 1e-6);
  EXPECT_NEAR(a.gradient.data()[1], -1.5, 1e-6);
  EXPECT_NEAR(b.gradient.data()[0], 3, 1e-6);
  set(2, -3, std::nanf(""));
  clip_gradient_value(both, 2.5f, ThreadPool::shared());
  EXPECT_EQ(a.gradient.data()[0], 2);
  EXPECT_EQ(a.gradient.data()[1], -2.5f);
  EXPECT_TRUE(std::isnan(b.gradient.data()[0])) << "a gradient that is lost must be seen";
}

// As PyTorch, so that a norm of 0 is no division by 0.
TEST(Clipping, AddsAMillionthToTheNorm) {
  EXPECT_NEAR(spec::clip_norm_factor<double>(1e-6, 1e-6), 0.5, 1e-12);
  EXPECT_EQ(spec::clip_norm_factor<double>(1e-6, 0), 1);
}

TEST(Optimizers, NameTheirStateAndCountTheirSteps) {
  Adam adam;
  three_steps(adam);
  EXPECT_EQ(adam.steps_taken(), 3u);
  ASSERT_EQ(adam.state().size(), 2u);
  EXPECT_EQ(adam.state()[0].name, "m.w");
  EXPECT_EQ(adam.state()[1].name, "v.w");
  Sgd sgd(0.1f, {.momentum = 0.5f});
  three_steps(sgd);
  EXPECT_EQ(sgd.state()[0].name, "momentum.w");
}

TEST(Optimizers, RefuseWhatTheyCannotDo) {
  EXPECT_EQ(error_text([] { Sgd{-0.1f}; }), "[sgd] lr must be >= 0, got -0.1");
  EXPECT_EQ(error_text([] { Sgd(0.1f, {.momentum = 1.0f}); }), "[sgd] momentum must be >= 0 and < 1, got 1");
  EXPECT_EQ(error_text([] { Sgd(0.1f, {.nesterov = true}); }),
            "[sgd] momentum must be > 0 with nesterov, got 0");
  EXPECT_EQ(error_text([] { Adam(0.1f, {.beta2 = 1.0f}); }), "[adam] beta2 must be >= 0 and < 1, got 1");
  Adam adam;
  three_steps(adam);
  EXPECT_EQ(error_text([&] { adam.step({}, ThreadPool::shared()); }),
            "[adam] every step must be given the same parameters: 1 at first, got 0");
}

}  // namespace
}  // namespace volley

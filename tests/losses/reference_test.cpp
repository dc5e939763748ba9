#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include <volley/volley.hpp>

#include "core/tree_sum.hpp"
#include "spec/loss.hpp"
#include "support/random_tensor.hpp"

// Losses against their specification, bit for bit.

namespace volley {
namespace {

using test::random_tensor;

constexpr std::size_t N = 11, T = 6, K = 4;

std::vector<std::uint32_t> labels(std::size_t count) {
  std::vector<std::uint32_t> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(static_cast<std::uint32_t>(i * 7 % 5 % K));
  return all;
}

/// What the specification says of one batch.
struct Expected {
  std::vector<float> losses = std::vector<float>(N);
  std::vector<float> dy = std::vector<float>(N * T * K);

  float* dy_of(std::size_t n) { return dy.data() + n * T * K; }
};

void expect(const Loss& loss, const Tensor& y, const Targets& targets, double value,
            const std::vector<float>& gradient) {
  const Device device("cpu", 2);
  Tape tape(device);
  Tensor scores;
  EXPECT_EQ(loss.forward(y, targets, scores, tape), value);
  const Tensor dy = to_tensor(loss.backward(tape));
  EXPECT_TRUE(std::ranges::equal(dy.values(), gradient));
}

/// The library's loss is `scale` times the mean of these losses, and its gradient is dy.
void expect(const Loss& loss, const Tensor& y, const Targets& targets, const Expected& expected,
            float scale = 1) {
  const double sum = tree_sum(N, [&](std::size_t n) { return static_cast<double>(expected.losses[n]); });
  expect(loss, y, targets, static_cast<double>(scale) * (sum / N), expected.dy);
}

/// With weights of the classes and of the samples; the scores are those of the last step.
TEST(LossReference, Scores) {
  const Tensor y = random_tensor({N, T, K}, 6);
  const std::vector<float> of_class{1, 2, 0.5f, 0.3f};
  Targets targets{.labels = labels(N)};
  for (std::size_t n = 0; n < N; ++n) targets.weights.push_back(0.3f * static_cast<float>(n % 4));
  spec::SampleWeights weights{
      .of_class = of_class.data(), .labels = targets.labels.data(), .of_sample = targets.weights.data()};
  weights.total = tree_sum(N, [&](std::size_t n) { return weights.of(n); });
  std::vector<float> z(N * K), dz(N * K), dy(N * T * K);
  for (std::size_t n = 0; n < N; ++n) std::copy_n(y.data() + (n * T + T - 1) * K, K, z.data() + n * K);
  const auto expect_scores = [&](const Loss& loss, float value) {
    for (std::size_t n = 0; n < N; ++n) std::copy_n(dz.data() + n * K, K, dy.data() + (n * T + T - 1) * K);
    expect(loss, y, targets, static_cast<double>(value), dy);
  };
  spec::mse_backward(dz.data(), z.data(), targets.labels.data(), 0.7f, 1.0f, 0.0f, N, K, weights);
  expect_scores(MembraneMse({.scale = 0.7f, .class_weights = of_class}),
                spec::mse_forward(z.data(), targets.labels.data(), 0.7f, 1.0f, 0.0f, N, K, weights));
  spec::mean_cross_entropy_backward(dz.data(), z.data(), targets.labels.data(), 0.1f, N, K, weights);
  expect_scores(MembraneCrossEntropy({.label_smoothing = 0.1f, .class_weights = of_class}),
                spec::mean_cross_entropy_forward(z.data(), targets.labels.data(), 0.1f, N, K, weights));
}

TEST(LossReference, Tet) {
  const Tensor y = random_tensor({N, T, K}, 1);
  const std::vector<std::uint32_t> of = labels(N);
  const spec::TetParameters<float> p{.lamb = 0.3f, .means = 0.8f, .smoothing = 0.1f};
  Expected expected;
  for (std::size_t n = 0; n < N; ++n) {
    const float* const first = y.data() + n * T * K;
    expected.losses[n] = spec::tet_forward(first, of[n], p, T, K);
    spec::tet_backward(expected.dy_of(n), first, of[n], p, N, T, K);
  }
  expect(Tet({.lamb = 0.3f, .means = 0.8f, .label_smoothing = 0.1f}), y, {.labels = of}, expected);
}

TEST(LossReference, StepCrossEntropy) {
  const Tensor y = random_tensor({N, T, K}, 2);
  const std::vector<std::uint32_t> of = labels(N * T);
  constexpr float kSmoothing = 0.2f;
  Expected expected;
  for (std::size_t n = 0; n < N; ++n) {
    double sum = 0;
    for (std::size_t i = n * T; i < (n + 1) * T; ++i) {
      sum += spec::cross_entropy_forward(y.data() + i * K, of[i], kSmoothing, K);
      spec::cross_entropy_backward(expected.dy.data() + i * K, y.data() + i * K, of[i], kSmoothing,
                                   static_cast<float>(1.0 / N / T), K);
    }
    expected.losses[n] = static_cast<float>(sum / T);
  }
  expect(StepCrossEntropy({.label_smoothing = kSmoothing}), y, {.labels = of}, expected);
}

/// A regression of each step, and one of the last.
template <class Worth, class L>
void expect_regression(const Worth& worth, typename L::Options options) {
  const Tensor y = random_tensor({N, T, K}, 3);
  const Targets targets{.values = random_tensor({N, K}, 4)};
  options.scale = 0.7f;
  const double share = static_cast<double>(options.scale) / N;
  Expected of_steps, of_last;
  for (std::size_t n = 0; n < N; ++n) {
    const float* const goal = targets.values.data() + n * K;
    double sum = 0;
    for (std::size_t t = 0; t < T; ++t) {
      const float* const z = y.data() + (n * T + t) * K;
      const double mean = spec::regression_forward(z, goal, worth, K);
      sum += mean;
      spec::regression_backward(of_steps.dy_of(n) + t * K, z, goal, worth, share / T, K);
      if (t + 1 < T) continue;
      of_last.losses[n] = static_cast<float>(mean);
      spec::regression_backward(of_last.dy_of(n) + t * K, z, goal, worth, share, K);
    }
    of_steps.losses[n] = static_cast<float>(sum / T);
  }
  options.readout = ValueReadout::each_step;
  expect(L(options), y, targets, of_steps, options.scale);
  options.readout = ValueReadout::last;
  expect(L(options), y, targets, of_last, options.scale);
}

TEST(LossReference, Regression) {
  expect_regression<spec::SquaredError, Mse>({}, {});
  expect_regression<spec::AbsoluteError, L1>({}, {});
  expect_regression<spec::HuberError, Huber>({static_cast<double>(0.4f)}, {.delta = 0.4f});
}

TEST(LossReference, FirstSpikes) {
  Tensor y = random_tensor({N, T, K}, 5);
  for (float& value : y.values()) value = value > 0.6f ? 1.0f : 0.0f;
  const std::vector<std::uint32_t> of = labels(N);
  Expected entropy, squares;
  for (std::size_t n = 0; n < N; ++n) {
    const float* const first = y.data() + n * T * K;
    std::vector<float> times(K), z(K), goal(K), d(K);
    spec::first_spikes(times.data(), first, T, K);
    std::ranges::transform(times, z.begin(), std::negate<>());
    const double loss = spec::cross_entropy_forward(z.data(), of[n], 0.1f, K);
    entropy.losses[n] = static_cast<float>(loss);
    spec::cross_entropy_backward(d.data(), z.data(), of[n], 0.1f, static_cast<float>(1.0 / N), K);
    std::ranges::transform(d, d.begin(), std::negate<>());  // by the times
    spec::first_spikes_backward(entropy.dy_of(n), d.data(), times.data(), T, K);

    for (std::size_t k = 0; k < K; ++k) goal[k] = of[n] == k ? 1.0f : static_cast<float>(T - 1);
    const spec::SquaredError worth;
    squares.losses[n] = static_cast<float>(spec::regression_forward(times.data(), goal.data(), worth, K));
    spec::regression_backward(d.data(), times.data(), goal.data(), worth, 1.0 / N, K);
    spec::first_spikes_backward(squares.dy_of(n), d.data(), times.data(), T, K);
  }
  FirstSpikeCrossEntropyOptions options;
  options.label_smoothing = 0.1f;
  expect(FirstSpikeCrossEntropy(options), y, {.labels = of}, entropy);
  expect(FirstSpikeMse({.on_step = 1}), y, {.labels = of}, squares);
}

}  // namespace
}  // namespace volley

#include <gtest/gtest.h>

#include <cmath>

#include <volley/volley.hpp>

#include "spec/rate_penalty.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

using test::error_text;

TEST(RatePenalty, ReferenceHasItsGradient) {
  const std::vector<double> r = test::Random(1).values<double>(9, 0, 1);
  for (const bool squared : {false, true}) {
    const auto penalty = [&](const std::vector<double>& at) {
      return spec::rate_penalty_forward(at.data(), 0.7, 0.3, squared, 9);
    };
    std::vector<double> dr(9);
    spec::rate_penalty_backward(dr.data(), r.data(), 0.7, 0.6, squared, 9);
    EXPECT_GT(test::gradient_error(penalty, r, dr), 1e-2) << "the check must see another target";
    spec::rate_penalty_backward(dr.data(), r.data(), 0.7, 0.3, squared, 9);
    EXPECT_LT(test::gradient_error(penalty, r, dr), 1e-8);
  }
}

TEST(RatePenalty, IsAsByHand) {
  const std::vector<double> r{0.5, 0, 0.25};
  EXPECT_NEAR(spec::rate_penalty_forward(r.data(), 6.0, 0.25, false, 3), 2 * (0.25 + 0.25 + 0), 1e-12);
  EXPECT_NEAR(spec::rate_penalty_forward(r.data(), 6.0, 0.25, true, 3), 2 * (0.0625 + 0.0625 + 0), 1e-12);
}

/// Backward adds the gradient of penalty() to dy.
void expect_gradient_of_penalty(const RatePenaltyOptions& options, const Shape& shape) {
  RatePenalty layer(options);
  Tensor x(shape), dy(shape);
  std::ranges::copy(test::Random(2).values<float>(x.size(), 0, 1), x.data());
  std::ranges::copy(test::Random(3).values<float>(x.size(), -1, 1), dy.data());
  Tape tape;
  EXPECT_EQ(layer.forward(x, tape).values(), x.data()) << "nothing is moved";
  const Signal dx = layer.backward(tape, dy);
  std::vector<double> added;
  for (std::size_t i = 0; i < x.size(); ++i) {
    added.push_back(static_cast<double>(dx.values()[i]) - static_cast<double>(dy.data()[i]));
  }
  const auto penalty = [&](const std::vector<double>& at) {
    Tensor moved(shape);
    std::ranges::transform(at, moved.data(), [](double v) { return static_cast<float>(v); });
    Tape other;
    layer.forward(moved, other);
    return layer.penalty(other);
  };
  const std::vector<double> values(x.values().begin(), x.values().end());
  EXPECT_LT(test::gradient_error(penalty, values, added, 1e-2), 1e-3);
}

TEST(RatePenalty, BackwardAddsTheGradientOfThePenalty) {
  expect_gradient_of_penalty({.norm = Norm::l2, .target = 0.1f, .weight = 30.0f}, {3, 4, 5});
  expect_gradient_of_penalty({.norm = Norm::l1, .target = 0.1f, .weight = 30.0f}, {3, 4, 5});
}

TEST(RatePenalty, TakesSpikesAsItTakesRealValuesInEveryForm) {
  const Shape shape{19, 3, 2, 3, 5};
  std::vector<std::uint8_t> bytes = test::Random(4).spikes<std::uint8_t>(shape.size(), 0.3);
  const Spikes spikes = Spikes::from_bytes(shape, bytes);
  Tensor values(shape), dy(shape);
  std::ranges::copy(bytes, values.data());
  std::ranges::copy(test::Random(5).values<float>(shape.size(), -1, 1), dy.data());
  RatePenalty layer({.target = 0.2f, .weight = 5.0f});
  ThreadPool pool(3);
  Tape of_values, of_spikes(pool), of_turned(pool);
  layer.forward(values, of_values);
  layer.forward(spikes, of_spikes);
  EXPECT_NEAR(layer.penalty(of_values), layer.penalty(of_spikes), 1e-7);
  const Signal expected = layer.backward(of_values, dy);
  const Signal dx = layer.backward(of_spikes, dy);
  for (std::size_t i = 0; i < shape.size(); ++i) EXPECT_NEAR(dx.values()[i], expected.values()[i], 1e-7);

  SignalMemory x_memory, dy_memory, back_memory;
  layer.forward(in_layout(spikes, Layout::channels_last, x_memory, pool), of_turned);
  const Signal turned = layer.backward(of_turned, in_layout(dy, Layout::channels_last, dy_memory, pool));
  const Signal back = in_layout(turned, Layout::row_major, back_memory, pool);
  for (std::size_t i = 0; i < shape.size(); ++i) EXPECT_EQ(back.values()[i], dx.values()[i]);
}

TEST(RatePenalty, QuietsANetworkThatTrains) {
  const auto rate_after = [](float weight) {
    Sequential net{Linear{6, 8}, LIF{}, RatePenalty{{.target = 0.0f, .weight = weight}}, Linear{8, 2}, LIF{}};
    net.initialize(1);
    for (float& w : net.parameters()[0].parameter->value.values()) w = std::abs(w) * 4;
    Tensor x(Shape{4, 10, 6});
    std::ranges::copy(test::Random(6).values<float>(x.size(), 0, 2), x.data());
    Sgd sgd{0.5f};
    Tape tape, loss_tape;
    const RateMse loss;
    Tensor scores;
    const std::vector<std::uint32_t> labels{0, 1, 0, 1};
    for (int step = 0; step < 40; ++step) {
      loss.forward(net.forward(x, tape), labels, scores, loss_tape);
      zero_gradients(net.parameters());
      net.backward(tape, loss.backward(loss_tape));
      sgd.step(net.parameters(), ThreadPool::shared());
    }
    net.forward(x, tape);
    return static_cast<RatePenalty&>(net[2]).penalty(tape.child(2)) / weight;
  };
  EXPECT_LT(rate_after(20.0f), 0.5 * rate_after(1e-6f));
}

TEST(RatePenalty, RefusesANegativeWeight) {
  EXPECT_EQ(error_text([] { RatePenalty{{.weight = -1}}; }), "[rate_penalty] weight must be >= 0, got -1");
}

}  // namespace
}  // namespace volley

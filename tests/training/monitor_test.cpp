#include <volley/monitor.hpp>

#include <gtest/gtest.h>

#include <volley/layers.hpp>
#include <volley/neuron.hpp>

namespace volley {
namespace {

/// Two samples, three steps, three inputs; of 18 places 8 fire. Input 2 never does, input 0 always.
Spikes input_spikes() {
  return Spikes::from_bytes({2, 3, 3}, std::vector<std::uint8_t>{1, 0, 0, 1, 1, 0, 1, 0, 0,  //
                                                                 1, 1, 0, 1, 0, 0, 1, 0, 0});
}

/// Weights that make neuron 0 fire whenever input 0 does, neuron 1 never, and neuron 2 and 3 with input 1:
/// a threshold of 1, potentials that forget within a step but for a thousandth.
Sequential network() {
  Sequential net{Linear{3, 4, {.bias = false}}, LIF{{.tau = 1.001f}}, Linear{4, 2, {.bias = false}},
                 LIF{{.tau = 1.001f}}};
  float* w = static_cast<Linear&>(net[0]).weight().value.data();
  const float weights[] = {2, 0, 0, -1, -1, -1, 0, 2, 0, 0, 2, 0};
  std::copy_n(weights, 12, w);
  static_cast<Linear&>(net[2]).weight().value.zero();
  return net;
}

TEST(Monitor, CountsByHand) {
  const Sequential net = network();
  const Spikes x = input_spikes();
  Tape tape;
  net.forward(x, tape);
  Monitor monitor;
  monitor.look(tape);
  const std::vector<LayerActivity> layers = monitor.activity();
  ASSERT_EQ(layers.size(), 5u);

  const LayerActivity& input = layers[0];
  EXPECT_EQ(input.layer, "input");
  EXPECT_EQ(input.neurons, 3u);
  EXPECT_DOUBLE_EQ(input.rate, 8.0 / 18);
  EXPECT_EQ(input.dead, 1u);
  EXPECT_EQ(input.saturated, 1u);

  const LayerActivity& first = layers[1];
  EXPECT_EQ(first.layer, "0");
  EXPECT_EQ(first.kind, "linear");
  EXPECT_EQ(first.neurons, 0u);
  EXPECT_DOUBLE_EQ(first.synops, 8 * 4 / 2.0);  // each spike reaches four weights; of two samples
  EXPECT_EQ(first.macs, 0);
  EXPECT_EQ(first.dense_macs, 12);
  EXPECT_DOUBLE_EQ(first.energy(), 16 * 0.9);
  EXPECT_DOUBLE_EQ(first.dense_energy(), 12 * 4.6);

  const LayerActivity& hidden = layers[2];
  EXPECT_EQ(hidden.layer, "1");
  EXPECT_EQ(hidden.kind, "lif");
  EXPECT_EQ(hidden.neurons, 4u);
  EXPECT_DOUBLE_EQ(hidden.rate, (6 + 0 + 2 + 2) / 24.0);
  EXPECT_EQ(hidden.dead, 1u);
  EXPECT_EQ(hidden.saturated, 1u);

  EXPECT_DOUBLE_EQ(layers[3].synops, 10 * 2 / 2.0);
  EXPECT_EQ(layers[4].dead, 2u);

  const LayerActivity total = total_of(layers);
  EXPECT_DOUBLE_EQ(total.synops, 26);
  EXPECT_EQ(total.neurons, 6u);
  EXPECT_EQ(total.dead, 3u);
  EXPECT_DOUBLE_EQ(total.rate, 10 / 36.0);
  EXPECT_EQ(total.dense_macs, 20);
}

TEST(Monitor, AddsUpPassesAndForgets) {
  const Sequential net = network();
  const Spikes x = input_spikes(), silence(Shape{1, 3, 3});
  Tape tape;
  Monitor monitor;
  net.forward(x, tape);
  monitor.look(tape);
  net.forward(silence, tape);
  monitor.look(tape);
  std::vector<LayerActivity> layers = monitor.activity();
  EXPECT_DOUBLE_EQ(layers[0].rate, 8.0 / 27);
  EXPECT_EQ(layers[0].saturated, 0u);
  EXPECT_EQ(layers[0].dead, 1u);
  EXPECT_DOUBLE_EQ(layers[1].synops, 32 / 3.0);
  monitor.clear();
  EXPECT_TRUE(monitor.activity().empty());
  monitor.look(tape);
  layers = monitor.activity();
  EXPECT_EQ(layers[0].dead, 3u);
  EXPECT_EQ(layers[0].rate, 0);
}

TEST(Monitor, RealInputCostsMultiplyAccumulatesAndNestedLayersHaveTheirPlace) {
  Sequential inner{Linear{3, 4}, LIF{}};
  const Sequential net{Flatten{}, std::move(inner), Linear{4, 2}};
  const Tensor x(Shape{2, 5, 1, 3});
  Tape tape;
  net.forward(x, tape);
  Monitor monitor;
  monitor.look(tape);
  const std::vector<LayerActivity> layers = monitor.activity();
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[0].layer, "1.0");
  EXPECT_DOUBLE_EQ(layers[0].macs, 5 * 12);
  EXPECT_EQ(layers[0].synops, 0);
  EXPECT_DOUBLE_EQ(layers[0].energy(), 60 * 4.6);
  EXPECT_EQ(layers[1].layer, "1.1");
  EXPECT_EQ(layers[2].layer, "2");
  EXPECT_EQ(layers[2].macs, 0);
}

}  // namespace
}  // namespace volley

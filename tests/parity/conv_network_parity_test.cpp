// Whole convolutional networks against SpikingJelly's, by tests/golden/conv_network.* of
// peers/golden_conv_network.py: convolution, batch normalisation, neurons, pools, a picture as a constant
// current.

#include <gtest/gtest.h>

#include <numeric>

#include <volley/recipe.hpp>

#include "layers/picture_layers.hpp"
#include "parity/agreement.hpp"
#include "parity/golden.hpp"

namespace volley::test {
namespace {

/// A value of the manifest as TOML.
std::string toml_of(const nlohmann::json& value) {
  if (!value.is_object()) return value.dump();
  std::string toml;
  for (const auto& [key, field] : value.items())
    toml += (toml.empty() ? "" : ", ") + key + " = " + toml_of(field);
  return "{ " + toml + " }";
}

Sequential network_of(const nlohmann::json& network, const Shape& picture) {
  std::string toml;
  for (const nlohmann::json& table : network) {
    toml += "[[network]]\n";
    for (const auto& [key, value] : table.items()) toml += key + " = " + toml_of(value) + "\n";
  }
  return parse_recipe(toml, "golden").build_network(picture);
}

class ConvNetworkParity : public ::testing::TestWithParam<std::string> {};

TEST_P(ConvNetworkParity, SpikesAndGradientsAreThoseOfThePeer) {
  const Golden golden("conv_network.safetensors", "conv_network.json");
  const nlohmann::json& made = golden.manifest().at("networks").at(GetParam());
  const std::string prefix = GetParam() + ".";
  const Tensor& pixels = golden.tensor(prefix + "pixels");
  Dataset data{.name = prefix,
               .shape = pixels.shape().from(1),
               .pixels = golden.bytes(prefix + "pixels"),
               .labels = golden.labels(prefix + "labels")};
  Sequential net = network_of(made.at("network"), data.shape);
  golden.load_weights(net, prefix + "weights.");
  std::vector<std::uint32_t> samples(data.size());
  std::iota(samples.begin(), samples.end(), 0u);

  Tape encoder_tape, tape, loss_tape;
  tape.set_context({.training = true});
  tape.set_needs_input_gradient(false);
  const Signal x = Direct().encode(data, samples, made.at("steps"), {}, encoder_tape);
  ASSERT_TRUE(x.constant());
  const Signal y = net.forward(x, tape);
  EXPECT_GT(made.at("rate"), 0.01);
  const std::span<const float> expected = golden.values(prefix + "y");
  const std::vector<float> got = plain_values(y);
  EXPECT_TRUE(std::equal(got.begin(), got.end(), expected.begin(), expected.end()));

  const RateMse loss;
  Tensor scores;
  EXPECT_NEAR(loss.forward(y, data.labels, scores, loss_tape), made.at("loss"), 1e-6);
  zero_gradients(net.parameters());
  net.backward(tape, loss.backward(loss_tape));
  for (const auto& [name, parameter] : net.parameters()) {
    EXPECT_LE(scaled_error(parameter->gradient.values(), golden.values(prefix + "gradients." + name)), 1e-4)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, ConvNetworkParity, ::testing::Values("if", "plif"),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace volley::test

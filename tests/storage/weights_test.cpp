// Networks and weights in files.

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/weights.hpp>

#include "storage/recipe_toml.hpp"
#include "storage/safetensors.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;

Sequential example() {
  Sequential net{Flatten{}, Linear{6, 4, {.bias = true, .init = Init::normal}},
                 LIF{{.tau = 3.5f, .v_reset = std::nullopt, .surrogate = Sigmoid{.alpha = 2.5f}}},
                 Linear{4, 3, {.bias = false}}, SoftLIF{{.tau = 5.0f, .v_reset = -0.5f}}};
  net.initialize(7);
  return net;
}

NamedTensors values_of(Sequential& net, const std::string& prefix = "") {
  NamedTensors values;
  for (const auto& [name, parameter] : net.parameters()) values.emplace(prefix + name, parameter->value);
  return values;
}

void expect_same_values(Sequential& a, Sequential& b) {
  const auto pa = a.parameters(), pb = b.parameters();
  ASSERT_EQ(pa.size(), pb.size());
  for (std::size_t i = 0; i < pa.size(); ++i) {
    EXPECT_EQ(pa[i].name, pb[i].name);
    EXPECT_TRUE(std::ranges::equal(pa[i].parameter->value.values(), pb[i].parameter->value.values()));
  }
}

std::vector<LayerRecipe> layers_of(const Sequential& net) {
  std::vector<LayerRecipe> layers;
  for (std::size_t i = 0; i < net.size(); ++i) layers.push_back(recipe_of(net[i]));
  return layers;
}

TEST(Weights, ANetworkComesBackFromItsFile) {
  const test::TempFolder folder;
  Sequential net = example();
  save_network(folder / "net.safetensors", net);
  Sequential back = load_network(folder / "net.safetensors");
  expect_same_values(net, back);
  EXPECT_EQ(network_toml(layers_of(net)), network_toml(layers_of(back)));
}

TEST(Weights, LayersOnPicturesComeBackToo) {
  const test::TempFolder folder;
  Sequential net{Conv2d{2, 4, {3, 1}, {.stride = 2, .padding = {1, 0}, .groups = 2}},
                 LIF{},
                 MaxPool2d{2},
                 AvgPool2d{2, {.stride = Size2{1, 2}}},
                 AdaptiveAvgPool2d{Size2{1, 2}},
                 Flatten{}};
  net.initialize(7);
  save_network(folder / "net.safetensors", net);
  Sequential back = load_network(folder / "net.safetensors");
  expect_same_values(net, back);
  EXPECT_EQ(network_toml(layers_of(net)), network_toml(layers_of(back)));
}

TEST(Weights, AStateDictIsTakenByNameWithOrWithoutAPrefix) {
  Sequential net = example(), other = example();
  for (const std::string prefix : {"", "layer.", "module.net."}) {
    other.initialize(8);
    load_state_dict(other.named_tensors(), values_of(net, prefix), "state");
    expect_same_values(net, other);
  }
}

TEST(Weights, TheFirstDifferenceIsNamedAndNothingIsChanged) {
  Sequential net = example(), before = example();
  const auto refused = [&](const NamedTensors& values) {
    const std::string text = error_text([&] { load_state_dict(net.named_tensors(), values, "w"); });
    expect_same_values(net, before);
    return text;
  };
  Sequential other = example();
  other.initialize(9);
  NamedTensors values = values_of(other);
  values.erase("3.weight");
  EXPECT_EQ(refused(values), "w: expected the parameter '3.weight' of shape (3, 4), found none");
  values = values_of(other);
  values.at("3.weight") = Tensor({4, 3});
  EXPECT_EQ(refused(values), "w: parameter '3.weight': expected shape (3, 4), found (4, 3)");
  values = values_of(other);
  values.emplace("4.running_mean", Tensor({3}));
  EXPECT_EQ(refused(values), "w: found a parameter '4.running_mean' that the network does not have");
}

TEST(Weights, ADescriptionThatAsksForMoreThanTheFileHasIsRefused) {
  const test::TempFolder folder;
  const Tensor weight({1, 1});
  const auto text = [&](const std::string& network) {
    write_safetensors(folder / "f", {{"0.weight", &weight}},
                      {{"format", "volley network"}, {"format_version", "1"}, {"network", network}});
    return error_text([&] { load_network(folder / "f"); });
  };
  EXPECT_NE(text("[[network]]\nkind='linear'\nin=16777216\nout=16777216\n")
                .find("(16777216, 16777216), found (1, 1)"),
            std::string::npos);
  EXPECT_NE(text("[[network]]\nkind='linear'\nin=1\nout=1\n").find("'0.bias' of shape (1), found none"),
            std::string::npos);
  EXPECT_NE(text("[[network]]\nkind='conv2d'\nin_channels=1048576\nout_channels=1048576\nkernel_size=4096\n")
                .find("(1048576, 1048576, 4096, 4096), found (1, 1)"),
            std::string::npos);
  EXPECT_NE(text("[[network]]\nkind='psn'\nsteps=4096\n").find("(4096, 4096), found (1, 1)"),
            std::string::npos);
  EXPECT_NE(text("[[network]]\nkind='masked_psn'\nsteps=4096\n").find("(4096, 4096), found (1, 1)"),
            std::string::npos);
  EXPECT_NE(text("[[network]]\nkind='sliding_psn'\nk=4096\n").find("(4096), found (1, 1)"),
            std::string::npos);
  EXPECT_NE(text("[[network]]\nkind='lif'\n").find("found a parameter '0.weight'"), std::string::npos);
  EXPECT_NE(text("").find("network"), std::string::npos);
  write_safetensors(folder / "f", {{"0.weight", &weight}}, {});
  EXPECT_NE(error_text([&] { load_network(folder / "f"); }).find("expected a network or a checkpoint"),
            std::string::npos);
}

}  // namespace
}  // namespace volley

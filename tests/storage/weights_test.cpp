// Networks and weights in files.

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include <volley/batch_norm.hpp>
#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/parallel_neuron.hpp>
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
                 ConvTranspose2d{4, 6, {2, 3}, {.stride = 2, .output_padding = {1, 0}, .groups = 2}},
                 GroupNorm{3, 6},
                 Upsample{{.scale_factor = 2}},
                 AdaptiveAvgPool2d{Size2{1, 2}},
                 Flatten{},
                 Unflatten{{.unflattened_size = {3, 4}}},
                 Conv1d{3, 4, 2, {.padding = 1}},
                 ConvTranspose1d{4, 2, 2, {.stride = 2, .output_padding = 1}},
                 LayerNorm{{11}},
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

/// The state of example() under other names: its two linear layers and what neurons of other tools have.
NamedTensors renamed(Sequential& net, const std::string& first, const std::string& second) {
  NamedTensors values;
  for (const auto& [name, tensor] : net.named_tensors()) {
    values.emplace((name[0] == '1' ? first : second) + name.substr(1), *tensor);
  }
  return values;
}

TEST(Weights, NamesAreMapped) {
  Sequential net = example(), other = example();
  other.initialize(8);
  const NamedTensors values = renamed(net, "conv.0", "fc.10");
  EXPECT_EQ(
      error_text([&] { load_state_dict(other.named_tensors(), values, "w"); }),
      "w: expected names such as '1.weight', found 'conv.0.bias'; a map of names can be given, by hand or "
      "by order");
  const StateDictReport report =
      load_state_dict(other.named_tensors(), values, "w", {.names = {{"conv.0", "1"}, {"fc.10", "3"}}});
  expect_same_values(net, other);
  EXPECT_TRUE(report.missing.empty() && report.unexpected.empty());
  other.initialize(8);
  load_state_dict(
      other.named_tensors(), values, "w",
      {.names = {{"conv.0.weight", "1.weight"}, {"conv.0.bias", "1.bias"}, {"fc.10", "3"}}, .strict = true});
  expect_same_values(net, other);
  load_state_dict(other.named_tensors(), renamed(net, "net.1", "net.3"), "w", {.names = {{"net", ""}}});
  expect_same_values(net, other);
}

TEST(Weights, AMapThatIsWrongIsRefused) {
  Sequential net = example(), other = example();
  const NamedTensors values = renamed(net, "conv.0", "fc.10");
  const auto refusal = [&](const NameMap& names) {
    return error_text([&] { load_state_dict(other.named_tensors(), values, "w", {.names = names}); });
  };
  EXPECT_EQ(refusal({{"conv.0", "1"}, {"fc.1", "3"}}),
            "w: names: 'fc.1' must be a name, or the beginning of one up to a '.', found none");
  EXPECT_EQ(refusal({{"conv.0", "1"}, {"fc.10", "1"}}),
            "w: names: expected one name for '1.weight', found 'fc.10.weight' beside another");
  EXPECT_EQ(refusal({{"conv.0", "1"}}), "w: expected the parameter '3.weight' of shape (3, 4), found none");
}

TEST(Weights, ByOrderModulesAreLayers) {
  Sequential net = example(), other = example();
  other.initialize(8);
  NamedTensors values = renamed(net, "layer.2", "layer.10");  // 2 before 10
  const NameMap expected{{"layer.2", "1"}, {"layer.10", "3"}};
  EXPECT_EQ(names_by_order(other.named_tensors(), values), expected);
  values.emplace("layer.3.beta", Tensor({1}));  // as snnTorch's neurons have it
  values.emplace("layer.3.mem", Tensor({4}));
  const NameMap names = names_by_order(other.named_tensors(), values);
  EXPECT_EQ(names, expected);
  EXPECT_EQ(error_text([&] { load_state_dict(other.named_tensors(), values, "w", {.names = names}); }),
            "w: found a parameter 'layer.3.beta' that the network does not have");
  const StateDictReport report =
      load_state_dict(other.named_tensors(), values, "w", {.names = names, .strict = false});
  expect_same_values(net, other);
  EXPECT_EQ(report.unexpected, (std::vector<std::string>{"layer.3.beta", "layer.3.mem"}));
  EXPECT_TRUE(report.missing.empty());
  EXPECT_EQ(names_by_order(other.named_tensors(), std::vector<std::string>{"b.weight", "b.bias", "a.weight"}),
            (NameMap{{"b", "1"}, {"a", "3"}}));
  EXPECT_EQ(error_text([&] {
              names_by_order(other.named_tensors(), std::vector<std::string>{"b.weight", "b.bias"});
            }),
            "[names_by_order] the network's module '3' (weight) must have one in the state_dict, got 1 "
            "modules, all "
            "of them taken or of other names");
}

TEST(Weights, ByOrderBuffersStandWithTheirLayer) {
  Sequential net{Linear{2, 2}, PLIF{{.learn_tau = false}}, BatchNorm{2, {.affine = false}}, Linear{2, 1}};
  const std::vector<std::string> names{"fc1.weight",      "fc1.bias",       "lif.w",
                                       "bn.running_mean", "bn.running_var", "bn.num_batches_tracked",
                                       "fc2.weight",      "fc2.bias"};
  EXPECT_EQ(names_by_order(net.named_tensors(), names),
            (NameMap{{"fc1", "0"}, {"lif", "1"}, {"bn", "2"}, {"fc2", "3"}}));
}

TEST(Weights, WithoutStrictWhatIsInOneAloneIsLeftAsItIs) {
  Sequential net = example(), other = example(), before = example();
  net.initialize(8);
  NamedTensors values = values_of(net, "module.");
  values.erase("module.3.weight");
  values.emplace("epoch", Tensor({1}));
  const StateDictReport report = load_state_dict(other.named_tensors(), values, "w", {.strict = false});
  EXPECT_EQ(report.missing, std::vector<std::string>{"3.weight"});
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"epoch"});
  const auto a = net.parameters(), b = other.parameters(), c = before.parameters();
  EXPECT_TRUE(std::ranges::equal(a[0].parameter->value.values(), b[0].parameter->value.values()));
  EXPECT_TRUE(std::ranges::equal(b[2].parameter->value.values(), c[2].parameter->value.values()));
  // A shape that differs is an error all the same, and so is a state_dict of which nothing fits.
  values.at("module.1.weight") = Tensor({6, 4});
  EXPECT_EQ(error_text([&] { load_state_dict(other.named_tensors(), values, "w", {.strict = false}); }),
            "w: parameter '1.weight': expected shape (4, 6), found (6, 4)");
  EXPECT_NE(error_text([&] {
              load_state_dict(other.named_tensors(), {{"a", Tensor({1})}}, "w", {.strict = false});
            }).find("expected names such as '1.weight', found 'a'"),
            std::string::npos);
}

TEST(Weights, DimensionsOfOneMayDiffer) {  // as SpikingJelly has PLIF's w, KLIF's k and the biases of PSN
  Sequential net{PLIF{{.init_tau = 3}}, KLIF{}, PSN{{.steps = 4}}, SlidingPSN{{.k = 2}}};
  NamedTensors values;
  for (const auto& [name, tensor] : net.named_tensors()) values.emplace(name, *tensor);
  const auto filled = [](const Shape& shape, float value) {
    Tensor tensor(shape);
    std::ranges::fill(tensor.values(), value);
    return tensor;
  };
  values.at("0.w") = filled({}, 0.5f);
  values.at("1.k") = filled({}, 1.5f);
  values.at("2.bias") = filled({4, 1}, -2);
  values.at("3.bias") = filled({}, -3);
  load_state_dict(net.named_tensors(), values, "w");
  EXPECT_EQ(net.parameters()[0].parameter->value.shape(), Shape{1});
  for (const auto& [name, parameter] : net.parameters()) {
    EXPECT_TRUE(std::ranges::equal(parameter->value.values(), values.at(name).values())) << name;
  }
  values.at("2.bias") = filled({2, 2}, 0);
  EXPECT_EQ(error_text([&] { load_state_dict(net.named_tensors(), values, "w"); }),
            "w: parameter '2.bias': expected shape (4), found (2, 2)");
}

TEST(Weights, AloneTheyComeBackFromAFile) {
  const test::TempFolder folder;
  Sequential net = example(), other = example();
  net.initialize(8);
  save_state_dict(folder / "weights.safetensors", net.named_tensors());
  load_state_dict(other.named_tensors(), read_state_dict(folder / "weights.safetensors"), "w");
  expect_same_values(net, other);
  EXPECT_NE(error_text([&] { load_network(folder / "weights.safetensors"); }).find("load_state_dict"),
            std::string::npos);
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

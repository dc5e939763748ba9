// Layers by their recipes: a network of many kinds, and changed options.

#include <gtest/gtest.h>

#include <algorithm>

#include <volley/recipe.hpp>
#include <volley/weights.hpp>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

// Pictures as sequences of rows, and back: every layer by its recipe, with changed options.
TEST(Recipe, LayersOfOneDimensionAndUpsamplingBuildANetwork) {
  const Recipe recipe = parse_recipe(R"([[network]]
kind = "flatten"
[[network]]
kind = "unflatten"
unflattened_size = [28, 28]
[[network]]
kind = "conv1d"
in_channels = 28
out_channels = 12
kernel_size = 3
[[network]]
kind = "group_norm"
num_groups = 3
num_channels = 12
[[network]]
kind = "lif"
[[network]]
kind = "unflatten"
dim = 2
unflattened_size = [2, 13]
[[network]]
kind = "conv_transpose2d"
in_channels = 12
out_channels = 4
kernel_size = 2
stride = 2
[[network]]
kind = "upsample"
scale_factor = [2, 1]
[[network]]
kind = "layer_norm"
normalized_shape = [26]
)",
                                     "my.toml");
  EXPECT_EQ(recipe.build_network({1, 28, 28}).output_shape({1, 28, 28}), (Shape{4, 8, 26}));
  const Recipe changed =
      with_settings(recipe, {"network.1.unflattened_size=[14, 56]", "network.2.in_channels=14",
                             "network.5.unflattened_size=[2, 27]", "network.7.scale_factor=none",
                             "network.7.size=[3, 26]", "network.7.mode=bilinear"});
  EXPECT_EQ(changed.build_network({1, 28, 28}).output_shape({1, 28, 28}), (Shape{4, 3, 26}));
  EXPECT_EQ(test::error_text([&] { with_settings(recipe, {"network.7.mode=linear"}); }),
            "network.7.mode=linear: 'linear' is unknown; did you mean 'bilinear'?");
  EXPECT_EQ(
      test::error_text([&] { with_settings(recipe, {"network.8.normalized_shape=[0]"}); }),
      "network.8.normalized_shape=[0]: key 'network.8.normalized_shape.0': expected an integer >= 1 and <= "
      "16777216, got 0");
  EXPECT_THROW(with_settings(recipe, {"network.7.size=3"}).build_network({1, 28, 28}), ArgumentError);
}

/// Layers that read each other by name: a loop over two layers of neurons, and a join.
constexpr const char* kGraph = R"([[network]]
kind = "linear"
name = "in"
in = 8
out = 6

[[network]]
kind = "linear"
name = "back"
inputs = ["second@1"]
in = 4
out = 6

[[network]]
kind = "lif"
name = "first"
inputs = ["in", "back"]

[[network]]
kind = "linear"
in = 6
out = 4

[[network]]
kind = "lif"
name = "second"

[[network]]
kind = "linear"
inputs = ["first", "second"]
join = "CONCATENATE"
in = 10
out = 3
)";

TEST(Recipe, LayersReadEachOtherByName) {
  const Recipe recipe = parse_recipe(kGraph, "my.toml");
  const Sequential net = recipe.build_network(Shape{8});
  EXPECT_EQ(net.output_shape({8}), Shape{3});
  EXPECT_EQ(net.name_of(2), "first");
  EXPECT_EQ(net.name_of(3), "3");
  EXPECT_EQ(net.node(1).inputs, std::vector<std::string>{"second@1"});
  EXPECT_EQ(net.node(5).join, Connect::CONCATENATE);
  const Recipe again = parse_recipe(to_toml(recipe), "again.toml");
  EXPECT_EQ(to_toml(again), to_toml(recipe));
  EXPECT_EQ(again.network[5].node, net.node(5));
  EXPECT_EQ(recipes_of(net)[1].node, net.node(1));
  const Recipe changed = with_settings(recipe, {"network.2.join=MEAN", "network.2.inputs=[\"in\"]"});
  EXPECT_EQ(changed.network[2].node.join, Connect::MEAN);
  EXPECT_EQ(changed.network[2].node.inputs, std::vector<std::string>{"in"});
  // A chain is written without a word of it.
  EXPECT_EQ(to_toml(parse_recipe("[[network]]\nkind = \"flatten\"\n", "my.toml")).find("inputs"),
            std::string::npos);
}

TEST(Recipe, AGraphComesBackFromItsFile) {
  Sequential net = parse_recipe(kGraph, "my.toml").build_network(Shape{8});
  const test::TempFolder folder;
  const std::string path = folder.path() / "net.safetensors";
  save_network(path, net);
  Sequential again = load_network(path);
  Tensor x({2, 5, 8});
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(i % 7) - 2;
  Tape tape, other;
  EXPECT_TRUE(std::ranges::equal(to_tensor(again.forward(x, tape)).values(),
                                 to_tensor(net.forward(x, other)).values()));
  EXPECT_EQ(again.name_of(1), "back");
}

TEST(Recipe, NamesOfLayersThatAreWrongAreTold) {
  const auto parse = [](const std::string& text) {
    return test::error_text(
        [&] { static_cast<void>(parse_recipe(text, "my.toml").build_network(Shape{8})); });
  };
  const std::string layer = "[[network]]\nkind = \"identity\"\n";
  EXPECT_EQ(parse(layer + "name = 3\n"), "my.toml:3: key 'network.0.name': expected a string, got 3");
  EXPECT_EQ(parse(layer + "inputs = \"a\"\n"),
            "my.toml:3: key 'network.0.inputs': expected a list of names, got 'a'");
  EXPECT_EQ(parse(layer + "inputs = [1]\n"), "my.toml:3: key 'network.0.inputs.0': expected a string, got 1");
  EXPECT_EQ(parse(layer + "join = \"SUM\"\n").substr(0, 60),
            "my.toml:3: key 'network.0.join': 'SUM' is unknown; expected ");
  EXPECT_EQ(parse(layer + "input = [\"a\"]\n"),
            "my.toml:3: key 'network.0.input': unknown; did you mean 'inputs'?");
  EXPECT_EQ(parse(layer + "inputs = [\"a\"]\n"),
            "[sequential] inputs of layer '0' must be names of layers, or 'input', got 'a'; expected one of "
            "'input', '0'");
}

}  // namespace
}  // namespace volley

// Layers by their recipes: a network of many kinds, and changed options.

#include <gtest/gtest.h>

#include <volley/recipe.hpp>

#include "support/error_text.hpp"

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

}  // namespace
}  // namespace volley

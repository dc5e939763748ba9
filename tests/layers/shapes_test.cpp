// What every kind of layer says when a network is built of parts that do not fit.

#include <gtest/gtest.h>

#include <set>

#include <volley/recipe.hpp>

#include "support/error_text.hpp"

namespace volley {
namespace {

struct Case {
  LayerRecipe layer;
  Shape given;
  std::string expected;
};

std::vector<Case> cases() {
  ResidualRecipe residual;
  residual.branch = {LinearRecipe{{}, 5, 4}};
  return {
      {SequentialRecipe{{LinearRecipe{{}, 784, 10}}},
       {5},
       "layer 0: [linear] input features must be (784), got (5)"},
      {LinearRecipe{{}, 784, 10}, {1, 28, 28}, "[linear] input features must be (784), got (1, 28, 28)"},
      {Conv2dOptions{.in_channels = 3, .out_channels = 8, .kernel_size = 3},
       {1, 28, 28},
       "[conv2d] input features must be (3, H, W), got (1, 28, 28)"},
      {Conv1dOptions{.in_channels = 3, .out_channels = 8, .kernel_size = 3},
       {3, 5, 5},
       "[conv1d] input features must be (3, L), got (3, 5, 5)"},
      {ConvTranspose1dOptions{.in_channels = 3, .out_channels = 8, .kernel_size = 3},
       {3},
       "[conv_transpose1d] input features must be (3, L), got (3)"},
      {ConvTranspose2dOptions{.in_channels = 3, .out_channels = 8, .kernel_size = 3},
       {3, 28},
       "[conv_transpose2d] input features must be (3, H, W), got (3, 28)"},
      {UnflattenOptions{.unflattened_size = {2, 3}},
       {5},
       "[unflatten] dimension 1 of the input must be 6, got (5)"},
      {SliceOptions{.first = 2, .shape = {4}}, {5}, "[slice] input must have 6 features or more, got (5)"},
      {UpsampleOptions{.scale_factor = 2}, {784}, "[upsample] input features must be (C, H, W), got (784)"},
      {GroupNormOptions{.num_groups = 3, .num_channels = 3},
       {4, 3},
       "[group_norm] input features must be (3) or (3, positions...), got (4, 3)"},
      {LayerNormOptions{.normalized_shape = {3, 4}},
       {4},
       "[layer_norm] input features must end in (3, 4), got (4)"},
      {MaxPool2dOptions{.kernel_size = 2}, {784}, "[max_pool2d] input features must be (C, H, W), got (784)"},
      {AvgPool2dOptions{.kernel_size = 2}, {784}, "[avg_pool2d] input features must be (C, H, W), got (784)"},
      {AdaptiveAvgPool2dOptions{.output_size = 1},
       {784},
       "[adaptive_avg_pool2d] input features must be (C, H, W), got (784)"},
      {BatchNormRecipe{{}, 3},
       {4, 3},
       "[batch_norm] input features must be (3) or (3, positions...), got (4, 3)"},
      {ThresholdDependentBatchNormRecipe{{}, 3},
       {4},
       "[threshold_dependent_batch_norm] input features must be (3) or (3, positions...), got (4)"},
      {VotingOptions{.voting_size = 10}, {25}, "[voting] input features must be (K x 10), got (25)"},
      {residual, {5}, "[residual] shortcut must give (4), the features of the branch, got (5)"},
      {RecurrentRecipe{{}, 3}, {4}, "[recurrent] input features must be (3), got (4)"},
      {PLIFOptions{.channels = 3}, {4, 7, 7}, "[plif] input must have 3 channels or neurons, got (4, 7, 7)"},
      {GLIFOptions{.channels = 3}, {4}, "[glif] input must have 3 channels or neurons, got (4)"},
  };
}

/// Those that take any features: each feature is by itself.
const std::set<std::string> kTakeAnything{"flatten",  "identity",    "dropout",    "if",          "lif",
                                          "qif",      "eif",         "izhikevich", "cuba_lif",    "alif",
                                          "klif",     "psn",         "masked_psn", "sliding_psn", "li",
                                          "soft_lif", "rate_penalty"};

TEST(Shapes, EveryKindOfLayerRefusesWhatDoesNotFit) {
  std::set<std::string> seen;
  for (const Case& c : cases()) {
    const std::unique_ptr<Layer> layer = make_layer(c.layer);
    seen.insert(std::string(layer->kind()));
    Sequential net;
    net.add(make_layer(RatePenaltyOptions{}));
    net.add(make_layer(c.layer));
    EXPECT_EQ(test::error_text([&] { static_cast<void>(net.output_shape(c.given)); }),
              "layer 1: " + c.expected);
  }
  for_each_type(Layers{}, [&]<class L>() {
    const std::string kind = RecipeOf<L>::kKind;
    EXPECT_NE(seen.contains(kind), kTakeAnything.contains(kind)) << kind << " must be in one of the tables";
  });
}

TEST(Shapes, ARecipeIsRefusedWhenItsNetworkIsBuilt) {
  Recipe recipe;
  recipe.network = {FlattenOptions{}, LinearRecipe{{}, 100, 10}};
  EXPECT_EQ(test::error_text([&] {
              recipe.build_network({1, 28, 28});
            }),
            "layer 1: [linear] input features must be (100), got (784)");
}

}  // namespace
}  // namespace volley

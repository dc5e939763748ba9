// The recipes of deep networks, as they are, on a slice of their data: they build, they train, the loss
// falls.

#include <gtest/gtest.h>

#include <cmath>

#include <volley/recipe.hpp>

#include "support/needs_data.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

class DeepRecipe : public ::testing::TestWithParam<std::string> {};

TEST_P(DeepRecipe, LearnsASlice) {
  const std::string data_name = load_recipe(GetParam()).data;
  VOLLEY_NEEDS_DATA(data_name);
  const Recipe recipe = with_settings(load_recipe(GetParam()), {"train_samples=64", "test_samples=16",
                                                                "training.batch=16", "training.threads=2"});
  const Split data = recipe.take(datasets::load(recipe.data, test::data_folder()));
  Sequential net = recipe.build_network(data.train.shape);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  const History history = trainer.fit(data.train, data.test, 4);
  EXPECT_LT(history.epochs.back().train_loss, 0.95 * history.epochs.front().train_loss);
  EXPECT_GT(history.epochs.back().train_acc, history.epochs.front().train_acc);
}

INSTANTIATE_TEST_SUITE_P(Recipes, DeepRecipe,
                         ::testing::Values("conv_fashion_mnist", "plif_fashion_mnist",
                                           "sew_resnet_fashion_mnist", "recurrent_sequential_mnist",
                                           "resnet18_fashion_mnist", "unet_fashion_mnist",
                                           "feedback_sequential_mnist"),
                         [](const auto& name) { return name.param; });

// CIFAR-10 cannot be had here: pictures of its shape, at random, and no more than that it takes steps.
TEST(DeepRecipes, SewResnetCifar10TakesSteps) {
  const Recipe recipe =
      with_settings(load_recipe("sew_resnet_cifar10"), {"training.batch=2", "training.steps=2"});
  Dataset data{.name = "noise", .shape = {3, 32, 32}, .pixels = {}, .labels = {0, 1, 2, 3}, .classes = {}};
  for (int c = 0; c < 10; ++c) data.classes.push_back(std::to_string(c));
  test::Random random(1);
  for (std::size_t i = 0; i < 4 * data.shape.size(); ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  Sequential net = recipe.build_network(data.shape);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  const History history = trainer.fit(data, data, 1);
  EXPECT_TRUE(std::isfinite(history.epochs.back().train_loss));
  EXPECT_EQ(net.output_shape(data.shape), Shape{10});
}

}  // namespace
}  // namespace volley

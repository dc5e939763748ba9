// The recipes of deep networks, as they are, on a slice of their data: they build, they train, the loss
// falls.

#include <gtest/gtest.h>

#include <volley/recipe.hpp>

#include "support/needs_data.hpp"

namespace volley {
namespace {

class DeepRecipe : public ::testing::TestWithParam<std::string> {};

TEST_P(DeepRecipe, LearnsASlice) {
  VOLLEY_NEEDS_DATA("fashion_mnist");
  const Recipe recipe = with_settings(load_recipe(GetParam()), {"train_samples=64", "test_samples=16",
                                                                "training.batch=16", "training.threads=2"});
  const Split data = recipe.take(datasets::load(recipe.data, test::data_folder()));
  Sequential net = recipe.build_network(data.train.shape);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  const History history = trainer.fit(data.train, data.test, 4);
  EXPECT_LT(history.epochs.back().train_loss, 0.95 * history.epochs.front().train_loss);
  EXPECT_GT(history.epochs.back().train_acc, history.epochs.front().train_acc);
}

INSTANTIATE_TEST_SUITE_P(Recipes, DeepRecipe, ::testing::Values("conv_fashion_mnist", "plif_fashion_mnist"),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace volley

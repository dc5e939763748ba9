// Assignments that change a recipe, as --set takes them.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include <volley/recipe.hpp>

namespace volley {
namespace {

/// The text of the RecipeError of an assignment.
std::string setting_error(const std::string& assignment) {
  try {
    with_settings(load_recipe("lif_fc_mnist"), {assignment});
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "(no error)";
}

TEST(RecipeSettings, ReachEveryField) {
  const Recipe recipe =
      with_settings(load_recipe("lif_fc_mnist"),
                    {"epochs=5", "training.steps=50", "optimizer.lr=0.01", "network.2.tau=3",
                     "network.2.v_reset=none", "network.2.surrogate.alpha=1.5", "network.1.init=normal",
                     "name=mine", "description=a few words", "network.2.detach_reset=true"});
  EXPECT_EQ(recipe.epochs, 5u);
  EXPECT_EQ(recipe.training.steps, 50u);
  EXPECT_EQ(std::get<AdamOptions>(recipe.optimizer).lr, 0.01f);
  EXPECT_EQ(std::get<LinearRecipe>(recipe.network[1]).init, Init::normal);
  const auto& lif = std::get<LIFOptions>(recipe.network[2]);
  EXPECT_EQ(lif.tau, 3.0f);
  EXPECT_FALSE(lif.v_reset.has_value());
  EXPECT_TRUE(lif.detach_reset);
  EXPECT_EQ(std::get<ATan>(lif.surrogate).alpha, 1.5f);
  EXPECT_EQ(recipe.name, "mine");
  EXPECT_EQ(recipe.description, "a few words");
}

TEST(RecipeSettings, AnotherKindComesWithItsDefaults) {
  const Recipe tutorial = load_recipe("lif_fc_mnist");
  const Recipe sgd = with_settings(tutorial, {"optimizer.kind=sgd", "optimizer.momentum=0.9"});
  EXPECT_EQ(std::get<SgdOptions>(sgd.optimizer).lr, 0.01f);
  EXPECT_EQ(std::get<SgdOptions>(sgd.optimizer).momentum, 0.9f);
  const Recipe same = with_settings(tutorial, {"optimizer.lr=0.5", "optimizer.kind=adam"});
  EXPECT_EQ(std::get<AdamOptions>(same.optimizer).lr, 0.5f);
  const Recipe bare = with_settings(tutorial, {"optimizer=sgd", "network.2.surrogate=sigmoid"});
  EXPECT_EQ(std::get<SgdOptions>(bare.optimizer).lr, 0.01f);
  EXPECT_EQ(std::get<Sigmoid>(std::get<LIFOptions>(bare.network[2]).surrogate).alpha, 4.0f);
  const Recipe soft = with_settings(tutorial, {"network.2.kind=soft_lif"});
  EXPECT_EQ(std::get<SoftLIFOptions>(soft.network[2]).tau, 2.0f);
}

TEST(RecipeSettings, AWrongAssignmentIsNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {"network.2.tua=3", "network.2.tua=3: key 'tua' is unknown; did you mean 'tau'?"},
      {"traning.steps=3", "traning.steps=3: key 'traning' is unknown; did you mean 'training'?"},
      {"network.3.tau=3", "network.3.tau=3: '3' is no place in the list; expected a number >= 0 and <= 2"},
      {"network.-1.tau=3", "network.-1.tau=3: '-1' is no place in the list; expected a number >= 0 and <= 2"},
      {"network.2=lif", "network.2=lif: a whole layer cannot be set; set its fields, or its kind"},
      {"epochs.x=3", "epochs.x=3: there is nothing named 'x' inside a single value"},
      {"epochs", "'epochs': expected key=value, such as optimizer.lr=0.01"},
      {"=3", "'=3': expected key=value, such as optimizer.lr=0.01"},
      {".=3",
       ".=3: key '' is unknown; expected one of 'augment', 'data', 'description', 'encoder', 'epochs', "
       "'initialization', 'loss', "
       "'name', 'network', 'optimizer', 'rule', 'schedule', 'test_samples', 'train_samples', 'training', "
       "'validation'"},
      {"training.steps=0", "training.steps=0: expected an integer >= 1 and <= 65536, got 0"},
      {"optimizer.lr=fast", "optimizer.lr=fast: expected a number >= 0, got 'fast'"},
      {"optimizer.lr=", "optimizer.lr=: expected a number >= 0, got ''"},
      {"optimizer.kind=adm", "optimizer.kind=adm: 'adm' is unknown; did you mean 'adam'?"},
      {"network.2.kind=linear",
       "network.2.kind=linear: key 'network.2.in': missing; expected a number >= 1 and <= 16777216"},
      {"epochs=3\ndata = 4",
       "epochs=3\\x0adata = 4: expected an integer >= 1 and <= 16777215, got '3\\x0adata = 4'"},
  };
  for (const auto& [assignment, error] : cases) EXPECT_EQ(setting_error(assignment), error);
  EXPECT_TRUE(setting_error("description=\xff").starts_with("description=\\xff: not TOML: "));
}

}  // namespace
}  // namespace volley

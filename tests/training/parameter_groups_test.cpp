#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/volley.hpp>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::error_text;
using test::toy_recipe;
using test::ToyTraining;

/// What one step of Sgd with lr 1 makes of parameters 1 with gradients 0: 1 - lr_factor weight_decay each.
std::vector<float> decayed(Layer& net, SgdOptions options) {
  const std::vector<NamedParameter> parameters = net.parameters();
  for (const NamedParameter& p : parameters) {
    std::ranges::fill(p.parameter->value.values(), 1.0f);
    p.parameter->gradient.zero();
  }
  options.lr = 1;
  Sgd sgd(options);
  sgd.step(parameters, ThreadPool::shared());
  std::vector<float> values;
  for (const NamedParameter& p : parameters) values.push_back(p.parameter->value.data()[0]);
  return values;
}

// 0.weight, 0.bias; 1.weight, 1.bias; 2.w; 3.weight, 3.bias; 4.weight of a Recurrent
Sequential net_of_all_kinds() {
  return Sequential{Linear{4, 3}, BatchNorm{3}, PLIF{{.channels = 3}}, PSN{{.steps = 2}}, Recurrent{3}};
}

TEST(ParameterGroups, AreByWhatAParameterIs) {
  Sequential net = net_of_all_kinds();
  std::vector<ParameterKind> kinds;
  std::string names;
  for (const NamedParameter& p : net.parameters()) {
    kinds.push_back(kind_of(p));
    names += p.name + " ";
  }
  using Kind = ParameterKind;
  EXPECT_EQ(names, "0.weight 0.bias 1.weight 1.bias 2.w 3.weight 3.bias 4.weight ");
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::weight, Kind::bias, Kind::norm, Kind::norm, Kind::neuron,
                                      Kind::neuron, Kind::neuron, Kind::weight}));
  Sequential norms{GroupNorm{1, 3}, LayerNorm{{3}}, ThresholdDependentBatchNorm{3}};
  for (const NamedParameter& p : norms.parameters()) EXPECT_EQ(kind_of(p), Kind::norm) << p.name;
  const Sequential copy = net;
  Sequential other = copy;
  EXPECT_EQ(kind_of(other.parameters()[2]), Kind::norm) << "of a copy too";
  Parameter bare(Shape{1});
  EXPECT_EQ(kind_of({"bias", &bare}), Kind::bias);
  EXPECT_EQ(kind_of({"3.out.bias", &bare}), Kind::bias);
  EXPECT_EQ(kind_of({"unbias", &bare}), Kind::weight);
}

TEST(ParameterGroups, TheFirstThatMatchesHasTheParameter) {
  Sequential net = net_of_all_kinds();
  EXPECT_EQ(decayed(net, {.weight_decay = 0.5f}), (std::vector<float>(8, 0.5f)));
  EXPECT_EQ(decayed(net, {.weight_decay = 0.5f, .decay_only_weights = true}),
            (std::vector<float>{0.5f, 1, 1, 1, 1, 1, 1, 0.5f}));
  EXPECT_EQ(decayed(net, {.weight_decay = 0.5f,
                          .groups = {{.match = "bias", .weight_decay = 0.0f},
                                     {.match = "?.weight", .lr_factor = 0.5f},
                                     {.match = "*", .weight_decay = 0.25f}}}),
            (std::vector<float>{0.75f, 1, 0.75f, 0.75f, 0.75f, 0.75f, 0.75f, 0.75f}));
  EXPECT_EQ(decayed(net, {.weight_decay = 0.5f,
                          .decay_only_weights = true,
                          .groups = {{.match = "neuron", .weight_decay = 0.125f}, {.match = "*1*t"}}}),
            (std::vector<float>{0.5f, 1, 0.5f, 1, 0.875f, 0.875f, 0.875f, 0.5f}));
}

TEST(ParameterGroups, OneOfNoParameterIsAnError) {
  Sequential net{Linear{4, 3}, LIF{}, Linear{3, 2, {.bias = false}}};
  const auto text = [&](std::vector<ParameterGroup> groups) {
    return error_text([&] {
      Adam adam({.groups = std::move(groups)});
      adam.prepare(net.parameters());
    });
  };
  const std::string of =
      " must be for a parameter that no group before it has, of '0.weight', '0.bias', "
      "'2.weight', got none";
  EXPECT_EQ(text({{.match = "bias"}, {.match = "norm"}}), "[adam] groups.1: match 'norm'" + of);
  EXPECT_EQ(text({{.match = "1.weight"}}), "[adam] groups.0: match '1.weight'" + of);
  EXPECT_EQ(text({{.match = "*"}, {.match = "bias"}}), "[adam] groups.1: match 'bias'" + of);
  EXPECT_EQ(text({{.match = ""}}), "[adam] groups.0: match ''" + of);
  EXPECT_EQ(text({{.match = "bias", .lr_factor = -1}}), "[adam] groups.0.lr_factor must be >= 0, got -1");
  EXPECT_EQ(text({{.match = "bias", .weight_decay = -1.0f}}),
            "[adam] groups.0.weight_decay must be >= 0, got -1");
  Adam adam({.groups = {{.match = "*.b*s"}, {.match = "2*"}, {.match = "weight"}}});
  EXPECT_NO_THROW(adam.prepare(net.parameters()));
  Sequential deep;
  for (int i = 0; i < 20; ++i) deep.add(std::make_unique<Linear>(2, 2));
  Sgd sgd({.groups = {{.match = "norm"}}});
  test::expect_has(error_text([&] { sgd.prepare(deep.parameters()); }), "'5.bias' and 28 more, got none");
}

TEST(ParameterGroups, ARecipeHasThemInTables) {
  const Recipe recipe = parse_recipe(R"(
    [optimizer]
    kind = "adamw"
    weight_decay = 0.1
    [[optimizer.groups]]
    match = "bias"
    weight_decay = 0
    [[optimizer.groups]]
    match = "3.*"
    lr_factor = 0.5
    [[network]]
    kind = "flatten"
  )",
                                     "grouped");
  const auto& options = std::get<AdamWOptions>(recipe.optimizer);
  ASSERT_EQ(options.groups.size(), 2u);
  EXPECT_EQ(options.groups[0].weight_decay, 0.0f);
  EXPECT_FALSE(options.groups[1].weight_decay.has_value());
  EXPECT_EQ(options.groups[1].lr_factor, 0.5f);
  const std::string text = to_toml(recipe);
  EXPECT_EQ(to_toml(parse_recipe(text, "grouped")), text);
  const Recipe set = with_settings(recipe, {"optimizer.groups.1.match=norm"});
  EXPECT_EQ(std::get<AdamWOptions>(set.optimizer).groups[1].match, "norm");
  const Recipe given = toy_recipe({"optimizer.groups=[{match=\"bias\", weight_decay=0}]"});
  EXPECT_EQ(std::get<AdamOptions>(given.optimizer).groups.at(0).match, "bias");
  EXPECT_EQ(error_text([] { toy_recipe({"optimizer.groups=[{macth=\"bias\"}]"}); }),
            "optimizer.groups=[{macth=\"bias\"}]: key 'optimizer.groups.0.macth': unknown; did you mean "
            "'match'?");
}

TEST(ParameterGroups, OfALearningRateOfNoneKeepTheirParameters) {
  ToyTraining toy(toy_recipe({"optimizer.groups=[{match=\"1.*\", lr_factor=0}]", "network.2.v_threshold=0.2",
                              "network.4.v_threshold=0.2"}));
  const Tensor weight = toy.net.parameters()[0].parameter->value,
               other = toy.net.parameters()[2].parameter->value;
  toy.fit();
  EXPECT_TRUE(std::ranges::equal(toy.net.parameters()[0].parameter->value.values(), weight.values()));
  EXPECT_FALSE(std::ranges::equal(toy.net.parameters()[2].parameter->value.values(), other.values()));
}

/// Stops after some steps.
struct StopAfter : Recorder {
  std::size_t left;
  explicit StopAfter(std::size_t steps) : left(steps) {}
  bool stop() override { return left-- == 0; }
};

TEST(ParameterGroups, GoOnAfterACheckpointWithTheSameBits) {
  const Recipe recipe =
      toy_recipe({"optimizer=adamw", "network.2.v_threshold=0.2", "network.4.v_threshold=0.2",
                  "optimizer.decay_only_weights=true", "optimizer.groups=[{match=\"3.*\", lr_factor=0.25}]",
                  "loss.class_weights=[0.5, 4, 1]"});
  const test::TempFolder folder;
  ToyTraining whole(recipe), first(recipe), second(recipe);
  const History expected = whole.fit();
  StopAfter stop(7);  // within an epoch
  const History begun = first.fit(&stop);
  save_checkpoint(folder / "c", {.recipe_toml = to_toml(recipe), .epochs = begun.epochs}, first.trainer);
  Checkpoint(folder / "c").load_into(second.trainer);
  const History ended = second.fit();
  EXPECT_EQ(test::all_weights(second.net), test::all_weights(whole.net));
  EXPECT_EQ(ended.epochs.back().train_loss, expected.epochs.back().train_loss);
  EXPECT_EQ(ended.epochs.front().train_loss, expected.epochs[begun.epochs.size()].train_loss)
      << "of the epoch that was interrupted";
}

TEST(ParameterGroups, OthersAreRefusedByAResume) {
  const test::TempFolder folder;
  const Recipe recipe = toy_recipe({"epochs=1"});
  { test::ToyRun(folder / "run", recipe).train(); }
  const Recipe other = toy_recipe({"epochs=2", "optimizer.groups=[{match=\"bias\"}]"});
  const std::string text = error_text([&] { test::ToyRun run(folder / "run", other); });
  test::expect_has(text, "optimizer.groups.0.match was none, is 'bias'");
  EXPECT_NO_THROW(test::ToyRun(folder / "run", toy_recipe({"epochs=2", "training.early_stopping=9"})));
}

}  // namespace
}  // namespace volley

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>

#include <volley/recipe.hpp>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

const std::string kNetwork = "[[network]]\nkind = \"flatten\"\n";

/// The text of the RecipeError that `action` throws.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "(no error)";
}

std::string parse_error(const std::string& text) {
  return error_of([&] { parse_recipe(text, "my.toml"); });
}

TEST(Recipe, TheTutorialNetworkIsWhatTheTutorialSays) {
  const Recipe recipe = load_recipe("lif_fc_mnist");
  EXPECT_EQ(recipe.name, "lif_fc_mnist");
  EXPECT_EQ(recipe.data, "mnist");
  EXPECT_EQ(recipe.rule, "bptt");
  EXPECT_EQ(recipe.epochs, 100u);
  EXPECT_EQ(recipe.training.steps, 100u);
  EXPECT_EQ(recipe.training.batch, 64u);
  EXPECT_TRUE(recipe.training.drop_last);
  EXPECT_EQ(std::get<RateMseOptions>(recipe.loss).scale, 1.0f);
  EXPECT_EQ(std::get<AdamOptions>(recipe.optimizer).lr, 1e-3f);
  ASSERT_EQ(recipe.network.size(), 3u);
  const auto& linear = std::get<LinearRecipe>(recipe.network[1]);
  EXPECT_EQ(linear.in, 784u);
  EXPECT_EQ(linear.out, 10u);
  EXPECT_FALSE(linear.bias);
  EXPECT_EQ(linear.init, Init::uniform);
  const auto& lif = std::get<LIFOptions>(recipe.network[2]);
  EXPECT_EQ(lif.tau, 2.0f);
  EXPECT_EQ(lif.v_threshold, 1.0f);
  EXPECT_EQ(lif.v_reset, 0.0f);
  EXPECT_TRUE(lif.decay_input);
  EXPECT_FALSE(lif.detach_reset);
  EXPECT_EQ(std::get<ATan>(lif.surrogate).alpha, 2.0f);
}

TEST(Recipe, TheArticlesRuleIsWhatTheArticleSays) {
  const Recipe recipe = load_recipe("article_mnist");
  EXPECT_EQ(recipe.rule, "article");
  EXPECT_EQ(recipe.epochs, 100u);
  EXPECT_EQ(std::get<RateMseOptions>(recipe.loss).scale, 0.5f);
  const auto& sgd = std::get<SgdOptions>(recipe.optimizer);
  EXPECT_EQ(sgd.lr, 1e-3f);
  EXPECT_EQ(sgd.momentum, 0.0f);
  EXPECT_EQ(std::get<LinearRecipe>(recipe.network.at(1)).init, Init::normal);
  EXPECT_EQ(std::get<SoftLIFOptions>(recipe.network.at(2)).tau, 2.0f);
}

TEST(Recipe, TomlOfARecipeGivesTheSameRecipe) {
  for (const std::string& name : builtin_recipes()) {
    const std::string text = to_toml(load_recipe(name));
    EXPECT_EQ(to_toml(parse_recipe(text, name)), text);
  }
}

TEST(Recipe, TomlOfEveryKindGivesTheSameRecipe) {
  Recipe recipe;
  recipe.name = "every-kind";
  recipe.description = "quotes \" and \\, a tab \t, a line\nand a bell \x07";
  recipe.training.seed = 4294967295u;
  recipe.training.drop_last = false;
  recipe.network = {FlattenOptions{},
                    LinearRecipe{{.bias = true, .init = Init::normal}, 3, 4},
                    LIFOptions{.tau = 1.1f, .v_reset = std::nullopt, .surrogate = Sigmoid{.alpha = 0.3f}},
                    LIFOptions{.v_threshold = -1e-30f, .v_reset = -0.1f, .surrogate = ATan{.alpha = 1e30f}},
                    SoftLIFOptions{.tau = 7.0f},
                    Conv2dOptions{.in_channels = 4,
                                  .out_channels = 6,
                                  .kernel_size = {3, 5},
                                  .padding = 1,
                                  .groups = 2,
                                  .bias = false},
                    MaxPool2dOptions{.kernel_size = 2},
                    AvgPool2dOptions{.kernel_size = 3, .stride = Size2{2, 1}},
                    AdaptiveAvgPool2dOptions{.output_size = {1, 2}}};
  recipe.network.push_back(UnflattenOptions{.dim = 2, .unflattened_size = {3, 4}});
  recipe.network.push_back(Conv1dOptions{.in_channels = 4, .out_channels = 6, .kernel_size = 3});
  recipe.network.push_back(ConvTranspose1dOptions{
      .in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 2, .output_padding = 1});
  recipe.network.push_back(ConvTranspose2dOptions{
      .in_channels = 4, .out_channels = 6, .kernel_size = 2, .stride = {3, 2}, .output_padding = {2, 0}});
  recipe.network.push_back(GroupNormOptions{.num_groups = 2, .num_channels = 6, .affine = false});
  recipe.network.push_back(LayerNormOptions{.normalized_shape = {3, 4}, .bias = false});
  recipe.network.push_back(UpsampleOptions{.size = Size2{7, 5}, .mode = UpsampleMode::bilinear});
  recipe.network.push_back(UpsampleOptions{.scale_factor = 2});
  recipe.network.push_back(RatePenaltyOptions{.norm = Norm::l1, .target = 0.2f});
  for (const LossRecipe& loss :
       {LossRecipe{RateMseOptions{.scale = 1.0f / 3}}, LossRecipe{RateCrossEntropyOptions{}},
        LossRecipe{CountMseOptions{.correct_rate = 0.8f}}, LossRecipe{CountCrossEntropyOptions{}},
        LossRecipe{MembraneMseOptions{.readout = Readout::mean}}, LossRecipe{MembraneCrossEntropyOptions{}},
        LossRecipe{TetOptions{.means = -1}}}) {
    for (const OptimizerRecipe& optimizer :
         {OptimizerRecipe{AdamOptions{.beta1 = 0.1f}}, OptimizerRecipe{AdamWOptions{.weight_decay = 0.3f}},
          OptimizerRecipe{SgdOptions{.lr = 0.3f, .nesterov = true}}}) {
      recipe.loss = loss;
      recipe.optimizer = optimizer;
      const Recipe back = parse_recipe(to_toml(recipe), "back");
      EXPECT_EQ(to_toml(back), to_toml(recipe));
      EXPECT_EQ(back.loss.index(), loss.index());
      EXPECT_EQ(back.optimizer.index(), optimizer.index());
    }
  }
  const Recipe back = parse_recipe(to_toml(recipe), "back");
  EXPECT_EQ(back.description, recipe.description);
  EXPECT_EQ(back.training.seed, 4294967295u);
  EXPECT_EQ(std::get<LinearRecipe>(back.network.at(1)).init, Init::normal);
  EXPECT_FALSE(std::get<LIFOptions>(back.network.at(2)).v_reset.has_value());
  EXPECT_EQ(std::get<Sigmoid>(std::get<LIFOptions>(back.network.at(2)).surrogate).alpha, 0.3f);
  EXPECT_EQ(std::get<LIFOptions>(back.network.at(3)).v_reset, -0.1f);
  EXPECT_EQ(std::get<Conv2dOptions>(back.network.at(5)).kernel_size, (Size2{3, 5}));
  EXPECT_FALSE(std::get<MaxPool2dOptions>(back.network.at(6)).stride.has_value());
  EXPECT_EQ(std::get<AvgPool2dOptions>(back.network.at(7)).stride, (Size2{2, 1}));
  EXPECT_EQ(std::get<UnflattenOptions>(back.network.at(9)).unflattened_size,
            (std::vector<std::size_t>{3, 4}));
  EXPECT_EQ(std::get<ConvTranspose1dOptions>(back.network.at(11)).output_padding, 1u);
  EXPECT_EQ(std::get<ConvTranspose2dOptions>(back.network.at(12)).output_padding, (Size2{2, 0}));
  EXPECT_FALSE(std::get<GroupNormOptions>(back.network.at(13)).affine);
  EXPECT_EQ(std::get<LayerNormOptions>(back.network.at(14)).normalized_shape,
            (std::vector<std::size_t>{3, 4}));
  EXPECT_EQ(std::get<UpsampleOptions>(back.network.at(15)).mode, UpsampleMode::bilinear);
  EXPECT_EQ(std::get<UpsampleOptions>(back.network.at(15)).size, (Size2{7, 5}));
  EXPECT_FALSE(std::get<UpsampleOptions>(back.network.at(16)).size.has_value());
}

TEST(Recipe, SizesAreOneNumberOrTwo) {
  const auto conv = [](const std::string& kernel) {
    const Recipe recipe = parse_recipe(
        "[[network]]\nkind = \"conv2d\"\nin_channels = 1\nout_channels = 2\n" + kernel + "\n", "my.toml");
    return std::get<Conv2dOptions>(recipe.network.at(0)).kernel_size;
  };
  EXPECT_EQ(conv("kernel_size = 3"), Size2(3));
  EXPECT_EQ(conv("kernel_size = [3, 5]"), (Size2{3, 5}));
  EXPECT_EQ(
      error_of([&] { conv("kernel_size = [3]"); }),
      "my.toml:5: key 'network.0.kernel_size': expected an integer >= 1 and <= 4096, or a list of two, got a "
      "list");
  EXPECT_EQ(error_of([&] { conv("kernel_size = [3, 0]"); }),
            "my.toml:5: key 'network.0.kernel_size': expected an integer >= 1 and <= 4096, got 0");
  EXPECT_EQ(
      error_of([&] { conv("kernel_size = 1.5"); }),
      "my.toml:5: key 'network.0.kernel_size': expected an integer >= 1 and <= 4096, or a list of two, got "
      "1.5");
  EXPECT_EQ(error_of([&] { conv(""); }),
            "my.toml:1: key 'network.0.kernel_size': missing; expected a number >= 1 and <= 4096");
  const Recipe recipe =
      with_settings(parse_recipe("[[network]]\nkind = \"max_pool2d\"\nkernel_size = 2\n", "my.toml"),
                    {"network.0.kernel_size=[2, 3]", "network.0.stride=1"});
  EXPECT_EQ(std::get<MaxPool2dOptions>(recipe.network.at(0)).kernel_size, (Size2{2, 3}));
  EXPECT_EQ(std::get<MaxPool2dOptions>(recipe.network.at(0)).stride, Size2(1));
}

TEST(Recipe, TomlOfEveryEncoderAndScheduleGivesTheSameRecipe) {
  Recipe recipe;
  recipe.network = {FlattenOptions{}};
  recipe.training.clip_norm = 2.5f;
  for (const EncoderRecipe& encoder :
       {EncoderRecipe{PoissonOptions{}}, EncoderRecipe{DirectOptions{{.mean = {0.5f, 0.25f}}}},
        EncoderRecipe{RowsOptions{{.deviation = {2.0f}}}}, EncoderRecipe{LatencyOptions{.clip = true}},
        EncoderRecipe{WeightedPhaseOptions{.phases = 4}},
        EncoderRecipe{PopulationOptions{.mode = PopulationMode::random}},
        EncoderRecipe{DeltaOptions{.off_spikes = true}},
        EncoderRecipe{PeriodicOptions{.period = 4, .of = PopulationOptions{.neurons = 3}}}}) {
    for (const Schedule& schedule :
         {Schedule{ConstantSchedule{{.unit = ScheduleUnit::step, .warmup = 7}}},
          Schedule{StepSchedule{{}, 9}}, Schedule{MultiStepSchedule{{}, {1, 20, 300}, 0.3}},
          Schedule{ExponentialSchedule{{}, 1.0 / 3}},
          Schedule{CosineSchedule{{.warmup_start = 0.123456789}, 64, 1e-7}}}) {
      recipe.encoder = encoder;
      recipe.schedule = schedule;
      const Recipe back = parse_recipe(to_toml(recipe), "back");
      EXPECT_EQ(to_toml(back), to_toml(recipe));
      EXPECT_EQ(back.encoder.index(), encoder.index());
      EXPECT_EQ(back.schedule.index(), schedule.index());
    }
  }
  recipe.schedule = ExponentialSchedule{{}, 1.0 / 3};
  const Recipe back = parse_recipe(to_toml(recipe), "back");
  EXPECT_EQ(std::get<ExponentialSchedule>(back.schedule).gamma, 1.0 / 3) << "doubles too, bit for bit";
  EXPECT_EQ(back.training.clip_norm, 2.5f);
  EXPECT_FALSE(back.training.clip_value.has_value());
}

TEST(Recipe, ShapesAreCheckedBehindTheEncoder) {
  const std::string rows = "[encoder]\nkind = \"rows\"\n" + kNetwork;
  const std::string linear = "[[network]]\nkind = \"linear\"\nin = 28\nout = 10\n";
  EXPECT_EQ(parse_recipe(rows + linear, "rows.toml").build_network({1, 28, 28}).size(), 2u);
  EXPECT_THROW(parse_recipe(kNetwork + linear, "no.toml").build_network({1, 28, 28}), Error);
}

TEST(Recipe, FloatsComeBackBitForBitAndReadNicely) {
  Recipe recipe;
  recipe.network = {SoftLIFOptions{}};
  const auto back = [&](float value) {
    std::get<SoftLIFOptions>(recipe.network[0]).v_threshold = value;
    return std::get<SoftLIFOptions>(parse_recipe(to_toml(recipe), "f").network[0]).v_threshold;
  };
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(value)) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back(value)), std::bit_cast<std::uint32_t>(value));
    }
  }
  EXPECT_EQ(back(std::numeric_limits<float>::denorm_min()), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(back(std::numeric_limits<float>::max()), std::numeric_limits<float>::max());
  back(0.001f);
  EXPECT_NE(to_toml(recipe).find("v_threshold = 0.001\n"), std::string::npos);
  back(2.0f);
  EXPECT_NE(to_toml(recipe).find("v_threshold = 2.0\n"), std::string::npos);
}

TEST(Recipe, DefaultsStandWhereNothingIsSaid) {
  const Recipe recipe = parse_recipe(kNetwork + "[[network]]\nkind = \"lif\"\n", "folder/my run.toml");
  EXPECT_EQ(recipe.name, "my_run");
  EXPECT_EQ(recipe.training.steps, 100u);
  EXPECT_EQ(std::get<LIFOptions>(recipe.network.at(1)).tau, 2.0f);
}

TEST(Recipe, AKindMayStandForItsDefaults) {
  const Recipe recipe = parse_recipe(
      "optimizer = \"sgd\"\n" + kNetwork + "[[network]]\nkind = \"lif\"\ntau = 3\nsurrogate = \"sigmoid\"\n",
      "my.toml");
  EXPECT_EQ(std::get<SgdOptions>(recipe.optimizer).lr, 0.01f);
  EXPECT_EQ(std::get<LIFOptions>(recipe.network.at(1)).tau, 3.0f);
  EXPECT_EQ(std::get<Sigmoid>(std::get<LIFOptions>(recipe.network.at(1)).surrogate).alpha, 4.0f);
}

std::string many(const std::string& part, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += part;
  return text;
}

TEST(Recipe, WhatCannotBeObeyedIsRefusedWithLineAndKey) {
  struct Case {
    std::string text;
    std::string error;
  };
  const std::string lif = kNetwork + "[[network]]\nkind = \"lif\"\n";  // its next line is the fifth
  const std::string linear = kNetwork + "[[network]]\nkind = \"linear\"\n";
  const Case cases[] = {
      {lif + "tua = 3.0", "my.toml:5: key 'network.1.tua': unknown; did you mean 'tau'?"},
      {"epoch = 3\n" + kNetwork, "my.toml:1: key 'epoch': unknown; did you mean 'epochs'?"},
      {"\n[training]\nsteps = 0\n" + kNetwork,
       "my.toml:3: key 'training.steps': expected an integer >= 1 and <= 65536, got 0"},
      {"[training]\nsteps = 2.5\n" + kNetwork,
       "my.toml:2: key 'training.steps': expected an integer >= 1 and <= 65536, got 2.5"},
      {"[training]\nseed = -1\n" + kNetwork,
       "my.toml:2: key 'training.seed': expected an integer >= 0 and <= 4294967295, got -1"},
      {"[training]\nseed = 4294967296\n" + kNetwork,
       "my.toml:2: key 'training.seed': expected an integer >= 0 and <= 4294967295, got 4294967296"},
      {"[training]\ndrop_last = 1\n" + kNetwork,
       "my.toml:2: key 'training.drop_last': expected true or false, got 1"},
      {"training = 3\n" + kNetwork, "my.toml:1: key 'training': expected a table, got 3"},
      {"[loss]\nkind = \"rate_m\\te\\nmy.toml:9: well\"\n" + kNetwork,
       "my.toml:2: key 'loss.kind': 'rate_m\\x09e\\x0amy.toml:9: well' is unknown; expected one of "
       "'rate_mse', 'rate_cross_entropy', 'count_mse', 'count_cross_entropy', 'membrane_mse', "
       "'membrane_cross_entropy', 'tet', 'step_cross_entropy', 'first_spike_cross_entropy', "
       "'first_spike_mse', "
       "'mse', 'l1', 'huber'"},
      {"description = '''a'b\\n'''\n\na" + many(".a", 200000) + " = 3\n",
       "my.toml:3: expected a key of at most 16 parts, found more"},
      {"x = [1.5, 2.5, { a" + many(".\"#=\" ", 200000) + " = 3 }]\n",
       "my.toml:1: expected a key of at most 16 parts, found more"},
      {"# " + many(".", 50) + "\nname = \"" + many(".", 50) + "\"\n" + kNetwork,
       "my.toml:2: key 'name': expected 1 to 100 letters, digits, '_' or '-', got '" + many(".", 50) + "'"},
      {"name = 3\n" + kNetwork, "my.toml:1: key 'name': expected a string, got 3"},
      {"name = \"../x\"\n" + kNetwork,
       "my.toml:1: key 'name': expected 1 to 100 letters, digits, '_' or '-', got '../x'"},
      {"data = \"mnits\"\n" + kNetwork, "my.toml:1: key 'data': 'mnits' is unknown; did you mean 'mnist'?"},
      {"rule = \"btpt\"\n" + kNetwork, "my.toml:1: key 'rule': 'btpt' is unknown; did you mean 'bptt'?"},
      {lif + "tau = 1.0", "my.toml:5: key 'network.1.tau': expected a number > 1, got 1"},
      {lif + "tau = \"2\"", "my.toml:5: key 'network.1.tau': expected a number > 1, got '2'"},
      {lif + "tau = nan", "my.toml:5: key 'network.1.tau': expected a number > 1, got nan"},
      {lif + "tau = inf", "my.toml:5: key 'network.1.tau': expected a number > 1, got inf"},
      {lif + "tau = 1e60", "my.toml:5: key 'network.1.tau': expected a number > 1, got 1e+60"},
      {lif + "tau = true", "my.toml:5: key 'network.1.tau': expected a number > 1, got true"},
      {lif + "tau = 2020-01-01", "my.toml:5: key 'network.1.tau': expected a number > 1, got a date or time"},
      {lif + "v_reset = nan", "my.toml:5: key 'network.1.v_reset': expected a finite number, got nan"},
      {lif + "v_reset = \"soft\"",
       "my.toml:5: key 'network.1.v_reset': expected a finite number or 'none', got 'soft'"},
      {lif + "surrogate = \"atn\"",
       "my.toml:5: key 'network.1.surrogate': 'atn' is unknown; did you mean 'atan'?"},
      {lif + "surrogate = 3", "my.toml:5: key 'network.1.surrogate': expected a table with a kind, got 3"},
      {lif + "surrogate = { kind = \"atan\", alpha = 0 }",
       "my.toml:5: key 'network.1.surrogate.alpha': expected a number > 0, got 0"},
      {lif + "surrogate = { kind = \"atan\", alpha = 1e-60 }",
       "my.toml:5: key 'network.1.surrogate.alpha': expected a number > 0, got 1e-60"},
      {lif + "surrogate = { kind = \"atan\", alhpa = 2.0 }",
       "my.toml:5: key 'network.1.surrogate.alhpa': unknown; did you mean 'alpha'?"},
      {linear + "in = 3", "my.toml:3: key 'network.1.out': missing; expected a number >= 1 and <= 16777216"},
      {linear + "in = 3\nout = 4\ninit = \"norml\"",
       "my.toml:7: key 'network.1.init': 'norml' is unknown; did you mean 'normal'?"},
      {linear + "in = 3\nout = 4\ninit = 4",
       "my.toml:7: key 'network.1.init': expected one of 'uniform', 'normal', got 4"},
      {"[[network]]\nkind = \"liff\"",
       "my.toml:2: key 'network.0.kind': 'liff' is unknown; did you mean 'lif'?"},
      {"[[network]]\nkind = 3", "my.toml:2: key 'network.0.kind': expected a string, got 3"},
      {"[optimizer]\nlr = 0.1\n" + kNetwork,
       "my.toml:1: key 'optimizer.kind': missing; expected one of 'adam', 'adamw', 'sgd'"},
      {"[optimizer]\nkind = \"adam\"\nmomentum = 0.9\n" + kNetwork,
       "my.toml:3: key 'optimizer.momentum': unknown; expected one of 'kind', 'lr', 'beta1', 'beta2', 'eps', "
       "'weight_decay', 'decay_only_weights', 'groups'"},
      {"[optimizer]\nkind = \"adam\"\nlr = -0.1\n" + kNetwork,
       "my.toml:3: key 'optimizer.lr': expected a number >= 0, got -0.1"},
      {"[encoder]\nkind = \"poison\"\n" + kNetwork,
       "my.toml:2: key 'encoder.kind': 'poison' is unknown; did you mean 'poisson'?"},
      {"[schedule]\nkind = \"cosine\"\n",
       "my.toml:1: key 'schedule.T_max': missing; expected a number >= 1 and <= 1000000000000"},
      {"[schedule]\nkind = \"multi_step\"\nmilestones = 3\n",
       "my.toml:3: key 'schedule.milestones': expected a list of numbers, got 3"},
      {"[schedule]\nkind = \"multi_step\"\nmilestones = [3, -1]\n",
       "my.toml:3: key 'schedule.milestones.1': expected an integer >= 0 and <= 1000000000000, got -1"},
      {"network = 3", "my.toml:1: key 'network': expected a list of tables, got 3"},
      {"network = []", "my.toml:1: key 'network': missing; expected at least one [[network]] table"},
      {"epochs = 3", "my.toml:1: key 'network': missing; expected at least one [[network]] table"},
      {"epochs = []\n" + kNetwork,
       "my.toml:1: key 'epochs': expected an integer >= 1 and <= 16777215, got a list"},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_error(c.text), c.error);
  EXPECT_TRUE(
      parse_error(lif + "surrogate = { alpha = 2.0 }")
          .starts_with("my.toml:5: key 'network.1.surrogate.kind': missing; expected one of 'atan', 's"));
  EXPECT_TRUE(
      parse_error("[[network]]\ntau = 3")
          .starts_with("my.toml:1: key 'network.0.kind': missing; expected one of 'flatten', 'linear', "));
  EXPECT_TRUE(parse_error("epochs = \n").starts_with("my.toml:1: not TOML: "));
  EXPECT_TRUE(parse_error("epochs = 3\nepochs = 4\n").starts_with("my.toml:2: not TOML: "));
  EXPECT_TRUE(parse_error("name = \"\xff\"\n").starts_with("my.toml:1: not TOML: "));
  EXPECT_TRUE(parse_error("network = " + std::string(100000, '[')).starts_with("my.toml:1: not TOML: "));
}

// The parser does not refuse these, and its behaviour is undefined.
TEST(Recipe, WhatTheParserTakesForGrantedIsChecked) {
  for (const std::string header : {"[&oss]", "[[ &oss]]", "[[[network]]]", "[", "[ \n"}) {
    EXPECT_TRUE(parse_error("epochs = 3\n \t" + header + "\n").starts_with("my.toml:2: not TOML: "))
        << header;
  }
  EXPECT_EQ(parse_error("epochs = 3\n[&oss]"), "my.toml:2: not TOML: expected a key after '['");
  EXPECT_EQ(parse_error("name = \"\"\"\n\u3042\"\"\"\n\u00E9 = 3"),
            "my.toml:3: not TOML: expected only ASCII outside of strings and comments");
  EXPECT_EQ(parse_error("name = \"\"\"a\\\n \u00E9\"\"\""),
            "my.toml:2: not TOML: expected only ASCII at the beginning of a line that '\\' joins to the one "
            "before");
  for (const std::string value : {"0o\"\u0494\"", "\"a\"\"\u0494\""}) {
    EXPECT_EQ(parse_error("epochs = " + value),
              "my.toml:1: expected a blank, '=', ',', '[' or '{' before a string");
  }
  EXPECT_EQ(parse_error("epochs = 1.\"\u0494\""), "my.toml:1: expected only ASCII in quotes after a dot");
  EXPECT_EQ(
      parse_recipe("name = \"a\"\ndescription = \"\"\"\"\u00E9\"\"\"\"\n[[network]]\nkind=\"flatten\"", "")
          .description,
      "\"\u00E9\"");
  EXPECT_TRUE(parse_error("epochs = [\n[ +1 ]]").starts_with("my.toml:1: key 'epochs': expected an integer"));
  const Recipe recipe = parse_recipe(
      "\uFEFFdescription = \"\"\"\u00E9 \\u00E9 \\\\ \u3042\n\u3042 \\\n  a\"\"\" # \u00E9\n"
      "[ \"loss\" ]\nkind = 'rate_mse'\n[[ network ]]\nkind = \"flatten\"\n[[network]]\nkind = \"dropout\"",
      "my.toml");
  EXPECT_EQ(recipe.description, "\u00E9 \u00E9 \\ \u3042\n\u3042 a");
  EXPECT_EQ(recipe.network.size(), 2u);
}

TEST(Recipe, TooManyLayersAreRefused) {
  std::string text;
  for (int i = 0; i < 1001; ++i) text += kNetwork;
  EXPECT_EQ(parse_error(text), "my.toml:1: key 'network': more than 1000 entries");
}

TEST(Recipe, LoadsAFileAndNamesItInErrors) {
  const test::TempFolder folder;
  const std::string path = (folder / "mine.toml").string();
  std::ofstream(path) << kNetwork << "[training]\nsteps = 0\n";
  EXPECT_EQ(error_of([&] { load_recipe(path); }),
            path + ":4: key 'training.steps': expected an integer >= 1 and <= 65536, got 0");
  std::ofstream(path) << kNetwork;
  EXPECT_EQ(load_recipe(path).name, "mine");
}

TEST(Recipe, AnUnknownNameIsRefusedWithTheNearest) {
  EXPECT_EQ(error_of([] { load_recipe("lif_fc_mnits"); }),
            "'lif_fc_mnits' is neither a built-in recipe nor a file; did you mean 'lif_fc_mnist'?");
  EXPECT_EQ(error_of([] { load_recipe("nothing/here.toml"); }), "nothing/here.toml: no such file");
}

TEST(Recipe, HoldsOutWhatItIsTold) {
  const auto held_out = [](const std::string& validation) {
    Split data;
    data.train = {"t", {1, 1, 1}, std::vector<std::uint8_t>(50), std::vector<std::uint32_t>(50), {"a"}};
    data.test = data.train;
    const Recipe recipe = parse_recipe(
        "train_samples = 40\ntest_samples = 7\nvalidation = " + validation + "\n" + kNetwork, "my.toml");
    EXPECT_EQ(parse_recipe(to_toml(recipe), "again").validation, recipe.validation);
    const Split split = recipe.take(std::move(data));
    EXPECT_EQ(split.test.size(), 7u);
    EXPECT_EQ(split.train.size() + split.validation.size(), 40u);
    return split.validation.size();
  };
  EXPECT_EQ(held_out("0"), 0u);
  EXPECT_EQ(held_out("13"), 13u);
  EXPECT_EQ(held_out("0.1"), 4u);
  EXPECT_EQ(test::error_text([&] { held_out("40"); }),
            "[data] t: 1 to 39 of its 40 pictures can be held out, got 40");
  EXPECT_EQ(test::error_text([&] { held_out("0.001"); }),
            "[data] t: 1 to 39 of its 40 pictures can be held out, got 0");
  EXPECT_EQ(test::error_text([&] { held_out("1.5"); }),
            "[recipe] validation must be a whole number of samples, or a share < 1, got 1.5");
}

TEST(Recipe, DataCanBeAFolderOfPictures) {
  EXPECT_EQ(parse_recipe("data = \"./flowers\"\n" + kNetwork, "my.toml").data, "./flowers");
}

}  // namespace
}  // namespace volley

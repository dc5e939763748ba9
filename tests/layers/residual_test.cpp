#include <volley/residual.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include <volley/volley.hpp>

#include "storage/recipe_toml.hpp"
#include "support/bars.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"
#include "support/signal_forms.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;

constexpr Connect kAll[] = {Connect::ADD, Connect::AND, Connect::IAND};

Sequential spiking(std::size_t in, std::size_t out) {
  return Sequential{Linear{in, out}, BatchNorm{out}, LIF{{.tau = 1.5f, .decay_input = false}}};
}

std::vector<float> values_of(const Signal& x) {
  SignalMemory memory, turned;
  const Signal y = real_values(plain(x, turned, ThreadPool::shared()), memory, ThreadPool::shared());
  return {y.values(), y.values() + y.shape().size()};
}

Spikes random_spikes(const Shape& shape, std::uint32_t seed) {
  const std::vector<float> s = test::Random(seed).spikes<float>(shape.size(), 0.4);
  return Spikes::from_bytes(shape, std::vector<std::uint8_t>(s.begin(), s.end()));
}

// 70 features: more than one word, and padding.
TEST(Residual, JoinsSpikesByTheTablesOfTruth) {
  const Spikes x = random_spikes({3, 6, 70}, 1);
  for (const Connect connect : kAll) {
    Residual block(spiking(70, 70), {.connect = connect});
    block.initialize(3);
    Tape tape;
    tape.set_context({.training = true});
    const Signal y = block.forward(x, tape);
    EXPECT_EQ(y.is_spikes(), connect != Connect::ADD);
    Tape alone;
    alone.set_context({.training = true});
    Residual same(spiking(70, 70));
    same.initialize(3);
    const std::vector<float> b = values_of(same.branch()->forward(x, alone));
    const std::vector<float> s = values_of(x), got = values_of(y);
    EXPECT_GT(std::ranges::count(b, 1.0f), 100);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const float expected = connect == Connect::ADD   ? b[i] + s[i]
                             : connect == Connect::AND ? b[i] * s[i]
                                                       : (1 - b[i]) * s[i];
      ASSERT_EQ(got[i], expected) << i;
    }
  }
}

// Real-valued sides without a step in them: finite differences hold for the whole block.
TEST(Residual, BackwardIsTheGradientOfBothSides) {
  Tensor x({2, 3, 4});
  std::ranges::copy(test::Random(1).values<float>(x.size()), x.data());
  for (const bool shortcut : {false, true}) {
    for (const Connect connect : kAll) {
      Residual block = shortcut ? Residual(Sequential{Linear{4, 5}}, Sequential{Linear{4, 5}}, {connect})
                                : Residual(Sequential{Linear{4, 4}}, {connect});
      block.initialize(1);
      Tape tape;
      const Signal y = block.forward(x, tape);
      Tensor dy(y.shape());
      std::ranges::copy(test::Random(2).values<float>(dy.size()), dy.data());
      zero_gradients(block.parameters());
      const std::vector<float> dx = values_of(block.backward(tape, dy));
      const auto loss = [&](const Tensor& at) {
        Tape other;
        const Signal out = block.forward(at, other);
        double sum = 0;
        for (std::size_t i = 0; i < dy.size(); ++i) {
          sum += static_cast<double>(out.values()[i]) * static_cast<double>(dy.data()[i]);
        }
        return sum;
      };
      // The block is at most quadratic: central differences are exact but for rounding.
      const auto difference = [&](float& value) {
        const float at = value;
        value = at + 0.25f;
        const double above = loss(x);
        value = at - 0.25f;
        const double below = loss(x);
        value = at;
        return static_cast<float>((above - below) / 0.5);
      };
      std::vector<float> expected;
      for (float& value : x.values()) expected.push_back(difference(value));
      EXPECT_LT(test::relative_error(dx, expected), 1e-4);
      for (const NamedParameter& p : block.parameters()) {
        std::vector<float> numeric;
        for (float& value : p.parameter->value.values()) numeric.push_back(difference(value));
        EXPECT_LT(test::relative_error(p.parameter->gradient.values(), numeric), 1e-4) << p.name;
      }
    }
  }
}

// Whatever forms the two sides have, the result is that of plain ones.
TEST(Residual, FormsChangeNothing) {
  const Spikes x = random_spikes({2, 3, 4, 5, 2}, 1);
  SignalMemory memory;
  const Signal turned = in_layout(x, Layout::channels_last, memory, ThreadPool::shared());
  for (const Connect connect : kAll) {
    const auto run = [&](const Signal& in) {
      Residual block(Sequential{Dropout{}, BatchNorm{4}}, {.connect = connect});  // gives channels-last
      Tape tape;
      tape.set_context({.training = true});
      const Signal y = block.forward(in, tape);
      Tensor dy(y.shape());
      std::ranges::copy(test::Random(2).values<float>(dy.size()), dy.data());
      SignalMemory dy_memory;
      const Signal dx = block.backward(tape, in_form_of(y, dy, dy_memory, tape.threads()));
      EXPECT_EQ(dx.layout(), in.layout());
      return std::pair(values_of(y), values_of(dx));
    };
    EXPECT_EQ(run(x), run(turned));
  }
  Tensor stored({2, 1, 4});
  std::ranges::copy(test::Random(3).values<float>(stored.size()), stored.data());
  const Signal constant(stored, {2, 3, 4});
  Residual block(Sequential{Linear{4, 4}, LIF{}});  // a branch that is not constant, a shortcut that is
  Tape tape;
  const Signal y = block.forward(constant, tape);
  const Tensor dy(y.shape());
  EXPECT_EQ(block.backward(tape, dy).stored_steps(), 1u);
}

TEST(Residual, NamesWhatItHoldsBySide) {
  Residual block(spiking(4, 6), Sequential{Linear{4, 6, {.bias = false}}});
  std::vector<std::string> names;
  for (const NamedTensor& t : block.named_tensors()) names.push_back(t.name);
  EXPECT_EQ(names, (std::vector<std::string>{"branch.0.weight", "branch.0.bias", "branch.1.weight",
                                             "branch.1.bias", "shortcut.0.weight", "branch.1.running_mean",
                                             "branch.1.running_var", "branch.1.num_batches_tracked"}));
}

TEST(Residual, RefusesSidesThatDoNotFit) {
  EXPECT_EQ(error_text([] { static_cast<void>(Residual(spiking(4, 6)).output_shape({4})); }),
            "[residual] shortcut must give (6), the features of the branch, got (4)");
  EXPECT_EQ(error_text([] { static_cast<void>(Residual(spiking(4, 6)).output_shape({5})); }),
            "[residual] branch: layer 0: [linear] input features must be (4), got (5)");
}

const std::string kRecipe = R"(
[[network]]
kind = "flatten"
[[network]]
kind = "residual"
connect = "IAND"
[[network.branch]]
kind = "linear"
in = 8
out = 8
[[network.branch]]
kind = "residual"
[[network.branch.branch]]
kind = "lif"
tau = 3.0
[[network.shortcut]]
kind = "linear"
in = 8
out = 8
bias = false
[[network]]
kind = "lif"
)";

TEST(Residual, ARecipeOfNestedLayersComesBack) {
  const Recipe recipe = parse_recipe(kRecipe, "r.toml");
  ASSERT_EQ(recipe.network.size(), 3u);
  const ResidualRecipe& outer = std::get<ResidualRecipe>(recipe.network[1]);
  EXPECT_EQ(outer.connect, Connect::IAND);
  EXPECT_EQ(outer.branch.size(), 2u);
  EXPECT_EQ(outer.shortcut.size(), 1u);
  EXPECT_EQ(std::get<LIFOptions>(std::get<ResidualRecipe>(outer.branch[1]).branch[0]).tau, 3.0f);
  const std::string text = to_toml(recipe);
  EXPECT_EQ(to_toml(parse_recipe(text, "again")), text);
  const Recipe changed =
      with_settings(recipe, {"network.1.branch.1.branch.0.tau=4", "network.1.connect=ADD"});
  const ResidualRecipe& block = std::get<ResidualRecipe>(changed.network[1]);
  EXPECT_EQ(std::get<LIFOptions>(std::get<ResidualRecipe>(block.branch[1]).branch[0]).tau, 4.0f);
  EXPECT_EQ(block.connect, Connect::ADD);
  EXPECT_EQ(error_text([] {
              parse_recipe(kRecipe + "[[network]]\nkind='residual'\n[[network.branch]]\nkind='lif'\ntua=2",
                           "r");
            }),
            "r:27: key 'network.3.branch.0.tua': unknown; did you mean 'tau'?");
}

TEST(Residual, AFileHoldsNestedLayers) {
  const test::TempFolder folder;
  Sequential net = parse_recipe(kRecipe, "r").build_network({1, 2, 4});
  std::set<float> first;
  for (const NamedParameter& p : net.parameters()) {
    EXPECT_TRUE(first.insert(p.parameter->value.data()[0]).second)
        << "no two layers share a draw: " << p.name;
  }
  save_network(folder / "n.safetensors", net);
  Sequential back = load_network(folder / "n.safetensors");
  const auto a = net.named_tensors(), b = back.named_tensors();
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a[0].name, "1.branch.0.weight");
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_TRUE(std::ranges::equal(a[i].tensor->values(), b[i].tensor->values()));
  }
}

TEST(Residual, NetworksOfBlocksLearn) {
  const Dataset train = test::bars(400, 1), test = test::bars(150, 2);
  for (const Connect connect : kAll) {
    Sequential net{Flatten{},
                   Linear{24, 30},
                   BatchNorm{30},
                   LIF{},
                   Residual{spiking(30, 30), {.connect = connect}},
                   Residual{spiking(30, 20), spiking(30, 20), {.connect = connect}},
                   Linear{20, 3},
                   LIF{}};
    net.initialize(0);
    Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 8, .batch = 20}};
    EXPECT_GT(trainer.fit(train, test, 6).epochs.back().max_test_acc, 0.9);
  }
}

}  // namespace
}  // namespace volley

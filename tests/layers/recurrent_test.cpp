#include <volley/recurrent.hpp>

#include <gtest/gtest.h>

#include <algorithm>

#include <volley/volley.hpp>

#include "spec/neurons.hpp"
#include "spec/recurrent.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"
#include "support/signal_forms.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

struct Result {
  std::vector<float> s, dx, dweight;
  std::vector<std::vector<float>> learned;  // the gradients of the neuron's own numbers
};

Result run(Recurrent& layer, const Signal& x, std::size_t threads = 2) {
  ThreadPool pool(threads);
  Tape tape(pool);
  const Tensor dy = random_tensor(x.shape(), 7, -1, 1);
  for (int pass = 0; pass < 2; ++pass) {  // the second on a used tape
    zero_gradients(layer.parameters());
    layer.forward(x, tape);
    layer.backward(tape, dy);
  }
  zero_gradients(layer.parameters());
  SignalMemory s_memory, dx_memory;
  const Signal s = real_values(layer.forward(x, tape), s_memory, pool);
  const Signal dx = plain(layer.backward(tape, dy), dx_memory, pool);
  Result result{
      {s.values(), s.values() + s.shape().size()}, {dx.values(), dx.values() + dx.shape().size()}, {}, {}};
  for (const NamedParameter& p : layer.parameters()) {
    const auto g = p.parameter->gradient.values();
    (p.name == "weight" ? result.dweight : result.learned.emplace_back()).assign(g.begin(), g.end());
  }
  return result;
}

// 19 samples: more than two chunks of backward; 70 features: two words.
TEST(Recurrent, IsTheReference) {
  constexpr std::size_t N = 19, T = 9, F = 70;
  const Tensor x = random_tensor({N, T, F}, 1, -0.5, 2.5);
  const Tensor dy = random_tensor({N, T, F}, 7, -1, 1);
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    for (const AnyNeuron& options :
         {AnyNeuron{LIFOptions{}}, AnyNeuron{IFOptions{.v_reset = std::nullopt}}, AnyNeuron{CUBALIFOptions{}},
          AnyNeuron{PLIFOptions{.learn_threshold = true}}, AnyNeuron{KLIFOptions{}},
          AnyNeuron{LIFOptions{.tau_charge = 1.5f, .v_init = 0.3f, .refractory = 1}},
          AnyNeuron{ALIFOptions{.v_reset = std::nullopt, .refractory = 2}},
          AnyNeuron{PLIFOptions{.learn_threshold = true, .channels = F}}}) {
      Recurrent layer(F, {feedback, options});
      for (const NamedParameter& p : layer.parameters()) {
        if (p.name != "weight") p.parameter->value.data()[0] = 0.8f;
      }
      const Result got = run(layer, x);
      std::visit(
          [&](const auto& o) {
            spec::with_neuron_of<float>(o, [&]<class Neuron>(const Neuron& first) {
              constexpr std::size_t kStates = Neuron::kStates, kParameters = Neuron::kParameters;
              const std::vector<NamedParameter> learned = layer.parameters();
              const auto neuron = [&](std::size_t f) {
                Neuron own = first;
                for (std::size_t k = 1; k < learned.size(); ++k) {
                  const Tensor& value = learned[k].parameter->value;
                  own.parameter(k - 1) = value.data()[value.size() == 1 ? 0 : f];
                }
                return own;
              };
              std::vector<float> weight(layer.weight().value.values().begin(),
                                        layer.weight().value.values().end());
              std::vector<float> weight_t = weight;
              for (std::size_t i = 0; feedback == Feedback::linear && i < F * F; ++i) {
                weight_t[i % F * F + i / F] = weight[i];
              }
              std::vector<float> s(N * T * F), i(s), dx(s), z(s.size() * kStates), now(F * kStates), ds(F),
                  dz(F * kStates), dweight(weight.size()), dp(F * kParameters);
              for (std::size_t n = 0; n < N; ++n) {
                const std::size_t at = n * T * F;
                spec::recurrent_start(now.data(), neuron, F);
                spec::recurrent_forward(&s[at], &z[at * kStates], &i[at], x.data() + at, weight_t.data(),
                                        feedback, neuron, o.surrogate, spec::Fire::hard, T, F, now.data());
                spec::recurrent_backward(&dx[at], dweight.data(), dp.data(), dy.data() + at, &s[at],
                                         &z[at * kStates], &i[at], weight.data(), feedback, neuron,
                                         o.surrogate, T, F, ds.data(), dz.data());
              }
              EXPECT_EQ(got.s, s);
              EXPECT_GT(std::ranges::count(s, 1.0f), 500);
              EXPECT_LT(test::relative_error(got.dx, dx), 1e-5);
              EXPECT_LT(test::relative_error(got.dweight, dweight), 1e-5);
              for (std::size_t k = 1; k < learned.size(); ++k) {
                std::vector<float> expected(learned[k].parameter->value.size());
                for (std::size_t f = 0; f < F; ++f) {
                  expected[expected.size() == 1 ? 0 : f] += dp[f * kParameters + k - 1];
                }
                EXPECT_LT(test::relative_error(got.learned[k - 1], expected), 1e-4) << learned[k].name;
              }
            });
          },
          options);
    }
  }
}

TEST(Recurrent, SameBitsForAnyNumberOfThreads) {
  const Tensor x = random_tensor({19, 9, 70}, 1, -0.5, 2.5);
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    Recurrent layer(70, {.feedback = feedback, .neuron = PLIFOptions{.learn_threshold = true}});
    const Result one = run(layer, x, 1);
    for (const std::size_t threads : {2u, 3u, 8u}) {
      const Result got = run(layer, x, threads);
      EXPECT_EQ(got.s, one.s);
      EXPECT_EQ(got.dx, one.dx);
      EXPECT_EQ(got.dweight, one.dweight);
      EXPECT_EQ(got.learned, one.learned);
    }
  }
}

TEST(Recurrent, OneStepAndNoSample) {
  const Tensor x = random_tensor({3, 1, 5}, 1, 0, 3);
  Recurrent layer(5);
  EXPECT_EQ(run(layer, x).dweight, std::vector<float>(25));
  const Tensor none({0, 4, 5});
  EXPECT_EQ(run(layer, none).s.size(), 0u);
}

TEST(Recurrent, RefusesWhatItCannotDo) {
  EXPECT_EQ(error_text([] { Recurrent(0); }), "[recurrent] features must be >= 1, got 0");
  EXPECT_EQ(error_text([] { Recurrent(3, {.neuron = LIFOptions{.tau = 0.5f}}); }),
            "[lif] tau must be > 1, got 0.5");
  EXPECT_EQ(error_text([] { static_cast<void>(Recurrent(3).output_shape({4})); }),
            "[recurrent] input features must be (3), got (4)");
  EXPECT_EQ(error_text([] { Recurrent(3, {.neuron = PLIFOptions{.channels = 4}}); }),
            "[plif] input must have 4 channels or neurons, got (3)");
}

TEST(Recurrent, WhatItsNeuronsLearnAreItsParameters) {
  Recurrent layer(3, {.neuron = PLIFOptions{.init_tau = 3.0f, .learn_threshold = true}});
  const std::vector<NamedParameter> p = layer.parameters();
  ASSERT_EQ(p.size(), 3u);
  EXPECT_EQ(p[0].name, "weight");
  EXPECT_EQ(p[1].name, "neuron.w");
  EXPECT_EQ(p[2].name, "neuron.v_threshold");
  EXPECT_FLOAT_EQ(p[1].parameter->value.data()[0], -std::log(2.0f));
}

// Three neurons that fire at every step of four: what they fire at the last does not come back.
TEST(Recurrent, TheMonitorCountsWhatComesBack) {
  Sequential net{Recurrent{3, {.neuron = IFOptions{}}}};
  zero_gradients(net.parameters());
  for (float& w : net.parameters()[0].parameter->value.values()) w = 0;
  Tensor x({2, 4, 3});
  std::ranges::fill(x.values(), 1.0f);
  Tape tape;
  net.forward(x, tape);
  Monitor monitor;
  monitor.look(tape);
  const std::vector<LayerActivity> activity = monitor.activity();
  ASSERT_FALSE(activity.empty());
  EXPECT_EQ(activity.back().dense_macs, 9);
  EXPECT_EQ(activity.back().synops, 3 * 3 * 3);  // neurons, steps that are followed by another, targets
  EXPECT_EQ(activity.back().macs, 0);
  EXPECT_EQ(activity.back().rate, 1);
}

const std::string kRecipe = R"(
[[network]]
kind = "linear"
in = 6
out = 8
[[network]]
kind = "recurrent"
features = 8
feedback = "element_wise"
neuron = { kind = "if", v_reset = "none", surrogate = { kind = "sigmoid", alpha = 3.0 } }
[[network]]
kind = "recurrent"
features = 8
)";

TEST(Recurrent, ARecipeAndAFileHoldIt) {
  const Recipe recipe = parse_recipe(kRecipe, "r");
  const RecurrentRecipe& first = std::get<RecurrentRecipe>(recipe.network[1]);
  EXPECT_EQ(first.feedback, Feedback::element_wise);
  EXPECT_FALSE(std::get<IFOptions>(first.neuron).v_reset.has_value());
  EXPECT_EQ(to_toml(parse_recipe(to_toml(recipe), "again")), to_toml(recipe));
  const Recipe changed = with_settings(recipe, {"network.2.neuron.tau=5"});
  EXPECT_EQ(std::get<LIFOptions>(std::get<RecurrentRecipe>(changed.network[2]).neuron).tau, 5.0f);
  const test::TempFolder folder;
  Sequential net = recipe.build_network({6});
  save_network(folder / "n.safetensors", net);
  Sequential back = load_network(folder / "n.safetensors");
  EXPECT_EQ(back.parameters()[3].name, "2.weight");
  EXPECT_TRUE(std::ranges::equal(back.parameters()[3].parameter->value.values(),
                                 net.parameters()[3].parameter->value.values()));
}

/// Pictures whose rows are time: a pulse in the first row says the class, noise follows.
Dataset pulses(std::size_t samples, std::uint32_t seed) {
  Dataset data{.name = "pulses", .shape = {1, 6, 6}, .pixels = {}, .labels = {}, .classes = {"a", "b", "c"}};
  test::Random random(seed);
  for (std::size_t n = 0; n < samples; ++n) {
    const std::uint32_t label = random.below(3);
    for (std::uint32_t i = 0; i < 36; ++i) {
      const bool bright = i < 6 && i / 2 == label;
      data.pixels.push_back(static_cast<std::uint8_t>(bright ? 255 : random.below(100)));
    }
    data.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return data;
}

TEST(Recurrent, ANetworkRemembersWhatItSawFirst) {
  const Dataset train = pulses(400, 1), test = pulses(150, 2);
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    Sequential net{Flatten{}, Linear{6, 40}, Recurrent{40, {.feedback = feedback}}, Linear{40, 3}, LIF{}};
    net.initialize(0);
    Trainer trainer{net, Adam{1e-2f}, RateMse{}, Rows{}, {.steps = 6, .batch = 20}};
    EXPECT_GT(trainer.fit(train, test, 12).epochs.back().max_test_acc, 0.9);
  }
}

}  // namespace
}  // namespace volley

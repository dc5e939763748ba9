#include <volley/initialization.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <deque>

#include <volley/volley.hpp>

#include "spec/neurons.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using Floats = std::vector<float>;

Floats values_of(const Parameter& p) { return {p.value.values().begin(), p.value.values().end()}; }
Floats weights_of(Layer& layer) { return values_of(*layer.parameters().at(0).parameter); }

Spikes random_spikes(const Shape& shape, double rate, std::uint32_t seed) {
  test::Random random(seed);
  std::vector<std::uint8_t> bytes(shape.size());
  for (std::uint8_t& byte : bytes) byte = random.uniform(0, 1) < rate;
  return Spikes::from_bytes(shape, bytes);
}

/// The mean of (h - rest)^2 over neurons and steps, of neurons that no potential makes fire, when the inputs
/// fire at `rate`; the steps before `kept` are left out.
template <class Options>
double spread(Options o, Linear& linear, double rate, std::size_t steps, std::size_t kept) {
  ThreadPool threads(1);
  Tape tape(threads);
  const Spikes s = random_spikes({1, steps, linear.in()}, rate, 5);
  const Signal x = linear.forward(s, tape);
  const double rest = static_cast<double>(o.v_reset.value_or(0));
  o.v_threshold = 1e30f;
  const auto neuron = spec::neuron_of<double>(o);
  double sum = 0;
  for (std::size_t f = 0; f < linear.out(); ++f) {
    double z[2];
    neuron.start(z);
    for (std::size_t t = 0; t < steps; ++t) {
      neuron.charge(z, static_cast<double>(x.values()[t * linear.out() + f]));
      if (t >= kept) sum += (z[0] - rest) * (z[0] - rest);
      neuron.reset(z, 0, 0);
    }
  }
  return sum / static_cast<double>(linear.out() * (steps - kept));
}

// (W13), (W14): the potential has its threshold xi standard deviations above rest.
TEST(FluctuationInitialization, ThePotentialIsSpreadAsDerived) {
  const auto check = [](const auto& o, float rate, float xi) {
    SCOPED_TRACE(testing::Message() << o.kKind << " rate " << rate);
    Sequential net{Linear(300, 300), Neuron<std::remove_cvref_t<decltype(o)>>(o)};
    initialize_fluctuations(net, 3, {.rate = rate, .xi = xi});
    const double distance = static_cast<double>(o.v_threshold - o.v_reset.value_or(0));
    const double deviation = std::sqrt(spread(o, dynamic_cast<Linear&>(net[0]), rate, 400, 60));
    EXPECT_NEAR(deviation * static_cast<double>(xi) / distance, 1, 0.06);
  };
  check(LIFOptions{}, 0.1f, 2.0f);
  check(LIFOptions{.tau = 8.0f, .v_threshold = 0.6f, .v_reset = -0.4f}, 0.05f, 1.0f);
  check(LIFOptions{.tau = 5.0f, .decay_input = false}, 0.3f, 2.0f);
  check(LIFOptions{.tau = 5.0f, .tau_charge = 1.5f}, 1.0f, 3.0f);
  check(PLIFOptions{.init_tau = 3.0f}, 0.2f, 2.0f);
  check(ALIFOptions{.tau = 3.0f}, 0.1f, 2.0f);
  check(CUBALIFOptions{}, 0.1f, 2.0f);
  check(CUBALIFOptions{.c_decay = 0.8f, .v_decay = 0.8f, .v_threshold = 1.0f}, 0.02f, 1.5f);
}

// By hand: tau 2 has a sum of 1 and squares of 1/3; sigma is 1 / (2 sqrt(100 (0.03 + 0.01))).
TEST(FluctuationInitialization, WeightsAreDrawnWithTheDerivedDeviation) {
  Sequential net{Linear(100, 400), LIF{}, Linear(400, 100), LIF{}};
  initialize_fluctuations(net, 1, {.input_rate = 1.0f, .xi = 2.0f});
  const auto moments = [](const Floats& w) {
    double sum = 0, squares = 0;
    for (const float x : w)
      sum += static_cast<double>(x), squares += static_cast<double>(x) * static_cast<double>(x);
    const auto n = static_cast<double>(w.size());
    return std::pair(sum / n, std::sqrt(squares / n));
  };
  const auto [first_mean, first] = moments(weights_of(net[0]));
  const auto [second_mean, second] = moments(weights_of(net[2]));
  EXPECT_NEAR(first, 0.05, 0.001);    // 1 / (2 sqrt(100))
  EXPECT_NEAR(second, 0.125, 0.002);  // 1 / (2 sqrt(400 * 0.04))
  EXPECT_NEAR(first_mean, 0, 0.001);
  EXPECT_NEAR(second_mean, 0, 0.002);
  for (const float b : values_of(dynamic_cast<Linear&>(net[0]).bias())) EXPECT_EQ(b, 0.0f);
}

/// A network with weights of every kind of place.
Sequential varied() {
  return Sequential{
      Conv2d(1, 3, 3, {.padding = 1}),
      LIF{},
      Residual(Sequential{Conv2d(3, 3, 3, {.padding = 1}), LIF{}, Conv2d(3, 3, 3, {.padding = 1})}),
      LIF{},
      Conv2d(3, 3, 3, {.padding = 1}),
      BatchNorm(3),
      LIF{},
      Sequential{Flatten{}, Linear(48, 20)},
      Dropout{},
      Recurrent(20),
      Linear(20, 5),
      LI{}};
}

TEST(FluctuationInitialization, FindsTheWeightsBeforeNeurons) {
  Sequential drawn = varied(), net = varied();
  drawn.initialize(7);
  net.initialize(7);
  initialize_fluctuations(net, 7);
  std::vector<std::string> changed;
  const std::vector<NamedParameter> a = drawn.parameters(), b = net.parameters();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (values_of(*a[i].parameter) != values_of(*b[i].parameter)) changed.push_back(b[i].name);
  }
  EXPECT_EQ(changed, (std::vector<std::string>{"0.weight", "0.bias", "2.branch.0.weight", "2.branch.0.bias",
                                               "7.1.weight", "7.1.bias"}));
  Sequential line{Conv1d(2, 3, 3), LIF{}};
  const Floats before = weights_of(line[0]);
  initialize_fluctuations(line, 7);
  EXPECT_NE(weights_of(line[0]), before);
  Sequential again = varied();
  initialize_fluctuations(again, 7);
  EXPECT_EQ(weights_of(again[0]), weights_of(net[0]));
  initialize_fluctuations(again, 8);
  EXPECT_NE(weights_of(again[0]), weights_of(net[0]));
}

TEST(FluctuationInitialization, RefusesWhatItIsNotDerivedFor) {
  const auto text = [](auto neurons, const FluctuationInitialization& options = {}) {
    Sequential net{Linear(4, 4), LIF{}, Linear(4, 3), std::move(neurons)};
    const Floats before = weights_of(net[0]);
    const std::string error = test::error_text([&] { initialize_fluctuations(net, 1, options); });
    EXPECT_EQ(weights_of(net[0]), before) << "nothing is drawn where something is refused";
    return error;
  };
  EXPECT_EQ(text(IF{}),
            "[initialize_fluctuations] neurons after layer 2 must be lif, plif, alif or cuba_lif, got if");
  EXPECT_EQ(text(CUBALIF({.v_decay = 1.0f})),
            "[initialize_fluctuations] neurons after layer 2 must leak, got a decay of 1");
  EXPECT_EQ(text(LIF({.v_threshold = 0.5f, .v_reset = 0.5f})),
            "[initialize_fluctuations] v_threshold after layer 2 must be above the potential at rest, got 0 "
            "above it");
  EXPECT_EQ(text(LIF{}, {.rate = 1.5f}), "[initialize_fluctuations] rate must be > 0 and <= 1, got 1.5");
  EXPECT_EQ(text(LIF{}, {.xi = 0}), "[initialize_fluctuations] xi must be > 0, got 0");
  Sequential readout{Linear(4, 4), LI{}};
  EXPECT_EQ(test::error_text([&] { initialize_fluctuations(readout, 1); }),
            "[initialize_fluctuations] network must have a linear, conv1d or conv2d layer before neurons "
            "that fire, "
            "got none");
}

Sequential deep() {
  return Sequential{Linear(60, 80), LIF{},  Linear(80, 80), IF{},
                    Linear(80, 80), GLIF{}, Linear(80, 10), LIF{}};
}

TEST(RateInitialization, NeuronsFireAtTheRateThatIsAskedFor) {
  const Spikes x = random_spikes({30, 12, 60}, 0.1, 2);
  ThreadPool one(1), three(3);
  for (const float target : {0.05f, 0.2f}) {
    Sequential net = deep(), other = deep();
    net.initialize(4);
    other.initialize(4);
    const Floats drawn = weights_of(net[2]);
    initialize_rates(net, x, {.rate = target}, one);
    initialize_rates(other, x, {.rate = target}, three);
    for (std::size_t i = 0; i < net.size(); i += 2) EXPECT_EQ(weights_of(net[i]), weights_of(other[i])) << i;
    const Floats scaled = weights_of(net[2]);
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      EXPECT_NEAR(scaled[i] / drawn[i], scaled[0] / drawn[0], 1e-5f * std::abs(scaled[0] / drawn[0]));
    }
    Signal y = x;
    std::deque<Tape> tapes;
    for (std::size_t i = 0; i < net.size(); ++i) tapes.emplace_back(one);
    for (std::size_t i = 0; i < net.size(); ++i) {
      y = net[i].forward(y, tapes[i]);
      if (!y.is_spikes()) continue;
      const double rate = static_cast<double>(y.spikes().count()) / static_cast<double>(y.shape().size());
      EXPECT_NEAR(rate, static_cast<double>(target), 0.1 * static_cast<double>(target)) << "layer " << i;
    }
  }
}

TEST(RateInitialization, NamesTheLayerThatNoScaleHelps) {
  const Spikes nothing(Shape{3, 4, 60});
  ThreadPool threads(1);
  Sequential net{Linear(60, 8, {.bias = false}), LIF{}};
  EXPECT_EQ(test::error_text([&] { initialize_rates(net, nothing, {}, threads); }),
            "[initialize_rates] a scale of layer 0 must bring its neurons within a factor of 10 of the rate "
            "0.1, got 0");
  EXPECT_EQ(test::error_text([&] { initialize_rates(net, nothing, {.rate = 1}, threads); }),
            "[initialize_rates] rate must be > 0 and < 1, got 1");
}

// `rate` needs the data: the picture's shape alone leaves what was drawn.
TEST(RecipeInitialization, RatesAreThoseOfTheTrainingSet) {
  const Recipe recipe = test::toy_recipe(
      {"network.1.out=64", "network.3.in=64", "initialization.kind=rate", "initialization.rate=0.2"});
  const Split data = test::toy_split();
  Sequential drawn = recipe.build_network(data.train.shape), net = recipe.build_network(data.train);
  const auto bits = [](Sequential& of) { return values_of(*of.parameters().at(0).parameter); };
  Sequential layers = make_network(recipe.network);
  layers.initialize(recipe.training.seed);
  EXPECT_EQ(bits(drawn), bits(layers));
  const TrainerParts parts = recipe.build_parts();
  std::vector<std::uint32_t> samples(data.train.size());
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<std::uint32_t>(i);
  Tape encoder_tape;
  const Signal x = parts.encoder->encode(data.train, samples, recipe.training.steps,
                                         {.seed = recipe.training.seed}, encoder_tape);
  const auto hidden_rate = [&](Sequential& of) {
    Tape tapes[3];
    const Signal y = of[2].forward(of[1].forward(of[0].forward(x, tapes[0]), tapes[1]), tapes[2]);
    return static_cast<double>(y.spikes().count()) / static_cast<double>(y.shape().size());
  };
  EXPECT_NEAR(hidden_rate(net), 0.2, 0.01);
  EXPECT_GT(std::abs(hidden_rate(drawn) - 0.2), 0.02);
}

TEST(RecipeInitialization, IsInTextAndInTheNetwork) {
  const Recipe plain = test::toy_recipe();
  EXPECT_TRUE(std::holds_alternative<DefaultInitialization>(plain.initialization));
  const Recipe recipe = with_settings(
      plain, {"initialization.kind=fluctuation", "initialization.xi=1.5", "initialization.input_rate=0.4"});
  const Recipe again = parse_recipe(to_toml(recipe), "again");
  const auto& own = std::get<FluctuationInitialization>(again.initialization);
  EXPECT_EQ(own.xi, 1.5f);
  EXPECT_EQ(own.input_rate, 0.4f);
  const Shape picture = test::stripes(1, 1).shape;
  Sequential a = recipe.build_network(picture), b = plain.build_network(picture);
  initialize_fluctuations(b, recipe.training.seed, own);
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    EXPECT_EQ(values_of(*a.parameters()[i].parameter), values_of(*b.parameters()[i].parameter));
  }
}

}  // namespace
}  // namespace volley

// Calls that version 0.1.0 answered with memory errors or wrong values, and the value or the Error that is
// right. The letters are those of docs/decisions/random-programs.md.

#include <array>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>
#include <thread>

#include "support.hpp"

namespace volley::test {
namespace {

const std::vector<std::uint32_t> kBoth{0, 1};

// A1
TEST(PublicFaults, LossOfAConstantSignalIsThatOfItsSteps) {
  const Dataset data = pictures({1, 4, 4}, 2, 3);
  Sequential net{Flatten{}, Linear{16, 3}};
  Tape input, tape, of_loss;
  const Signal x = Direct{}.encode(data, kBoth, 8, {}, input);
  const Signal y = net.forward(x, tape);
  Tensor scores;
  const double loss = RateCrossEntropy{}.forward(y, data.labels, scores, of_loss);

  double expected = 0;
  Linear& linear = dynamic_cast<Linear&>(net[1]);
  for (std::size_t n = 0; n < 2; ++n) {
    std::array<double, 3> z{};
    for (std::size_t k = 0; k < 3; ++k) {
      z[k] = static_cast<double>(linear.bias().value.data()[k]);
      for (std::size_t i = 0; i < 16; ++i)
        z[k] += static_cast<double>(linear.weight().value.data()[k * 16 + i]) * data.picture(n)[i] / 255;
    }
    expected += std::log(std::exp(z[0]) + std::exp(z[1]) + std::exp(z[2])) - z[data.labels[n]];
  }
  EXPECT_NEAR(loss, expected / 2, 1e-5);
}

// A2: every layer of neurons checks the shape that comes.
TEST(PublicFaults, PlifOfOtherChannelsIsAShapeError) {
  PLIF plif{{.learn_threshold = true, .channels = 4}};
  const Tensor x = some_values({2, 3, 64});
  Tape tape;
  expect_throws<ShapeError>([&] { plif.forward(x, tape); }, {"[plif]", "4", "(64)"});
  const Tensor fits = some_values({2, 3, 4});
  EXPECT_EQ(plif.forward(fits, tape).shape(), (Shape{2, 3, 4}));
  expect_throws<ShapeError>([&] { plif.backward(tape, x); }, {"[plif]", "(2, 3, 4)", "(2, 3, 64)"});
}

TEST(PublicFaults, NeuronsCheckTheRankOfTheirInput) {
  std::vector<std::unique_ptr<Layer>> layers;
  for_each_type(Neurons{}, [&]<class Options>() { layers.push_back(std::make_unique<Neuron<Options>>()); });
  layers.push_back(std::make_unique<PSN>(PSNOptions{.steps = 3}));
  layers.push_back(std::make_unique<MaskedPSN>(MaskedPSNOptions{.steps = 3}));
  layers.push_back(std::make_unique<SlidingPSN>());
  layers.push_back(std::make_unique<LI>());
  layers.push_back(std::make_unique<SoftLIF>());
  layers.push_back(std::make_unique<Dropout>());
  layers.push_back(std::make_unique<RatePenalty>());
  const Tensor x = some_values({2, 3, 5}), other = some_values({2, 3, 6});
  const Tensor two(Shape{2, 3}), no_steps(Shape{2, 0, 5}), no_features(Shape{2, 3, 0});
  for (const auto& layer : layers) {
    SCOPED_TRACE(layer->kind());
    const std::string name = "[" + std::string(layer->kind()) + "]";
    Tape tape;
    EXPECT_THROW(layer->forward(two, tape), ShapeError);
    expect_throws<ShapeError>([&] { layer->forward(no_steps, tape); }, {name, "(2, 0, 5)"});
    expect_throws<ShapeError>([&] { layer->forward(no_features, tape); }, {name, "(2, 3, 0)"});
    EXPECT_EQ(layer->forward(x, tape).shape(), x.shape());
    expect_throws<ShapeError>([&] { layer->backward(tape, other); }, {name, "(2, 3, 5)", "(2, 3, 6)"});
    EXPECT_EQ(layer->backward(tape, x).shape(), x.shape());
  }
}

TEST(PublicFaults, PsnOfOtherStepsIsAnError) {
  PSN psn{{.steps = 4}};
  const Tensor x = some_values({2, 3, 5});
  Tape tape;
  EXPECT_TRUE(!works_or_throws([&] { psn.forward(x, tape); }, "[psn]"));
}

// A4
TEST(PublicFaults, EveryParameterIsDrawnByItsOwnPath) {
  Sequential net{Sequential{Linear{8, 8}, Linear{8, 8}},
                 Linear{8, 8},
                 Residual{Sequential{Linear{8, 8}}},
                 Residual{Sequential{Linear{8, 8}}, Sequential{Linear{8, 8}}},
                 Recurrent{8},
                 Sequential{Sequential{Sequential{Linear{8, 8}}}},
                 PSN{{.steps = 8}}};
  for (const bool initialized : {false, true}) {
    if (initialized) net.initialize(3);
    std::set<std::vector<float>> weights;
    std::size_t drawn = 0;
    for (const NamedParameter& named : net.parameters()) {
      if (named.parameter->value.shape() != Shape{8, 8}) continue;
      ++drawn;
      EXPECT_TRUE(weights.insert(values_of(named.parameter->value)).second) << named.name;
    }
    EXPECT_EQ(drawn, 9u);
  }
}

TEST(PublicFaults, InitializeIsAFunctionOfTheSeed) {
  Sequential net{Linear{8, 8}, Linear{8, 8}};
  net.initialize(3);
  const std::vector<float> third = tensors_of(net);
  net.initialize(4);
  EXPECT_NE(tensors_of(net), third);
  net.initialize(3);
  EXPECT_EQ(tensors_of(net), third);
}

/// A file that is removed at the end of the test.
struct File {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("volley_public_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
  ~File() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

// A5
TEST(PublicFaults, NestedSequentialIsSavedAndLoaded) {
  Sequential net{Sequential{Linear{4, 6}, Sequential{BatchNorm{6}, LIF{}}},
                 Residual{Sequential{Sequential{Linear{6, 6}}}}};
  net.initialize(7);
  const File file;
  save_network(file.path, net);
  Sequential loaded = load_network(file.path);
  const Tensor x = some_values({2, 3, 4});
  Tape one, two;
  EXPECT_EQ(values_of(loaded.forward(x, one)), values_of(net.forward(x, two)));
  EXPECT_EQ(tensors_of(loaded), tensors_of(net));
}

// A6, E7
TEST(PublicFaults, AUsersLayerGetsPlainValuesBehindDirect) {
  const Dataset data = pictures({1, 2, 3}, 2, 2);
  Tape input, tape;
  const Signal x = Direct{}.encode(data, kBoth, 4, {}, input);
  Sequential net{Flatten{}, Double{}};
  const std::vector<float> y = values_of(net.forward(x, tape));
  ASSERT_EQ(y.size(), 2u * 4 * 6);
  for (std::size_t i = 0; i < y.size(); ++i)
    EXPECT_FLOAT_EQ(y[i], 2 * static_cast<float>(data.pixels[i / 24 * 6 + i % 6]) / 255) << i;
}

TEST(PublicFaults, AUsersLayerGetsPlainValuesBehindConvolutionPoolAndNeuron) {
  const Tensor x = some_values({2, 3, 2, 5, 4});
  const auto doubled = [&](auto make) {
    Sequential alone = make(), with = make();
    alone.initialize(1);
    with.initialize(1);
    with.add(std::make_unique<Double>());
    Tape one, two;
    std::vector<float> expected = values_of(alone.forward(x, one));
    for (float& value : expected) value *= 2;
    EXPECT_EQ(values_of(with.forward(x, two)), expected);
    EXPECT_GT(std::ranges::count_if(expected, [](float v) { return v != 0; }), 0);
    const Tensor dy = some_values(to_tensor(alone.forward(x, one)).shape());
    const Tensor half = tensor_of(dy.shape(), [&](std::size_t i) { return dy.data()[i] / 2; });
    EXPECT_EQ(values_of(with.backward(two, half)), values_of(alone.backward(one, dy)));
  };
  doubled([] { return Sequential{Conv2d{2, 3, 3, {.padding = 1}}}; });
  doubled([] { return Sequential{Conv2d{2, 3, 3}, BatchNorm{3}}; });
  doubled([] { return Sequential{AvgPool2d{2}}; });
  doubled([] { return Sequential{Conv2d{2, 3, 3}, IF{{.v_threshold = 0.1f}}, MaxPool2d{2}}; });
  doubled([] { return Sequential{IF{{.v_threshold = 0.1f}}}; });
}

TEST(PublicFaults, AUsersLayerGetsSpikesAsZeroAndOne) {
  const Spikes x = some_spikes({2, 3, 70});
  Sequential net{Double{}};
  Tape tape;
  const std::vector<float> y = values_of(net.forward(x, tape));
  for (std::size_t i = 0; i < y.size(); ++i)
    EXPECT_EQ(y[i], x.fired(i / 210, i / 70 % 3, i % 70) ? 2.0f : 0.0f) << i;
}

TEST(PublicFaults, ValuesOfSpikesAndSpikesOfValuesAreErrors) {
  const Spikes spikes = some_spikes({2, 3, 4});
  const Tensor values = some_values({2, 3, 4});
  expect_throws<ArgumentError>([&] { static_cast<void>(Signal(spikes).values()); }, {"[signal]"});
  expect_throws<ArgumentError>([&] { static_cast<void>(Signal(values).spikes()); }, {"[signal]"});
  expect_throws<ArgumentError>([&] { static_cast<void>(Signal{}.values()); }, {"[signal]"});
  EXPECT_EQ(values_of(Signal(values)), values_of(values));
}

// A7
TEST(PublicFaults, LabelsBeyondAByteAreTrained) {
  Dataset data = pictures({1, 2, 2}, 6, 300);
  for (std::uint32_t& label : data.labels) label += 290;
  Sequential net{Flatten{}, Linear{4, 300}};
  net.initialize(1);
  Trainer trainer(net, Adam{0.2f}, MembraneCrossEntropy{}, Direct{}, {.steps = 1, .batch = 6, .threads = 1});
  EXPECT_EQ(trainer.fit(data, data, 60).epochs.back().test_acc, 1.0);
  EXPECT_EQ(trainer.evaluate(data).predictions, data.labels);
}

// A8
TEST(PublicFaults, ANetworkThatGrowsUnderItsTrainerIsTrainedOrRefused) {
  const Dataset data = pictures({1, 2, 2}, 4, 2);
  Sequential net{Flatten{}, Linear{4, 2}};
  Trainer trainer(net, Adam{0.5f}, MembraneMse{}, Direct{}, {.steps = 4, .batch = 4, .threads = 1});
  trainer.fit(data, data, 1);
  net.add(std::make_unique<Linear>(2, 2));
  const std::vector<float> before = tensors_of(net);
  const bool trained = works_or_throws([&] { trainer.fit(data, data, 1); }, "[");
  EXPECT_EQ(tensors_of(net) != before, trained);
}

// A9
TEST(PublicFaults, NullPartsAreArgumentErrors) {
  Sequential net{Flatten{}, Linear{4, 2}, LIF{}};
  expect_throws<ArgumentError>([&] { net.add(nullptr); }, {"[sequential]", "null"});
  EXPECT_EQ(net.size(), 3u);
  expect_throws<ArgumentError>([&] { static_cast<void>(net[7].kind()); }, {"[sequential]", "3", "7"});
  const Sequential& constant = net;
  expect_throws<ArgumentError>([&] { static_cast<void>(constant[3].kind()); }, {"[sequential]", "3"});
  expect_throws<ArgumentError>([&] { Residual(std::unique_ptr<Sequential>{}, nullptr); },
                               {"[residual]", "branch"});
  expect_throws<ArgumentError>(
      [&] {
        Sgd{}.step({{"weight", nullptr}}, ThreadPool::shared());
      },
      {"[sgd]", "weight"});
}

// E6
TEST(PublicFaults, ASurrogateOfTheUserIsRefusedWhenSavedOrLoaded) {
  const auto triangle = CustomSurrogate::of([](float* g, const float* x, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = std::max(0.0f, 1 - std::abs(x[i]));
  });
  Sequential net{Linear{4, 2}, LIF{{.surrogate = triangle}}};
  const File file;
  if (works_or_throws([&] { save_network(file.path, net); }, "surrogate")) {
    Sequential loaded = load_network(file.path);
    EXPECT_EQ(tensors_of(loaded), tensors_of(net));
  } else {
    EXPECT_FALSE(std::filesystem::exists(file.path));
  }
}

TEST(PublicFaults, ALayerOfTheUserIsRefusedWhenSaved) {
  Sequential net{Linear{4, 2}, Double{}};
  const File file;
  EXPECT_FALSE(works_or_throws([&] { save_network(file.path, net); }, "double"));
  EXPECT_FALSE(std::filesystem::exists(file.path));
}

}  // namespace
}  // namespace volley::test

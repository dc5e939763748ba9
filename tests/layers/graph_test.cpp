#include <volley/graph.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <volley/layers.hpp>
#include <volley/neuron.hpp>
#include <volley/pool.hpp>
#include <volley/recurrent.hpp>
#include <volley/residual.hpp>
#include <volley/state.hpp>

#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;

template <class L, class... Arguments>
std::shared_ptr<L> make(Arguments&&... arguments) {
  return std::make_shared<L>(std::forward<Arguments>(arguments)...);
}

/// A linear layer whose weights are eighths: sums of few of them are exact, whatever their order.
std::shared_ptr<Linear> eighths(std::size_t in, std::size_t out, std::uint32_t seed) {
  auto linear = make<Linear>(in, out, LinearOptions{.bias = false});
  const Tensor drawn = test::random_tensor({out, in}, seed, -8, 8);
  float* const weight = linear->weight().value.data();
  for (std::size_t i = 0; i < drawn.size(); ++i) weight[i] = std::round(drawn.data()[i]) / 8;
  return linear;
}

void expect_equal(const Tensor& result, const Tensor& expected, const std::string& what = "") {
  ASSERT_EQ(result.shape(), expected.shape()) << what;
  for (std::size_t i = 0; i < result.size(); ++i)
    EXPECT_EQ(result.data()[i], expected.data()[i]) << what << " " << i;
}

// Two neurons' layers, the second of which comes back to the first a step later.
Graph feedback_over_two_layers() {
  Graph net;
  net.add(eighths(5, 7, 1), {.name = "in"});
  net.add(eighths(4, 7, 2), {.name = "back", .inputs = {"second@1"}});
  net.add(make<LIF>(LIFOptions{.v_threshold = 0.5f}), {.name = "first", .inputs = {"in", "back"}});
  net.add(eighths(7, 4, 3));
  net.add(make<LIF>(LIFOptions{.v_threshold = 0.3f}), {.name = "second"});
  net.add(eighths(4, 3, 4));
  return net;
}

// The value of a sum of y and its gradient, by a function of x.
double weighted_sum(Graph& net, const Tensor& x, const Tensor& weights) {
  Tape tape;
  const Tensor y = to_tensor(net.forward(x, tape));
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    sum += static_cast<double>(y.data()[i]) * static_cast<double>(weights.data()[i]);
  return sum;
}

void expect_gradient_by_differences(Graph net, const Shape& shape) {
  Tensor x = test::random_tensor(shape, 5, -1, 1);
  Tape tape;
  const Tensor y = to_tensor(net.forward(x, tape));
  const Tensor dy = test::random_tensor(y.shape(), 6, -1, 1);
  const Tensor dx = to_tensor(net.backward(tape, dy));
  for (std::size_t i = 0; i < x.size(); ++i) {
    constexpr float kStep = 1.0f / 64;
    const float before = x.data()[i];
    x.data()[i] = before + kStep;
    const double above = weighted_sum(net, x, dy);
    x.data()[i] = before - kStep;
    const double below = weighted_sum(net, x, dy);
    x.data()[i] = before;
    EXPECT_NEAR(static_cast<double>(dx.data()[i]), (above - below) / (2 * static_cast<double>(kStep)), 2e-3)
        << i;
  }
}

class GraphJoins : public testing::TestWithParam<Connect> {};

TEST_P(GraphJoins, HaveTheGradientOfTheirSums) {
  Graph net;
  const std::size_t inputs = GetParam() == Connect::IAND ? 2 : 3;
  std::vector<std::string> names{"a", "b", "c"};
  for (std::size_t k = 0; k < 3; ++k) {
    net.add(eighths(4, 3, static_cast<std::uint32_t>(k + 1)), {.name = names[k], .inputs = {"input"}});
  }
  names.resize(inputs);
  net.add(make<Identity>(), {.name = "joined", .inputs = names, .join = GetParam()});
  net.add(eighths(GetParam() == Connect::CONCATENATE ? 9 : 3, 2, 9));
  expect_gradient_by_differences(std::move(net), {2, 3, 4});
}

TEST_P(GraphJoins, OfEarlierStepsToo) {
  Graph net;
  net.add(eighths(4, 3, 1), {.name = "a", .inputs = {"input@2"}});
  net.add(eighths(4, 3, 2), {.name = "b", .inputs = {"input"}});
  net.add(make<Identity>(), {.name = "joined", .inputs = {"a@1", "b"}, .join = GetParam()});
  net.add(eighths(GetParam() == Connect::CONCATENATE ? 6 : 3, 2, 9), {.inputs = {"joined"}});
  expect_gradient_by_differences(std::move(net), {2, 5, 4});
}

/// Of joins that keep the features: what comes back cannot have more of them than itself.
class GraphLoops : public testing::TestWithParam<Connect> {};

TEST_P(GraphLoops, HaveTheGradientOfTheirSums) {
  Graph net;
  net.add(eighths(4, 3, 1));
  net.add(make<Identity>(), {.name = "joined", .inputs = {"0", "back@1"}, .join = GetParam()});
  net.add(eighths(3, 3, 2), {.name = "back"});
  net.add(eighths(3, 2, 9));
  expect_gradient_by_differences(std::move(net), {2, 4, 4});
}

INSTANTIATE_TEST_SUITE_P(All, GraphJoins,
                         testing::Values(Connect::ADD, Connect::AND, Connect::IAND, Connect::CONCATENATE,
                                         Connect::MEAN, Connect::PRODUCT));

INSTANTIATE_TEST_SUITE_P(All, GraphLoops,
                         testing::Values(Connect::ADD, Connect::AND, Connect::IAND, Connect::MEAN,
                                         Connect::PRODUCT));

TEST(Graph, JoinsByTheirNames) {
  const auto join = [](Connect how, std::vector<std::string> inputs) {
    Graph net;
    net.add(make<Slice>(SliceOptions{.first = 0, .shape = {2}}), {.name = "a", .inputs = {"input"}});
    net.add(make<Slice>(SliceOptions{.first = 2, .shape = {2}}), {.name = "b", .inputs = {"input"}});
    net.add(make<Slice>(SliceOptions{.first = 4, .shape = {2}}), {.name = "c", .inputs = {"input"}});
    net.add(make<Identity>(), {.inputs = std::move(inputs), .join = how});
    Tape tape;
    Tensor x({1, 1, 6});
    for (std::size_t i = 0; i < 6; ++i) x.data()[i] = static_cast<float>(i + 1);
    const Tensor y = to_tensor(net.forward(x, tape));
    return std::vector<float>(y.values().begin(), y.values().end());
  };
  using Values = std::vector<float>;
  EXPECT_EQ(join(Connect::ADD, {"a", "b", "c"}), (Values{9, 12}));
  EXPECT_EQ(join(Connect::MEAN, {"a", "b"}), (Values{2, 3}));
  EXPECT_EQ(join(Connect::AND, {"a", "b", "c"}), (Values{15, 48}));
  EXPECT_EQ(join(Connect::PRODUCT, {"b", "c"}), (Values{15, 24}));
  EXPECT_EQ(join(Connect::IAND, {"a", "c"}), (Values{0, -6}));
  EXPECT_EQ(join(Connect::CONCATENATE, {"c", "a"}), (Values{5, 6, 1, 2}));
}

/// Spikes stay spikes where they can, and are those of the real values.
TEST(Graph, JoinsSpikesAsTheirValues) {
  for (const std::size_t F : {3u, 64u, 70u, 130u}) {
    const Shape shape{3, 5, 2 * F + 1};
    const Spikes x = Spikes::from_bytes(shape, test::Random(7).spikes<std::uint8_t>(shape.size(), 0.4));
    for (const Connect how : {Connect::AND, Connect::IAND, Connect::CONCATENATE, Connect::PRODUCT}) {
      Graph net;
      net.add(make<Slice>(SliceOptions{.first = 1, .shape = {F}}), {.name = "a", .inputs = {"input"}});
      net.add(make<Slice>(SliceOptions{.first = F + 1, .shape = {F}}), {.name = "b", .inputs = {"input"}});
      net.add(make<Identity>(), {.inputs = {"a", "b@1"}, .join = how});
      Tape tape, real_tape;
      const Signal y = net.forward(x, tape);
      EXPECT_EQ(y.is_spikes(), how != Connect::PRODUCT);
      const Tensor values = to_tensor(Signal(x));
      expect_equal(to_tensor(y), to_tensor(net.forward(values, real_tape)));
    }
  }
}

TEST(Graph, AnEarlierStepIsZeroBeforeTheFirst) {
  Graph net;
  net.add(make<Identity>(), {.inputs = {"input@2"}});
  const Tensor x = test::random_tensor({2, 4, 3}, 1, -1, 1);
  Tape tape;
  const Tensor y = to_tensor(net.forward(x, tape));
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t t = 0; t < 4; ++t) {
      for (std::size_t f = 0; f < 3; ++f) {
        EXPECT_EQ(y.data()[(n * 4 + t) * 3 + f], t < 2 ? 0 : x.data()[(n * 4 + t - 2) * 3 + f]);
      }
    }
  }
}

/// A loop of a linear layer and neurons is what Recurrent computes.
TEST(Graph, ALoopIsARecurrentLayer) {
  constexpr std::size_t kF = 6;
  const LIFOptions options{.tau = 1.5f, .v_threshold = 0.4f};
  Graph net;
  const auto back = eighths(kF, kF, 2);
  net.add(back, {.name = "back", .inputs = {"lif@1"}});
  net.add(make<LIF>(options), {.name = "lif", .inputs = {"input", "back"}});
  Recurrent recurrent(kF, {.neuron = options});
  recurrent.weight().value = back->weight().value;
  Tensor x = test::random_tensor({3, 9, kF}, 4, -1, 2);
  for (float& value : x.values()) value = std::round(value * 8) / 8;
  Tape tape, expected_tape;
  expect_equal(to_tensor(net.forward(x, tape)), to_tensor(recurrent.forward(x, expected_tape)));
  const Tensor dy = test::random_tensor({3, 9, kF}, 5, -1, 1);
  zero_gradients(net.parameters());
  zero_gradients(recurrent.parameters());
  const Tensor dx = to_tensor(net.backward(tape, dy)),
               expected = to_tensor(recurrent.backward(expected_tape, dy));
  for (std::size_t i = 0; i < dx.size(); ++i) EXPECT_NEAR(dx.data()[i], expected.data()[i], 1e-5) << i;
  const Tensor& dw = back->weight().gradient;
  for (std::size_t i = 0; i < dw.size(); ++i)
    EXPECT_NEAR(dw.data()[i], recurrent.weight().gradient.data()[i], 1e-4) << i;
}

/// Steps cut in any way, carried by a state, have the bits of one pass, forward and backward.
TEST(Graph, ChunksHaveTheBitsOfTheWhole) {
  constexpr std::size_t kN = 3, kT = 8, kF = 5;
  const auto delayed = [] {
    Graph net;
    net.add(eighths(kF, 4, 1), {.name = "a"});
    net.add(make<LIF>(LIFOptions{.v_threshold = 0.3f}), {.name = "lif"});
    net.add(eighths(8, 3, 2), {.inputs = {"lif@3", "lif"}, .join = Connect::CONCATENATE});
    return net;
  };
  for (const bool loop : {true, false}) {
    Graph net = loop ? feedback_over_two_layers() : delayed();
    const Tensor x = test::random_tensor({kN, kT, kF}, 4, -1, 2);
    Tape tape;
    const Tensor whole = to_tensor(net.forward(x, tape));
    const Tensor dy = test::random_tensor(whole.shape(), 5, -1, 1);
    const Tensor dx = to_tensor(net.backward(tape, dy));
    for (const std::vector<std::size_t>& cuts :
         {std::vector<std::size_t>{8}, {3, 5}, {1, 1, 1, 1, 1, 1, 1, 1}}) {
      const auto part = [&](const Tensor& of, std::size_t at, std::size_t steps) {
        const std::size_t F = of.shape()[2];
        Tensor cut({kN, steps, F});
        for (std::size_t n = 0; n < kN; ++n)
          std::copy_n(of.data() + (n * kT + at) * F, steps * F, cut.data() + n * steps * F);
        return cut;
      };
      State state;
      std::vector<std::unique_ptr<Tape>> tapes;
      std::vector<Tensor> xs;
      xs.reserve(cuts.size());
      std::size_t at = 0;
      for (const std::size_t steps : cuts) {
        xs.push_back(part(x, at, steps));
        tapes.push_back(std::make_unique<Tape>());
        expect_equal(to_tensor(net.forward(xs.back(), *tapes.back(), &state)), part(whole, at, steps));
        at += steps;
      }
      for (std::size_t c = cuts.size(); c-- > 0;) {
        at -= cuts[c];
        const Tensor of_chunk = part(dy, at, cuts[c]);
        expect_equal(to_tensor(net.backward(*tapes[c], of_chunk, &state)), part(dx, at, cuts[c]),
                     loop ? "loop" : "delay");
      }
    }
  }
}

TEST(Graph, WhatIsReadTwiceHasTheGradientOfBoth) {
  Graph net;
  net.add(eighths(3, 3, 1), {.name = "a"});
  net.add(make<Identity>(), {.name = "b"});
  net.add(make<Identity>(), {.inputs = {"a", "b", "input", "a"}});
  expect_gradient_by_differences(std::move(net), {2, 2, 3});
}

TEST(Graph, TheOutputMayBeReadWithin) {
  Graph net;
  net.add(eighths(3, 3, 1));
  net.add(eighths(3, 3, 2), {.name = "out", .inputs = {"0", "out@2"}});
  expect_gradient_by_differences(std::move(net), {2, 5, 3});
}

TEST(Graph, LayersInALoopAreTraced) {
  Graph net = feedback_over_two_layers();
  Tape tape;
  const Tensor x = test::random_tensor({2, 6, 5}, 4, -1, 2);
  net.forward(x, tape);
  ASSERT_EQ(tape.children().size(), 6u);
  EXPECT_EQ(tape.children()[2].trace().y.shape(), (Shape{2, 6, 7}));
  EXPECT_TRUE(tape.children()[2].trace().y.is_spikes());
  EXPECT_EQ(tape.children()[3].trace().x.shape(), (Shape{2, 6, 7}));
  // The potentials of each step, put together: where they reach the threshold, there is a spike.
  const std::optional<Membrane> membrane = net[2].membrane(tape.children()[2]);
  ASSERT_TRUE(membrane.has_value());
  const Tensor spikes = to_tensor(tape.children()[2].trace().y);
  ASSERT_EQ(membrane->h.shape(), spikes.shape());
  for (std::size_t i = 0; i < spikes.size(); ++i)
    EXPECT_EQ(membrane->h.data()[i] >= membrane->threshold.data()[i], spikes.data()[i] == 1) << i;
}

TEST(Graph, NamesOfParametersAreThoseOfNodes) {
  Graph net = feedback_over_two_layers();
  std::vector<std::string> names;
  for (const NamedParameter& p : net.parameters()) names.push_back(p.name);
  EXPECT_EQ(names, (std::vector<std::string>{"in.weight", "back.weight", "3.weight", "5.weight"}));
  EXPECT_EQ(net.name_of(3), "3");
  EXPECT_EQ(net.node(1).inputs, std::vector<std::string>{"second@1"});
  EXPECT_EQ(net.edges(0), (std::vector<GraphEdge>{{.from = 0, .delay = 0}}));
  EXPECT_EQ(net.edges(1), (std::vector<GraphEdge>{{.from = 5, .delay = 1}}));
  EXPECT_EQ(net.edges(2), (std::vector<GraphEdge>{{.from = 1, .delay = 0}, {.from = 2, .delay = 0}}));
}

TEST(Graph, ACopyComputesTheSame) {
  Graph net = feedback_over_two_layers();
  Graph copy = net;
  const Tensor x = test::random_tensor({2, 6, 5}, 4, -1, 2);
  Tape tape, other;
  expect_equal(to_tensor(copy.forward(x, tape)), to_tensor(net.forward(x, other)));
  EXPECT_NE(&copy[0], &net[0]);
}

TEST(Graph, RefusesWhatDoesNotGoTogether) {
  const auto add = [](NodeOptions options) {
    return error_text([&] {
      Graph net;
      net.add(make<Identity>(), {.name = "a"});
      net.add(make<Identity>(), std::move(options));
    });
  };
  EXPECT_EQ(add({.name = "a"}), "[sequential] a name must be that of one layer, got 'a' a second time");
  EXPECT_EQ(add({.name = "12"}),
            "[sequential] a name must be of letters, digits, _ and -, no number and not 'input', got '12'");
  expect_has(add({.name = "a.b"}), "'a.b'");
  expect_has(add({.name = "input"}), "'input'");
  EXPECT_EQ(add({.inputs = {"a@"}}),
            "[sequential] an input must be NAME or NAME@STEPS, at most 65536 steps, got 'a@'");
  expect_has(add({.inputs = {"a@-1"}}), "'a@-1'");
  expect_has(add({.inputs = {"a@99999999999999999999"}}), "NAME@STEPS");
  EXPECT_EQ(add({.name = "b", .inputs = {"b"}}),
            "[sequential] layer 'b' must read a layer that comes before it, or an earlier step, got 'b'; "
            "'b@1' is its "
            "last step");
  EXPECT_EQ(add({.inputs = {"a"}, .join = Connect::IAND}), "[sequential] IAND must join two inputs, got 1");

  Graph net;
  net.add(make<Identity>(), {.name = "first"});
  net.add(make<Identity>(), {.inputs = {"fisrt"}});
  EXPECT_EQ(error_text([&] { static_cast<void>(net.output_shape({3})); }),
            "[sequential] inputs of layer '1' must be names of layers, or 'input', got 'fisrt'; did you mean "
            "'first'?");
  Graph shapes;
  shapes.add(make<Slice>(SliceOptions{.first = 0, .shape = {2}}), {.name = "two"});
  shapes.add(make<Identity>(), {.inputs = {"two", "input"}});
  EXPECT_EQ(error_text([&] { static_cast<void>(shapes.output_shape({3})); }),
            "[sequential] inputs of layer '1' must have the features (2), as 'two' has, got (3)");
  Graph alone;
  alone.add(make<Identity>(), {.name = "a", .inputs = {"a@1"}});
  EXPECT_EQ(
      error_text([&] { static_cast<void>(alone.output_shape({3})); }),
      "[sequential] layer 'a' must read what does not come of it alone, got a loop that nothing enters");
}

/// Counts how often it is asked for its shape.
class Asked final : public Layer {
 public:
  explicit Asked(std::size_t& times) : times_(&times) {}
  std::string_view kind() const override { return "asked"; }
  Shape output_shape(const Shape& features) const override {
    ++*times_;
    return features;
  }

 private:
  Signal do_forward(const Signal& x, Tape&) const override { return x; }
  Signal do_backward(Tape&, const Signal& dy) override { return dy; }

  std::size_t* times_;
};

/// Blocks within blocks ask each layer once, and not twice as often for each block around it.
TEST(Graph, ALayerDeepInBlocksIsAskedForItsShapeOnce) {
  std::size_t times = 0;
  Sequential net{Asked(times)};
  for (std::size_t depth = 0; depth < 20; ++depth) {
    Sequential around;
    around.add(make<Residual>(std::move(net)));
    net = std::move(around);
  }
  EXPECT_EQ(net.output_shape({3}), Shape{3});
  EXPECT_EQ(times, 1u);
}

/// What was refused has changed nothing.
TEST(Graph, ANodeThatIsRefusedIsNotThere) {
  Graph net;
  net.add(make<Identity>(), {.name = "a"});
  EXPECT_THROW(net.add(make<Identity>(), {.name = "b", .inputs = {"b"}}), ArgumentError);
  EXPECT_EQ(net.size(), 1u);
  net.add(make<Identity>(), {.name = "b", .inputs = {"a"}});
  EXPECT_EQ(net.output_shape({3}), Shape{3});
}

}  // namespace
}  // namespace volley

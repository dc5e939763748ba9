// A network passes samples from layer to layer where it can, through no memory in between: the same bits as
// layer by layer.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include <volley/volley.hpp>

#include "layers/layer_access.hpp"
#include "layers/picture_layers.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

constexpr std::size_t kN = 5, kT = 3;

struct Result {
  std::vector<float> y, dx, state;
  std::size_t y_sources = 0, dx_sources = 0;  // layers whose y or dx was not in memory
};

/// What a pass has changed: gradients and buffers.
std::vector<float> state_of(Sequential& net) {
  std::vector<float> state;
  const auto append = [&](std::span<const float> values) {
    state.insert(state.end(), values.begin(), values.end());
  };
  for (const NamedParameter& p : net.parameters()) append(p.parameter->gradient.values());
  for (const NamedTensor& b : net.buffers()) append(b.tensor->values());
  return state;
}

void begin(Sequential& net, Tape& tape, bool training) {
  net.initialize(3);
  zero_gradients(net.parameters());
  tape.set_context({.training = training, .draw = {.seed = 1}});
}

/// A pass and its backward, each layer on a tape of its own: none knows which comes next, unless it is told
/// that samples may pass, as the network tells it.
Result layer_by_layer(Sequential& net, const Signal& x, bool training, bool by_sample) {
  ThreadPool pool(1);
  Result result;
  std::vector<std::unique_ptr<Tape>> tapes;
  Signal y = x;
  for (std::size_t i = 0; i < net.size(); ++i) {
    tapes.push_back(std::make_unique<Tape>(pool));
    begin(net, *tapes[i], training);
    TapeAccess::offer_y_by_sample(
        *tapes[i], by_sample && i + 1 < net.size() && LayerAccess::reads_input_by_sample(net[i + 1]));
    y = net[i].forward(y, *tapes[i]);
    result.y_sources += source_of(y) != nullptr;
  }
  SignalMemory memory;
  const Tensor dy = test::random_tensor(y.shape(), 2);
  Signal dx = in_form_of(y, dy, memory, pool);
  for (std::size_t i = net.size(); i-- > 0;) {
    TapeAccess::offer_dx_by_sample(*tapes[i],
                                   by_sample && i > 0 && LayerAccess::reads_gradient_by_sample(net[i - 1]));
    dx = net[i].backward(*tapes[i], dx);
    result.dx_sources += source_of(dx) != nullptr;
  }
  result.y = test::plain_values(y);
  result.dx = test::plain_values(dx);
  result.state = state_of(net);
  return result;
}

/// The same of the network.
Result whole(Sequential& net, const Signal& x, bool training, std::size_t threads) {
  ThreadPool pool(threads);
  Tape tape(pool);
  Result result;
  for (int pass = 0; pass < 2; ++pass) {  // the second on a used tape
    begin(net, tape, training);
    const Signal y = net.forward(x, tape);
    result = {};
    for (const Tape& child : tape.children()) result.y_sources += source_of(child.trace().y) != nullptr;
    SignalMemory memory;
    const Tensor dy = test::random_tensor(y.shape(), 2);
    const Signal dx = net.backward(tape, in_form_of(y, dy, memory, pool));
    result.y = test::plain_values(y);
    result.dx = test::plain_values(dx);
    result.state = state_of(net);
  }
  return result;
}

struct Case {
  std::string name;
  std::function<Sequential()> build;
  Shape features;
  std::size_t y_sources, dx_sources;  // when samples may pass
};

std::vector<Case> cases() {
  const Shape picture{2, 6, 5};
  const IFOptions low{.v_threshold = 0.2f};
  return {
      {"normalised pictures and a pool",
       [=] {
         return Sequential{Conv2d(2, 19, 3, {.padding = 1}),
                           BatchNorm(19),
                           IF{low},
                           MaxPool2d(2),
                           Conv2d(19, 17, 3, {.padding = 1}),
                           BatchNorm(17),
                           LIF{{.v_threshold = 0.2f}}};
       },
       picture, 4, 5},
      {"no norm between: what is read once is kept",
       [=] {
         return Sequential{Conv2d(2, 5, 3, {.padding = 1}), IF{low}, MaxPool2d(2)};
       },
       picture, 1, 2},
      {"numbers that are learned",
       [=] {
         return Sequential{Conv2d(2, 5, 3, {.padding = 1}), BatchNorm(5), PLIF{{.v_threshold = 0.2f}},
                           MaxPool2d(2)};
       },
       picture, 2, 2},
      {"numbers for each channel",
       [=] {
         return Sequential{Conv2d(2, 5, 3, {.padding = 1}), BatchNorm(5), PLIF{{.channels = 5}}};
       },
       picture, 2, 1},
      {"numbers for each neuron, after a norm",
       [=] {
         return Sequential{Conv2d(2, 5, 3, {.padding = 1}), BatchNorm(5), PLIF{{.channels = 150}}};
       },
       picture, 2, 1},
      {"numbers for each neuron, after a convolution",
       [=] {
         return Sequential{Conv2d(2, 5, 3, {.padding = 1}), PLIF{{.channels = 150}}};
       },
       picture, 1, 0},
      {"two norms, the first of pictures that lie in rows",
       [=] {
         return Sequential{BatchNorm(2), BatchNorm(2), IF{low}, Conv2d(2, 5, 2)};
       },
       picture, 2, 2},
      {"features",
       [=] {
         return Sequential{Linear(7, 70), BatchNorm(70), IF{low}, Linear(70, 3)};
       },
       Shape{7}, 1, 2},
      {"more weights than the cache holds",
       [=] {
         return Sequential{Linear(7, 70), IF{low}, Linear(70, 300)};
       },
       Shape{7}, 0, 0},
      {"one dimension",
       [=] {
         return Sequential{Conv1d(2, 19, 3, {.padding = 1}),         BatchNorm(19), IF{low},
                           ConvTranspose1d(19, 5, 2, {.stride = 2}), BatchNorm(5),  PLIF{{.channels = 5}}};
       },
       Shape{2, 13}, 4, 3},
      {"transposed, and a norm of each step",
       [=] {
         return Sequential{ConvTranspose2d(2, 6, 2, {.stride = 2}),
                           BatchNorm(6),
                           IF{low},
                           ConvTranspose2d(6, 4, 3),
                           GroupNorm(2, 4),
                           IF{low}};
       },
       picture, 2, 2},
      {"tdBN",
       [=] {
         return Sequential{Conv2d(2, 5, 2), ThresholdDependentBatchNorm(5, {}), IF{low}};
       },
       picture, 2, 2},
  };
}

TEST(BySample, TheSameBitsAsLayerByLayer) {
  for (const Case& c : cases()) {
    for (const bool training : {true, false}) {
      for (const std::size_t stored : {kT, std::size_t{1}}) {
        const std::string text = c.name + (training ? ", training" : "") + (stored == 1 ? ", constant" : "");
        const Tensor values = test::random_tensor(c.features.after({kN, stored}), 1);
        const Signal x(values, c.features.after({kN, kT}));
        Sequential net = c.build();
        const Result expected = layer_by_layer(net, x, training, false);
        EXPECT_EQ(expected.y_sources + expected.dx_sources, 0u) << text;
        const Result told = layer_by_layer(net, x, training, true);
        EXPECT_EQ(told.y_sources, c.y_sources) << text;
        EXPECT_EQ(told.dx_sources, c.dx_sources) << text;
        EXPECT_EQ(told.y, expected.y) << text;
        EXPECT_EQ(told.dx, expected.dx) << text;
        EXPECT_EQ(told.state, expected.state) << text;
        for (const std::size_t threads : {1, 3}) {
          const Result got = whole(net, x, training, threads);
          EXPECT_EQ(got.y_sources, c.y_sources) << text;
          EXPECT_EQ(got.y, expected.y) << text;
          EXPECT_EQ(got.dx, expected.dx) << text;
          EXPECT_EQ(got.state, expected.state) << text;
        }
      }
    }
  }
}

// A convolution takes dy a block of samples at a time, the larger the more threads there are.
TEST(BySample, BlocksChangeNoResult) {
  const Shape features{1, 16, 16};
  const std::size_t samples = 70;  // three blocks of 32 on one thread, one on nine
  const Tensor x = test::random_tensor(features.after({samples, 4}), 1);
  const auto build = [] {
    return Sequential{Conv2d(1, 32, 3, {.padding = 1}),
                      BatchNorm(32),
                      IF{},
                      MaxPool2d(2),
                      Conv2d(32, 16, 3, {.stride = 2}),
                      Conv2d(16, 130, 3, {.padding = 1})};
  };
  Sequential one = build(), nine = build();
  const Result expected = whole(one, x, true, 1);
  const Result got = whole(nine, x, true, 9);
  EXPECT_EQ(got.y, expected.y);
  EXPECT_EQ(got.dx, expected.dx);
  EXPECT_EQ(got.state, expected.state);
}

}  // namespace
}  // namespace volley

// Tapes and passes in unusual orders; layers that are moved, copied and destroyed between calls.

#include <deque>
#include <stdexcept>

#include "support.hpp"

namespace volley::test {
namespace {

Sequential small_net() {
  Sequential net{Linear{4, 6}, LIF{}, Linear{6, 3}};
  net.initialize(1);
  return net;
}

TEST(PublicPasses, BackwardBeforeForwardIsAnArgumentError) {
  Sequential net = small_net();
  const Tensor dy = some_values({2, 3, 3});
  Tape tape;
  expect_throws<ArgumentError>([&] { net.backward(tape, dy); }, {"[sequential]", "backward", "forward"});
  Linear linear(4, 3);
  expect_throws<ArgumentError>([&] { linear.backward(tape, dy); }, {"[linear]", "backward", "forward"});
  for (const NamedParameter& named : net.parameters())
    for (const float g : named.parameter->gradient.values()) EXPECT_EQ(g, 0);
}

TEST(PublicPasses, BackwardOnTheTapeOfAnotherLayerIsAnArgumentError) {
  Sequential a = small_net(), b = small_net();
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
  Tape tape;
  a.forward(x, tape);
  expect_throws<ArgumentError>([&] { b.backward(tape, dy); }, {"[sequential]", "another layer"});
  EXPECT_NO_THROW(a.backward(tape, dy));
  b.forward(x, tape);
  expect_throws<ArgumentError>([&] { a.backward(tape, dy); }, {"[sequential]", "another layer"});
}

TEST(PublicPasses, BackwardTwiceAddsTheGradientTwice) {
  for (const bool last_spikes : {false, true}) {
    Sequential net = small_net();
    if (last_spikes) net.add(std::make_unique<LIF>());
    const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
    Tape tape;
    net.forward(x, tape);
    const std::vector<float> dx = values_of(net.backward(tape, dy));
    const std::vector<float> once = values_of(net.parameters()[0].parameter->gradient);
    EXPECT_EQ(values_of(net.backward(tape, dy)), dx);
    const std::vector<float> twice = values_of(net.parameters()[0].parameter->gradient);
    for (std::size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(twice[i], 2 * once[i], 1e-5f) << i;
  }
}

TEST(PublicPasses, DyOfAnotherShapeOrKindIsRefused) {
  Sequential net = small_net();
  const Tensor x = some_values({2, 3, 4});
  Tape tape;
  net.forward(x, tape);
  for (const Shape& shape :
       {Shape{2, 3, 4}, Shape{2, 3, 2}, Shape{1, 3, 3}, Shape{3, 3, 3}, Shape{2, 2, 3}, Shape{2, 3, 3, 1}}) {
    const Tensor dy = some_values(shape);
    expect_throws<ShapeError>([&] { net.backward(tape, dy); }, {"[sequential]", "(2, 3, 3)", shape.text()});
  }
  expect_throws<ArgumentError>([&] { net.backward(tape, Signal{}); }, {"[sequential]", "dy", "empty"});
  const Spikes spikes = some_spikes({2, 3, 3});
  expect_throws<ArgumentError>([&] { net.backward(tape, spikes); }, {"[sequential]", "dy", "spikes"});
  const Tensor once = some_values({2, 1, 3});
  works_or_throws([&] { net.backward(tape, Signal(once, {2, 3, 3})); }, "[sequential]");
  const Tensor dy = some_values({2, 3, 3});
  EXPECT_NO_THROW(net.backward(tape, dy));
}

TEST(PublicPasses, DyIsTakenInEveryForm) {
  Conv2d conv(2, 3, 3);
  const Tensor x = some_values({2, 3, 2, 5, 4});
  Tape tape;
  const Signal y = conv.forward(x, tape);
  const Shape shape = y.shape();
  EXPECT_EQ(y.layout(), Layout::channels_last);
  const Tensor plain = some_values(shape);
  Tensor last(stored_shape(shape, Layout::channels_last, 3));
  for (std::size_t i = 0; i < last.size(); ++i)
    last.data()[i] = plain.data()[i / 18 * 18 + i % 3 * 6 + i % 18 / 3];
  const std::vector<float> from_plain = values_of(conv.backward(tape, plain));
  const std::vector<float> from_last =
      values_of(conv.backward(tape, Signal(last, shape, Layout::channels_last)));
  EXPECT_EQ(from_plain, from_last);
}

TEST(PublicPasses, ATapeServesOneNetworkAfterAnother) {
  std::deque<Sequential> nets;
  nets.push_back(small_net());
  nets.push_back(Sequential{Conv2d{1, 2, 2}, Flatten{}, Linear{2, 3}});
  nets.push_back(Sequential{});
  nets.push_back(Sequential{Residual{Sequential{Linear{4, 4}}}});
  const std::vector<Shape> shapes{{2, 3, 4}, {3, 2, 1, 2, 2}, {1, 2, 5}, {2, 1, 4}};
  Tape shared;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < nets.size(); ++i) {
      Tape fresh;
      const Tensor x = some_values(shapes[i]);
      const std::vector<float> y = values_of(nets[i].forward(x, fresh));
      EXPECT_EQ(values_of(nets[i].forward(x, shared)), y);
      const Tensor dy = some_values(to_tensor(nets[i].forward(x, shared)).shape());
      EXPECT_EQ(values_of(nets[i].backward(shared, dy)), values_of(nets[i].backward(fresh, dy)));
    }
  }
}

TEST(PublicPasses, SmallerAndLargerBatchesUseOneTape) {
  Sequential net{Conv2d{1, 2, 2}, BatchNorm{2}, LIF{}, MaxPool2d{2}, Flatten{}, Linear{2, 3}, LIF{}};
  Tape tape;
  for (const std::size_t N : {3u, 1u, 5u, 2u}) {
    for (const std::size_t T : {2u, 7u, 1u}) {
      const Tensor x = some_values({N, T, 1, 3, 3});
      Tape fresh;
      EXPECT_EQ(values_of(net.forward(x, tape)), values_of(net.forward(x, fresh)));
      const Tensor dy = some_values({N, T, 3});
      EXPECT_EQ(values_of(net.backward(tape, dy)), values_of(net.backward(fresh, dy)));
    }
  }
}

TEST(PublicPasses, WithoutAnInputGradientBackwardReturnsNothing) {
  Sequential net = small_net();
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
  Tape tape;
  tape.set_needs_input_gradient(false);
  net.forward(x, tape);
  EXPECT_TRUE(net.backward(tape, dy).empty());
  tape.set_needs_input_gradient(true);
  EXPECT_EQ(net.backward(tape, dy).shape(), x.shape());
}

TEST(PublicPasses, AFailedForwardLeavesNoPass) {
  Sequential net{Linear{4, 6}, Linear{5, 3}};
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
  Tape tape;
  expect_throws<ShapeError>([&] { net.forward(x, tape); }, {"layer 1", "[linear]", "(5)", "(6)"});
  expect_throws<ArgumentError>([&] { net.backward(tape, dy); }, {"[sequential]"});
}

TEST(PublicPasses, AMemoryThatChangesItsShapeIsRefused) {
  Linear linear(4, 3);
  Tensor x = some_values({2, 3, 4});
  const Tensor dy = some_values({2, 3, 3});
  const Signal signal(x);
  Tape tape;
  linear.forward(signal, tape);
  x.resize({1, 1, 1});
  expect_throws<ArgumentError>([&] { linear.backward(tape, dy); }, {"[linear]", "memory", "(2, 3, 4)"});
  expect_throws<ArgumentError>([&] { linear.forward(signal, tape); }, {"[linear]", "memory", "(2, 3, 4)"});
}

TEST(PublicPasses, SampleNumbersThatAreTooFewAreRefused) {
  Dropout dropout;
  const Tensor x = some_values({3, 2, 4});
  const std::vector<std::uint32_t> two{5, 0xFFFFFFFFu}, three{5, 6, 0xFFFFFFFFu};
  Tape tape;
  tape.set_context({.training = true, .samples = two});
  expect_throws<ArgumentError>([&] { dropout.forward(x, tape); }, {"2"});
  tape.set_context({.training = true, .samples = three});
  EXPECT_EQ(dropout.forward(x, tape).shape(), x.shape());
}

TEST(PublicPasses, ABatchOfOneValueCannotBeNormalised) {
  BatchNorm norm(2);
  const Tensor x = some_values({1, 1, 2});
  Tape tape;
  tape.set_context({.training = true});
  EXPECT_FALSE(works_or_throws([&] { norm.forward(x, tape); }, "[batch_norm]"));
  EXPECT_EQ(norm.running_mean().data()[0], 0);
}

TEST(PublicPasses, ALayerThatWasMovedFromWorksOrThrows) {
  const Tensor x = some_values({2, 3, 4});
  Linear from(4, 3);
  Tape alone, tape;
  const std::vector<float> expected = values_of(from.forward(x, alone));
  Linear to = std::move(from);
  EXPECT_EQ(values_of(to.forward(x, tape)), expected);
  works_or_throws([&] { from.forward(x, tape); }, "[linear]");
  works_or_throws([&] { from.initialize(1); }, "[linear]");
  works_or_throws([&] { from.clone()->forward(x, tape); }, "[linear]");
  from = Linear(4, 2);
  EXPECT_EQ(from.forward(x, tape).shape(), (Shape{2, 3, 2}));
}

TEST(PublicPasses, EveryLayerThatWasMovedFromWorksOrThrows) {
  const Tensor picture = some_values({2, 3, 2, 5, 4}), vector = some_values({2, 3, 4});
  const auto check = [](auto layer, const Tensor& x) {
    auto to = std::move(layer);
    Tape tape;
    const Shape shape = to.forward(x, tape).shape();
    const Tensor dy = some_values(shape);
    to.backward(tape, dy);
    works_or_throws([&] { layer.backward(tape, dy); }, "[");  // NOLINT: a layer that was moved from
    works_or_throws([&] { layer.forward(x, tape); }, "[");
    works_or_throws([&] { layer.initialize(2); }, "[");
    works_or_throws(
        [&] {
          for (const NamedTensor& named : layer.named_tensors()) EXPECT_NE(named.tensor, nullptr);
        },
        "[");
    layer = to;
    EXPECT_EQ(values_of(layer.forward(x, tape)), values_of(to.forward(x, tape)));
    auto& self = layer;
    layer = self;
    EXPECT_EQ(layer.forward(x, tape).shape(), shape);
  };
  check(Conv2d(2, 3, 3), picture);
  check(BatchNorm(2), picture);
  check(PLIF({.learn_threshold = true, .channels = 4}), vector);
  check(Recurrent(4), vector);
  check(PSN({.steps = 3}), vector);
  check(Residual(Sequential{Linear{4, 4}}), vector);
  check(Sequential{Linear{4, 3}, LIF{}}, vector);
}

TEST(PublicPasses, ALayerThatIsMovedFromAfterItsForwardWorksOrThrows) {
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 4});
  const auto check = [&](auto layer) {
    Tape tape;
    layer.forward(x, tape);
    const auto to = std::move(layer);
    works_or_throws([&] { layer.membrane(tape); }, "[");  // NOLINT: a layer that was moved from
    works_or_throws([&] { layer.backward(tape, dy); }, "[");
  };
  check(PLIF());
  check(GLIF());
  check(PLIF({.channels = 4}));
  check(Recurrent(4, {.neuron = PLIFOptions{}}));
  check(Residual(Sequential{Linear{4, 4}}));
}

TEST(PublicPasses, AMembraneOfParametersOfAnotherShapeIsAShapeError) {
  PLIF layer({.channels = 4});
  Tape tape;
  const Tensor x = some_values({2, 3, 4});
  layer.forward(x, tape);
  layer.parameters()[0].parameter->value = Tensor(Shape{1});
  expect_throws<ShapeError>([&] { layer.membrane(tape); }, {"[plif]"});
}

TEST(PublicPasses, ANormThatWasMovedFromAndFilledAgainTrains) {
  BatchNorm from(3);
  BatchNorm to = std::move(from);
  for (std::size_t i = 0; i < to.named_tensors().size(); ++i)
    *from.named_tensors()[i].tensor = *to.named_tensors()[i].tensor;  // NOLINT: it is filled again
  from.weight() = to.weight();
  from.bias() = to.bias();
  Tape tape;
  tape.set_context({.training = true});
  const Tensor x = some_values({2, 3, 3}), dy = some_values({2, 3, 3});
  from.forward(x, tape);
  from.backward(tape, dy);
  EXPECT_EQ(from.named_tensors().back().tensor->data()[0], 1);  // num_batches_tracked
}

/// A shorter network on the tape of a longer one: what that ran is not looked at.
TEST(PublicPasses, AMonitorSeesTheLastNetworkAlone) {
  const Tensor x = some_values({2, 3, 4});
  Tape tape;
  {
    const Sequential longer{Linear{4, 6}, LIF{}, Sequential{Linear{6, 3}, LIF{}}};
    longer.forward(x, tape);
  }
  const Sequential shorter{Linear{4, 2}};
  shorter.forward(x, tape);
  Monitor monitor;
  monitor.look(tape);
  ASSERT_EQ(monitor.activity().size(), 1u);
  EXPECT_EQ(monitor.activity()[0].layer, "0");
}

TEST(PublicPasses, AMovedNetworkTakesItsPassAlongOrRefuses) {
  Sequential net = small_net();
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
  Tape tape;
  net.forward(x, tape);
  Sequential moved = std::move(net);
  works_or_throws([&] { moved.backward(tape, dy); }, "[sequential]");
  works_or_throws([&] { net.backward(tape, dy); }, "[sequential]");
  moved.forward(x, tape);
  EXPECT_EQ(moved.backward(tape, dy).shape(), x.shape());
}

TEST(PublicPasses, ATapeOutlivesItsNetwork) {
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
  Tape tape;
  {
    Sequential net = small_net();
    net.forward(x, tape);
  }
  Sequential other = small_net();
  expect_throws<ArgumentError>([&] { other.backward(tape, dy); }, {"[sequential]"});
  other.forward(x, tape);
  EXPECT_EQ(other.backward(tape, dy).shape(), x.shape());
}

TEST(PublicPasses, ANetworkThatGrowsAfterForwardRefusesBackwardOrWorks) {
  Sequential net = small_net();
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 3});
  Tape tape;
  net.forward(x, tape);
  net.add(std::make_unique<Double>());
  works_or_throws([&] { net.backward(tape, dy); }, "[");
  net.forward(x, tape);
  EXPECT_EQ(net.backward(tape, dy).shape(), x.shape());
}

/// A layer that breaks its contract in one way.
class Faulty final : public Layer {
 public:
  enum class Fault { none, empty_y, other_y, empty_dx, other_dx, spikes_dx };
  explicit Faulty(Fault fault) : fault_(fault) {}
  std::string_view kind() const override { return "faulty"; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  struct Saved {
    Tensor y, dx;
    Spikes spikes;
  };
  Signal do_forward(const Signal& x, Tape& tape) const override {
    if (fault_ == Fault::empty_y) return {};
    Tensor& y = tape.saved<Saved>().y;
    y = Tensor(x.shape().from(1).after({x.samples() + (fault_ == Fault::other_y ? 1 : 0)}));
    return y;
  }
  Signal do_backward(Tape& tape, const Signal& dy) override {
    if (fault_ == Fault::empty_dx) return {};
    Saved& saved = tape.saved<Saved>();
    saved.spikes = Spikes(dy.shape());
    if (fault_ == Fault::spikes_dx) return saved.spikes;
    saved.dx = Tensor(dy.shape().from(1).after({dy.samples() + (fault_ == Fault::other_dx ? 1 : 0)}));
    return saved.dx;
  }
  Fault fault_;
};

TEST(PublicPasses, ALayerOfTheUserThatBreaksItsContractIsNamed) {
  using Fault = Faulty::Fault;
  const Tensor x = some_values({2, 3, 4});
  for (const Fault fault : {Fault::empty_y, Fault::other_y}) {
    Sequential net{Linear{4, 5}, Faulty{fault}, LIF{}};
    Tape tape;
    EXPECT_FALSE(works_or_throws([&] { net.forward(x, tape); }, "[faulty] do_forward"));
  }
  for (const Fault fault : {Fault::empty_dx, Fault::other_dx, Fault::spikes_dx}) {
    Sequential net{Linear{4, 5}, Faulty{fault}};
    const Tensor dy = some_values({2, 3, 5});
    Tape tape;
    net.forward(x, tape);
    EXPECT_FALSE(works_or_throws([&] { net.backward(tape, dy); }, "[faulty] dx"));
  }
}

TEST(PublicPasses, AChildOfATapeHasItsIndex) {
  Tape tape;
  EXPECT_EQ(&tape.child(3), &tape.child(3));
  EXPECT_NE(tape.child(3).place(), tape.child(2).place());
  expect_throws<ArgumentError>([&] { tape.child(~std::size_t{0}); }, {"[tape]"});
}

TEST(PublicPasses, TheTraceShowsWhatWentThrough) {
  Sequential net = small_net();
  const Tensor x = some_values({2, 3, 4});
  Tape tape;
  EXPECT_EQ(tape.trace().layer, nullptr);
  net.forward(x, tape);
  EXPECT_EQ(tape.trace().layer, &net);
  EXPECT_EQ(tape.child(1).trace().layer, &net[1]);
  EXPECT_TRUE(tape.child(1).trace().y.is_spikes());
  Monitor monitor;
  monitor.look(tape);
  monitor.look(tape);
  const std::vector<LayerActivity> activity = monitor.activity();
  ASSERT_EQ(activity.size(), 3u);
  EXPECT_EQ(activity[1].neurons, 6u);
  const double fired = static_cast<double>(tape.child(1).trace().y.spikes().count());
  EXPECT_DOUBLE_EQ(activity[1].rate, fired / (2 * 3 * 6));
  Monitor of_nothing;
  Tape unused;
  works_or_throws([&] { of_nothing.look(unused); }, "[monitor]");
  EXPECT_EQ(of_nothing.activity().size(), 0u);
}

TEST(PublicPasses, PenaltyAndPotentialNeedAForward) {
  Tape tape;
  works_or_throws([&] { static_cast<void>(RatePenalty{}.penalty(tape)); }, "[rate_penalty]");
  works_or_throws([&] { static_cast<void>(SoftLIF::last_potential(tape)); }, "[soft_lif]");
}

}  // namespace
}  // namespace volley::test

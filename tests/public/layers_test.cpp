// Every layer with inputs, options and sizes that it cannot take, and on the edges of those that it can.

#include <cmath>
#include <limits>

#include "support.hpp"

namespace volley::test {
namespace {

struct Kind {
  std::string name;
  std::shared_ptr<Layer> layer;
  Shape features;
};

/// One of every class of layer, with features that it takes.
std::vector<Kind> all_layers() {
  const Shape vector{6}, picture{2, 6, 5};
  std::vector<Kind> all;
  const auto add = [&](std::shared_ptr<Layer> layer, const Shape& features) {
    all.push_back({std::string(layer->kind()), std::move(layer), features});
  };
  for_each_type(Neurons{}, [&]<class Options>() { add(std::make_shared<Neuron<Options>>(), vector); });
  add(std::make_shared<Flatten>(), picture);
  add(std::make_shared<Linear>(6, 4), vector);
  add(std::make_shared<Conv2d>(2, 3, 3), picture);
  add(std::make_shared<ConvTranspose2d>(2, 3, 3), picture);
  add(std::make_shared<Conv1d>(2, 3, 3), Shape{2, 7});
  add(std::make_shared<ConvTranspose1d>(2, 3, 3), Shape{2, 7});
  add(std::make_shared<Unflatten>(UnflattenOptions{.unflattened_size = {2, 3}}), vector);
  add(std::make_shared<Upsample>(UpsampleOptions{.scale_factor = 2}), picture);
  add(std::make_shared<GroupNorm>(1, 2), picture);
  add(std::make_shared<LayerNorm>(std::vector<std::size_t>{6, 5}), picture);
  add(std::make_shared<MaxPool2d>(2), picture);
  add(std::make_shared<AvgPool2d>(2), picture);
  add(std::make_shared<AdaptiveAvgPool2d>(2), picture);
  add(std::make_shared<BatchNorm>(2), picture);
  add(std::make_shared<ThresholdDependentBatchNorm>(2), picture);
  add(std::make_shared<Dropout>(), vector);
  add(std::make_shared<Voting>(VotingOptions{.voting_size = 3}), vector);
  add(std::make_shared<Residual>(Sequential{Linear{6, 6}}), vector);
  add(std::make_shared<Recurrent>(6), vector);
  add(std::make_shared<PSN>(PSNOptions{.steps = 3}), vector);
  add(std::make_shared<MaskedPSN>(MaskedPSNOptions{.steps = 3}), vector);
  add(std::make_shared<SlidingPSN>(), vector);
  add(std::make_shared<LI>(), vector);
  add(std::make_shared<SoftLIF>(), vector);
  add(std::make_shared<RatePenalty>(), vector);
  add(std::make_shared<Sequential>(Linear{6, 4}, LIF{}), vector);
  add(std::make_shared<Double>(), vector);
  return all;
}

TEST(PublicLayers, TakeWhatTheyTake) {
  for (const Kind& kind : all_layers()) {
    SCOPED_TRACE(kind.name);
    const Tensor x = some_values(kind.features.after({2, 3}));
    Tape tape;
    const Signal y = kind.layer->forward(x, tape);
    EXPECT_EQ(y.shape(), kind.layer->output_shape(kind.features).after({2, 3}));
    const Tensor dy = some_values(y.shape());
    EXPECT_EQ(kind.layer->backward(tape, dy).shape(), x.shape());
  }
}

TEST(PublicLayers, RefuseSignalsOfNoShape) {
  for (const Kind& kind : all_layers()) {
    SCOPED_TRACE(kind.name);
    Tape tape;
    Layer& layer = *kind.layer;
    const std::string name = "[" + kind.name + "]";
    expect_throws<ArgumentError>([&] { layer.forward(Signal{}, tape); }, {name, "empty"});
    const Tensor no_steps(kind.features.after({2, 0}));
    expect_throws<ShapeError>([&] { layer.forward(no_steps, tape); }, {name, no_steps.shape().text()});
    const Tensor rank_2(Shape{2, 3});
    EXPECT_THROW(layer.forward(rank_2, tape), ShapeError);
  }
}

TEST(PublicLayers, ABatchOfNoSamplesWorksOrThrows) {
  for (const Kind& kind : all_layers()) {
    SCOPED_TRACE(kind.name);
    const Tensor none(kind.features.after({0, 3}));
    Tape tape;
    works_or_throws(
        [&] {
          const Signal y = kind.layer->forward(none, tape);
          EXPECT_EQ(y.samples(), 0u);
          EXPECT_EQ(to_tensor(y).size(), 0u);
          const Tensor dy(y.shape());
          EXPECT_EQ(kind.layer->backward(tape, dy).shape(), none.shape());
        },
        "[" + kind.name + "]");
  }
}

TEST(PublicLayers, RefuseFeaturesThatTheyWereNotMadeFor) {
  for (const Kind& kind : all_layers()) {
    SCOPED_TRACE(kind.name);
    for (const Shape& features : {Shape{5}, Shape{7}, Shape{3, 6, 5}, Shape{2, 1, 1}, Shape{2, 6},
                                  Shape{1, 2, 3, 4}, Shape{1, 1, 1, 1, 1, 1}}) {
      const Tensor x = some_values(features.after({2, 3}));
      Tape tape;
      Shape expected;
      // output_shape and forward agree, on the shape or on the refusal.
      const bool described = works_or_throws([&] { expected = kind.layer->output_shape(features); }, "");
      const bool worked = works_or_throws(
          [&] {
            EXPECT_EQ(kind.layer->forward(x, tape).shape(), expected.after({2, 3}));
          },
          "[");
      EXPECT_EQ(described, worked) << features.text();
    }
  }
}

TEST(PublicLayers, NeuronsRefuseSpikes) {
  const Spikes spikes = some_spikes({2, 3, 6});
  for (const Kind& kind : all_layers()) {
    if (kind.features != Shape{6}) continue;
    SCOPED_TRACE(kind.name);
    Tape tape, plain_tape;
    const Tensor plain = to_tensor(spikes);
    std::vector<float> y;
    if (works_or_throws([&] { y = values_of(kind.layer->forward(spikes, tape)); }, "spikes")) {
      EXPECT_EQ(y, values_of(kind.layer->forward(plain, plain_tape)));
    } else {
      EXPECT_NO_THROW(kind.layer->forward(plain, plain_tape));
    }
  }
  Tape tape;
  expect_throws<ArgumentError>([&] { LIF{}.forward(spikes, tape); }, {"[lif]", "spikes", "(2, 3, 6)"});
}

TEST(PublicLayers, AConstantSignalIsThatOfItsSteps) {
  for (const Kind& kind : all_layers()) {
    SCOPED_TRACE(kind.name);
    const Tensor once = some_values(kind.features.after({2, 1}));
    const Signal constant(once, kind.features.after({2, 3}));
    const Tensor repeated = to_tensor(constant);
    EXPECT_TRUE(constant.constant());
    Tape one, two;
    EXPECT_EQ(values_of(kind.layer->forward(constant, one)), values_of(kind.layer->forward(repeated, two)));
    const Tensor dy = some_values(to_tensor(kind.layer->forward(repeated, two)).shape());
    const Signal dx = kind.layer->backward(one, dy);
    EXPECT_EQ(dx.stored_steps(), 1u);
    const std::vector<float> whole = values_of(kind.layer->backward(two, dy));
    const std::size_t F = kind.features.size();
    for (std::size_t i = 0; i < 2 * F; ++i) {
      const float* first = &whole[i / F * 3 * F + i % F];
      EXPECT_NEAR(dx.values()[i], first[0] + first[F] + first[2 * F], 1e-4f) << i;
    }
  }
}

TEST(PublicLayers, ChannelsLastIsTheSameSignal) {
  const Shape shape{2, 3, 2, 6, 5};
  const Tensor plain = some_values(shape);
  Tensor last(stored_shape(shape, Layout::channels_last, 3));
  for (std::size_t i = 0; i < last.size(); ++i)
    last.data()[i] = plain.data()[i / 60 * 60 + i % 2 * 30 + i % 60 / 2];
  const Signal x(last, shape, Layout::channels_last);
  EXPECT_EQ(values_of(x), values_of(plain));
  for (const Kind& kind : all_layers()) {
    if (kind.features.rank() != 3) continue;
    SCOPED_TRACE(kind.name);
    Tape one, two;
    EXPECT_EQ(values_of(kind.layer->forward(x, one)), values_of(kind.layer->forward(plain, two)));
    const Tensor dy = some_values(to_tensor(kind.layer->forward(plain, two)).shape());
    const Signal dx = kind.layer->backward(one, dy);
    EXPECT_EQ(dx.layout(), Layout::channels_last);
    EXPECT_EQ(values_of(dx), values_of(kind.layer->backward(two, dy)));
  }
}

TEST(PublicLayers, NotANumberStaysInItsSample) {
  for (const Kind& kind : all_layers()) {
    SCOPED_TRACE(kind.name);
    Tensor x = some_values(kind.features.after({2, 3}));
    const Tensor dy = some_values(kind.layer->output_shape(kind.features).after({2, 3}));
    Tape tape;
    const std::vector<float> y = values_of(kind.layer->forward(x, tape));
    const std::vector<float> dx = values_of(kind.layer->backward(tape, dy));
    for (std::size_t i = x.size() / 2; i < x.size(); ++i)
      x.data()[i] = i % 3 == 0 ? kNaN : i % 3 == 1 ? kInf : -kInf;
    const std::vector<float> dirty_y = values_of(kind.layer->forward(x, tape));
    const std::vector<float> dirty_dx = values_of(kind.layer->backward(tape, dy));
    for (std::size_t i = 0; i < y.size() / 2; ++i) EXPECT_EQ(dirty_y[i], y[i]) << i;
    if (kind.name == "rate_penalty") continue;  // its gradient is that of the rates of the batch
    for (std::size_t i = 0; i < dx.size() / 2; ++i) EXPECT_EQ(dirty_dx[i], dx[i]) << i;
  }
}

TEST(PublicLayers, WeightsThatAreNotFiniteGiveNoOtherSampleAway) {
  Linear linear(3, 2);
  linear.weight().value.data()[0] = kNaN;
  linear.weight().value.data()[4] = kInf;
  const Spikes spikes = Spikes::from_bytes({1, 2, 3}, std::vector<std::uint8_t>{0, 0, 1, 1, 1, 0});
  Tape tape;
  const std::vector<float> y = values_of(linear.forward(spikes, tape));
  EXPECT_TRUE(std::isfinite(y[0]));  // only feature 2 fired
  EXPECT_TRUE(std::isfinite(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], kInf);
}

TEST(PublicLayers, RefuseOptionsOutOfRange) {
  expect_throws<ArgumentError>([] { LIF{{.tau = 1.0f}}; }, {"[lif]", "tau", "> 1", "got 1"});
  expect_throws<ArgumentError>([] { LIF{{.tau = kNaN}}; }, {"[lif]", "tau", "nan"});
  expect_throws<ArgumentError>([] { LIF{{.v_threshold = kInf}}; }, {"[lif]", "v_threshold", "inf"});
  expect_throws<ArgumentError>([] { LIF{{.v_reset = kNaN}}; }, {"[lif]", "v_reset"});
  expect_throws<ArgumentError>([] { LIF{{.surrogate = ATan{.alpha = 0}}}; }, {"alpha", "> 0"});
  expect_throws<ArgumentError>([] { LIF{{.surrogate = CustomSurrogate{}}}; }, {"custom", "derivative"});
  expect_throws<ArgumentError>([] { PLIF{{.channels = kHuge}}; }, {"[plif]", "channels"});
  expect_throws<ArgumentError>([] { Linear(0, 3); }, {"[linear]", "in", "0"});
  expect_throws<ArgumentError>([] { Linear(3, 0); }, {"[linear]", "out", "0"});
  expect_throws<ArgumentError>([] { Dropout{{.p = 1}}; }, {"[dropout]", "p", "< 1"});
  expect_throws<ArgumentError>([] { Dropout{{.p = -0.1f}}; }, {"[dropout]", "p"});
  expect_throws<ArgumentError>([] { Voting{{.voting_size = 0}}; }, {"[voting]", "voting_size"});
  expect_throws<ArgumentError>([] { BatchNorm{0}; }, {"[batch_norm]", "channels"});
  expect_throws<ArgumentError>([] { BatchNorm(2, {.eps = 0}); }, {"[batch_norm]", "eps"});
  expect_throws<ArgumentError>([] { Recurrent{0}; }, {"[recurrent]", "features"});
  expect_throws<ArgumentError>([] { PSN{{.steps = 0}}; }, {"[psn]", "steps"});
  expect_throws<ArgumentError>([] { GroupNorm(2, 3); }, {"[group_norm]", "num_channels"});
  expect_throws<ArgumentError>([] { LayerNorm(std::vector<std::size_t>{}); },
                               {"[layer_norm]", "normalized_shape"});
  expect_throws<ArgumentError>([] { LayerNorm({kHuge}); }, {"[layer_norm]", "normalized_shape"});
  expect_throws<ArgumentError>([] { Upsample(UpsampleOptions{}); }, {"[upsample]", "neither"});
  expect_throws<ArgumentError>([] { Upsample({.scale_factor = kHuge}); }, {"[upsample]", "scale_factor"});
  expect_throws<ArgumentError>([] { Unflatten({.unflattened_size = {kHuge}}); },
                               {"[unflatten]", "unflattened_size"});
  expect_throws<ArgumentError>([] { ConvTranspose2d(2, 3, 3, {.output_padding = 1}); },
                               {"[conv_transpose2d]", "output_padding"});
  expect_throws<ArgumentError>([] { ConvTranspose1d(2, 3, 3, {.padding = kHuge}); },
                               {"[conv_transpose1d]", "padding"});
  expect_throws<ArgumentError>([] { Conv1d(2, 3, 0); }, {"[conv1d]", "kernel_size"});
  expect_throws<ArgumentError>([] { Conv2d(2, 3, 0); }, {"[conv2d]", "kernel_size"});
  expect_throws<ArgumentError>([] { Conv2d(2, 3, 3, {.stride = 0}); }, {"[conv2d]", "stride"});
  expect_throws<ArgumentError>([] { Conv2d(2, 3, 3, {.padding = kHuge}); }, {"[conv2d]", "padding"});
  expect_throws<ArgumentError>([] { Conv2d(2, 3, 3, {.groups = 2}); }, {"[conv2d]", "groups"});
  expect_throws<ArgumentError>([] { Conv2d(2, 4, 3, {.groups = 0}); }, {"[conv2d]", "groups"});
  expect_throws<ArgumentError>([] { MaxPool2d{Size2(0)}; }, {"[max_pool2d]", "kernel_size"});
  expect_throws<ArgumentError>([] { MaxPool2d(2, {.padding = 2}); }, {"[max_pool2d]", "padding"});
  expect_throws<ArgumentError>([] { AdaptiveAvgPool2d{Size2(0)}; }, {"[adaptive_avg_pool2d]", "output_size"});
  expect_throws<ArgumentError>([] { RatePenalty{{.weight = -1}}; }, {"[rate_penalty]", "weight"});
}

TEST(PublicLayers, RefuseSizesThatNoMemoryHolds) {
  EXPECT_THROW(Linear(kHuge, 2), Error);
  EXPECT_THROW(Linear(std::size_t{1} << 33, std::size_t{1} << 33), Error);
  EXPECT_THROW(BatchNorm{kHuge}, Error);
  EXPECT_THROW(Recurrent{kHuge}, Error);
  EXPECT_THROW(Conv2d(kHuge, 2, 3), Error);
  EXPECT_THROW(static_cast<void>(Linear(2, 2).output_shape({kHuge})), ShapeError);
  EXPECT_THROW(static_cast<void>(Flatten{}.output_shape({kHuge, kHuge})), Error);
}

TEST(PublicLayers, APictureSmallerThanTheWindowIsAShapeError) {
  const Tensor x = some_values({2, 3, 2, 2, 2});
  Tape tape;
  expect_throws<ShapeError>([&] { Conv2d(2, 3, 5).forward(x, tape); }, {"[conv2d]", "(2, 2, 2)"});
  expect_throws<ShapeError>([&] { MaxPool2d(3).forward(x, tape); }, {"[max_pool2d]", "(2, 2, 2)"});
  expect_throws<ShapeError>([&] { AvgPool2d(3).forward(x, tape); }, {"[avg_pool2d]", "(2, 2, 2)"});
}

TEST(PublicLayers, AResidualWhoseBranchChangesTheShapeNamesBoth) {
  Residual residual{Sequential{Linear{6, 5}}};
  const Tensor x = some_values({2, 3, 6});
  Tape tape;
  expect_throws<ArgumentError>([&] { residual.forward(x, tape); }, {"[residual]", "(5)", "(6)"});
  Residual fits{Sequential{Linear{6, 5}}, Sequential{Linear{6, 5}}};
  EXPECT_EQ(fits.forward(x, tape).shape(), (Shape{2, 3, 5}));
  Residual deep{Sequential{Sequential{Linear{7, 5}}}};
  expect_throws<ShapeError>([&] { deep.forward(x, tape); }, {"branch", "layer 0", "[linear]", "(7)", "(6)"});
}

TEST(PublicLayers, NeuronsHaveTheNumbersOfTheirChannels) {
  PLIF per_neuron{{.learn_threshold = true, .channels = 60}};
  EXPECT_EQ(per_neuron.output_shape({2, 6, 5}), (Shape{2, 6, 5}));
  PLIF per_channel{{.learn_threshold = true, .channels = 2}};
  EXPECT_EQ(per_channel.output_shape({2, 6, 5}), (Shape{2, 6, 5}));
  PLIF other{{.learn_threshold = true, .channels = 6}};
  EXPECT_THROW(static_cast<void>(other.output_shape({2, 6, 5})), ShapeError);
}

TEST(PublicLayers, ASurrogateThatThrowsComesThrough) {
  const auto bad =
      CustomSurrogate::of([](float*, const float*, std::size_t) { throw std::runtime_error("mine"); });
  LIF lif{{.surrogate = bad}};
  const Tensor x = some_values({2, 3, 6});
  Tape tape;
  lif.forward(x, tape);
  EXPECT_THROW(lif.backward(tape, x), std::runtime_error);
}

}  // namespace
}  // namespace volley::test

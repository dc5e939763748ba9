// Batch normalisation, dropout and voting as layers: forms of signals, threads, buffers, errors, learning.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include <volley/volley.hpp>

#include "support/bars.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"
#include "support/signal_forms.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;

const Shape kPictures{3, 4, 5, 2, 3};  // N T C H W

Tensor random_tensor(const Shape& shape, std::uint32_t seed) {
  return test::random_tensor(shape, seed, -1, 3);
}

struct Result {
  std::vector<float> y, dx, state;
};

/// A pass of training, everything in the plain form.
Result run(Layer& layer, const Signal& x, std::size_t threads = 2) {
  ThreadPool pool(threads);
  Tape tape(pool);
  tape.set_context({.training = true, .draw = {.seed = 7, .epoch = 2}});
  zero_gradients(layer.parameters());
  SignalMemory y_memory, dy_memory, dx_memory;
  const Signal y = layer.forward(x, tape);
  const Signal y_plain = plain(y, y_memory, pool);
  const Tensor dy = random_tensor(y.shape(), 5);
  const Signal dx = layer.backward(tape, in_form_of(y, dy, dy_memory, pool));
  EXPECT_EQ(dx.shape(), x.shape());
  EXPECT_EQ(dx.layout(), x.layout());
  EXPECT_EQ(dx.stored_steps(), x.stored_steps());
  const Signal dx_plain = plain(dx, dx_memory, pool);
  Result r{{y_plain.values(), y_plain.values() + y.shape().size()},
           {dx_plain.values(), dx_plain.values() + x.shape().size()},
           {}};
  for (const NamedParameter& p : layer.parameters()) {
    const auto g = p.parameter->gradient.values();
    r.state.insert(r.state.end(), g.begin(), g.end());
  }
  for (const NamedTensor& b : layer.buffers()) {
    const auto v = b.tensor->values();
    r.state.insert(r.state.end(), v.begin(), v.end());
  }
  return r;
}

std::vector<std::unique_ptr<Layer>> layers() {
  std::vector<std::unique_ptr<Layer>> all;
  all.push_back(std::make_unique<BatchNorm>(5));
  all.push_back(std::make_unique<Dropout>());
  return all;
}

TEST(NormLayers, BothLayoutsGiveTheSameBits) {
  const Tensor x = random_tensor(kPictures, 1);
  SignalMemory memory;
  const Signal turned = in_layout(x, Layout::channels_last, memory, ThreadPool::shared());
  for (std::size_t i = 0; i < layers().size(); ++i) {
    const Result a = run(*layers()[i], x), b = run(*layers()[i], turned);
    EXPECT_EQ(a.y, b.y);
    EXPECT_EQ(a.dx, b.dx);
    EXPECT_EQ(a.state, b.state);
  }
}

TEST(NormLayers, SameBitsForAnyNumberOfThreads) {
  const Tensor x = random_tensor({6, 5, 70}, 1);
  for (const std::size_t threads : {2u, 3u, 8u}) {
    BatchNorm one(70), other(70);
    Dropout dropout;
    for (const auto& [a, b] : {std::pair<Layer*, Layer*>{&one, &other}, {&dropout, &dropout}}) {
      const Result expected = run(*a, x, 1), got = run(*b, x, threads);
      EXPECT_EQ(got.y, expected.y);
      EXPECT_EQ(got.dx, expected.dx);
      EXPECT_EQ(got.state, expected.state);
    }
  }
}

// One step stored for all: the same as that step repeated, with dx summed over the steps.
TEST(NormLayers, ConstantSignalsAreTheirStepsRepeated) {
  const Tensor stored = random_tensor({3, 1, 10}, 1);
  const Signal constant(stored, {3, 4, 10});
  SignalMemory memory;
  const Signal repeated = plain(constant, memory, ThreadPool::shared());
  const std::unique_ptr<Layer> pairs[][2] = {
      {std::make_unique<BatchNorm>(10), std::make_unique<BatchNorm>(10)},
      {std::make_unique<Dropout>(), std::make_unique<Dropout>()},
      {std::make_unique<Voting>(), std::make_unique<Voting>()}};
  for (const auto& [a, b] : pairs) {
    const Result once = run(*a, constant), each = run(*b, repeated);
    EXPECT_LT(test::relative_error(once.y, each.y), 1e-6);
    EXPECT_LT(test::relative_error(once.state, each.state), 1e-5);
    std::vector<float> sum(3 * 10), got(3 * 10);
    for (std::size_t i = 0; i < each.dx.size(); ++i) sum[i / 40 * 10 + i % 10] += each.dx[i];
    for (std::size_t i = 0; i < got.size(); ++i) got[i] = once.dx[i / 10 * 40 + i % 10];
    EXPECT_LT(test::relative_error(got, sum), 1e-5) << a->kind();
  }
}

// (C, L) is a picture of one row.
TEST(BatchNorm, NormalisesChannelsOfOneDimension) {
  BatchNorm line(5), picture(5);
  const Tensor x = random_tensor({3, 4, 5, 6}, 1), y = random_tensor({3, 4, 5, 1, 6}, 1);
  SignalMemory memory;
  const Signal turned = in_layout(x, Layout::channels_last, memory, ThreadPool::shared());
  const Result expected = run(picture, y);
  for (const Signal& form : {Signal(x), turned}) {
    line.initialize(0);
    const Result got = run(line, form);
    EXPECT_EQ(got.y, expected.y);
    EXPECT_EQ(got.dx, expected.dx);
    EXPECT_EQ(got.state, expected.state);
  }
}

TEST(BatchNorm, BackwardOfATrainingUpdatesTheRunningStatisticsOnce) {
  BatchNorm norm(3);
  const Tensor x = random_tensor({4, 2, 3}, 1), dy = random_tensor({4, 2, 3}, 2);
  Tape tape;
  norm.forward(x, tape);
  norm.backward(tape, dy);
  EXPECT_EQ(norm.running_mean().data()[0], 0) << "no training";
  tape.set_context({.training = true});
  norm.forward(x, tape);
  EXPECT_EQ(norm.running_mean().data()[0], 0) << "forward changes no layer";
  norm.backward(tape, dy);
  const float mean = norm.running_mean().data()[0];
  EXPECT_NE(mean, 0);
  norm.backward(tape, dy);
  EXPECT_EQ(norm.running_mean().data()[0], mean);
  EXPECT_EQ(norm.buffers()[2].tensor->data()[0], 1);
}

TEST(BatchNorm, WithoutAffineNothingIsLearnedButTheStatistics) {
  Sequential net{BatchNorm{3, {.affine = false}}, Linear{3, 2}};
  EXPECT_EQ(net.parameters().size(), 2u);
  const Tensor x = random_tensor({4, 2, 3}, 1), dy = random_tensor({4, 2, 2}, 2);
  Tape tape;
  tape.set_context({.training = true});
  tape.set_needs_input_gradient(false);
  net.forward(x, tape);
  net.backward(tape, dy);
  EXPECT_NE(net.buffers()[0].tensor->data()[0], 0) << "backward comes down to it";
}

TEST(BatchNorm, AFileHoldsTheRunningStatistics) {
  const test::TempFolder folder;
  Sequential net{BatchNorm{3}, ThresholdDependentBatchNorm{3, {.alpha = 0.5f}}, Dropout{{.p = 0.25f}},
                 Voting{{.voting_size = 3}}};
  const Tensor seen = random_tensor({4, 2, 3}, 1);
  run(net, seen);
  save_network(folder / "n.safetensors", net);
  Sequential back = load_network(folder / "n.safetensors");
  const Tensor x = random_tensor({4, 2, 3}, 3);
  Tape a, b;
  const Signal expected = net.forward(x, a), got = back.forward(x, b);
  EXPECT_TRUE(std::equal(got.values(), got.values() + 8, expected.values()));
  EXPECT_EQ(back.buffers()[0].name, "0.running_mean");
  EXPECT_EQ(back[1].kind(), "threshold_dependent_batch_norm");
  back.initialize(0);
  EXPECT_EQ(back.buffers()[0].tensor->data()[0], 0);
  EXPECT_EQ(back.parameters()[2].parameter->value.data()[0], 0.5f) << "alpha v_threshold";
}

TEST(Dropout, IsTheIdentityInEvaluation) {
  const Spikes spikes(Shape{2, 3, 4});
  const Dropout dropout;
  Tape tape;
  EXPECT_TRUE(dropout.forward(spikes, tape).is_spikes());
}

TEST(Dropout, OneMaskForAllStepsAndOneForEachSampleOfTheSet) {
  constexpr std::size_t N = 3, T = 5, F = 40;
  const Spikes ones = Spikes::from_bytes({N, T, F}, std::vector<std::uint8_t>(N * T * F, 1));
  const auto masks = [&](std::vector<std::uint32_t> samples, std::uint32_t epoch = 1) {
    Sequential net{Dropout{}};
    Tape tape;
    tape.set_context({.training = true, .draw = {.epoch = epoch}, .samples = samples});
    const Signal y = net.forward(ones, tape);
    std::vector<std::vector<float>> all;
    for (std::size_t n = 0; n < N; ++n) {
      const float* first = y.values() + n * T * F;
      for (std::size_t t = 1; t < T; ++t) EXPECT_TRUE(std::equal(first, first + F, first + t * F));
      all.emplace_back(first, first + F);
      EXPECT_EQ(std::set<float>(first, first + F), (std::set<float>{0, 2}));
    }
    return all;
  };
  const auto a = masks({4, 8, 15}), b = masks({15, 16, 4});
  EXPECT_EQ(a[0], b[2]);
  EXPECT_EQ(a[2], b[0]);
  EXPECT_NE(a[0], a[1]);
  EXPECT_NE(masks({4, 8, 15}, 2)[0], a[0]);
}

TEST(NormLayers, RefuseWhatTheyCannotDo) {
  EXPECT_EQ(error_text([] { BatchNorm(0); }), "[batch_norm] channels must be >= 1, got 0");
  EXPECT_EQ(error_text([] { BatchNorm(3, {.eps = 0.0f}); }), "[batch_norm] eps must be > 0, got 0");
  EXPECT_EQ(error_text([] { BatchNorm(3, {.momentum = 2.0f}); }),
            "[batch_norm] momentum must be >= 0 and <= 1, got 2");
  EXPECT_EQ(error_text([] {
              static_cast<void>(BatchNorm(3).output_shape({4, 3}));
            }),
            "[batch_norm] input features must be (3) or (3, positions...), got (4, 3)");
  EXPECT_EQ(error_text([] { static_cast<void>(ThresholdDependentBatchNorm(3).output_shape({4})); }),
            "[threshold_dependent_batch_norm] input features must be (3) or (3, positions...), got (4)");
  EXPECT_EQ(error_text([] {
              Tape tape;
              tape.set_context({.training = true});
              const Tensor one({1, 1, 3});
              BatchNorm(3).forward(one, tape);
            }),
            "[batch_norm] x of a training must have more than one value per channel, got (1, 1, 3)");
  EXPECT_EQ(error_text([] { Dropout({.p = 1.0f}); }), "[dropout] p must be >= 0 and < 1, got 1");
  EXPECT_EQ(error_text([] { Voting({.voting_size = 0}); }),
            "[voting] voting_size must be >= 1 and <= 16777216, got 0");
  EXPECT_EQ(error_text([] { static_cast<void>(Voting().output_shape({25})); }),
            "[voting] input features must be (K x 10), got (25)");
}

TEST(NormLayers, ANetworkOfThemLearns) {
  const Dataset train = test::bars(400, 1), test = test::bars(150, 2);
  for (const bool threshold_dependent : {false, true}) {
    Sequential net{Flatten{}, Linear{24, 30, {.bias = false}}};
    if (threshold_dependent) {
      net.add(std::make_unique<ThresholdDependentBatchNorm>(30));
    } else {
      net.add(std::make_unique<BatchNorm>(30));
    }
    net.add(std::make_unique<LIF>());
    net.add(std::make_unique<Dropout>(DropoutOptions{.p = 0.2f}));
    net.add(std::make_unique<Linear>(30, 12));
    net.add(std::make_unique<LIF>());
    net.add(std::make_unique<Voting>(VotingOptions{.voting_size = 4}));
    net.initialize(0);
    Trainer trainer{net, Adam{5e-3f}, RateMse{}, Poisson{}, {.steps = 8, .batch = 20}};
    EXPECT_GT(trainer.fit(train, test, 6).epochs.back().max_test_acc, 0.9);
  }
}

}  // namespace
}  // namespace volley

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "pictures.hpp"

namespace volley {
namespace {

using test::refusal;
using Labels = std::vector<std::uint32_t>;

std::vector<std::unique_ptr<Loss>> every_loss() {
  std::vector<std::unique_ptr<Loss>> losses;
  losses.push_back(std::make_unique<RateMse>());
  losses.push_back(std::make_unique<RateCrossEntropy>());
  losses.push_back(std::make_unique<CountMse>());
  losses.push_back(std::make_unique<CountCrossEntropy>());
  for (const Readout readout : {Readout::last, Readout::mean}) {
    losses.push_back(std::make_unique<MembraneMse>(MembraneMseOptions{.readout = readout}));
    losses.push_back(std::make_unique<MembraneCrossEntropy>(MembraneCrossEntropyOptions{.readout = readout}));
  }
  losses.push_back(std::make_unique<Tet>(TetOptions{.lamb = 0.2f}));
  return losses;
}

/// The mean over the batch of the distance between the sum over T and a one at the label, from plain values.
class Distance final : public Loss {
 public:
  std::string_view kind() const override { return "distance"; }

 private:
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape&) const override {
    double sum = 0;
    for (std::size_t n = 0; n < y.samples(); ++n) {
      for (std::size_t k = 0; k < y.features(); ++k) {
        float& z = scores.data()[n * y.features() + k] = 0;
        for (std::size_t t = 0; t < y.steps(); ++t) z += y.values()[(n * y.steps() + t) * y.features() + k];
        sum += std::abs(z - (targets.labels[n] == k ? 1.0f : 0.0f));
      }
    }
    return sum / static_cast<double>(y.samples());
  }
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape&) const override {
    for (std::size_t i = 0; i < dy.size(); ++i) {
      const std::size_t n = i / (y.steps() * y.features()), k = i % y.features();
      const float e = scores.data()[n * y.features() + k] - (targets.labels[n] == k ? 1.0f : 0.0f);
      dy.data()[i] = (e > 0 ? 1.0f : e < 0 ? -1.0f : 0.0f) / static_cast<float>(y.samples());
    }
  }
};

/// y (2, 8, 3) that stores one step, and the same with eight.
struct ConstantOutput {
  Tensor one{Shape{2, 1, 3}}, eight{Shape{2, 8, 3}};

  ConstantOutput() {
    for (std::size_t i = 0; i < 6; ++i) one.data()[i] = 0.3f * static_cast<float>(i) - 0.7f;
    for (std::size_t i = 0; i < eight.size(); ++i) eight.data()[i] = one.data()[i / 24 * 3 + i % 3];
  }
  Signal constant() const { return {one, Shape{2, 8, 3}}; }
};

TEST(PublicLoss, OfAConstantOutputIsThatOfItsEqualSteps) {
  const ConstantOutput y;
  auto losses = every_loss();
  losses.push_back(std::make_unique<Distance>());
  for (const auto& loss : losses) {
    SCOPED_TRACE(loss->kind());
    Tape a, b;
    Tensor scores, expected_scores;
    const double expected = loss->forward(y.eight, Labels{2, 0}, expected_scores, a);
    EXPECT_EQ(loss->forward(y.constant(), Labels{2, 0}, scores, b), expected);
    EXPECT_TRUE(std::ranges::equal(scores.values(), expected_scores.values()));
    const Signal of_eight = loss->backward(a), dy = loss->backward(b);
    ASSERT_EQ(dy.stored_shape(), (Shape{2, 1, 3}));
    for (std::size_t i = 0; i < 6; ++i) {
      double sum = 0;
      for (std::size_t t = 0; t < 8; ++t) sum += of_eight.values()[(i / 3 * 8 + t) * 3 + i % 3];
      EXPECT_NEAR(dy.values()[i], sum, 1e-6 * (1 + std::abs(sum))) << i;
    }
  }
}

/// Loss and weight gradient of Flatten, Linear on x.
std::vector<double> linear_pass(const Loss& loss, const Signal& x, const Labels& labels) {
  Sequential net{Flatten{}, Linear{16, 3}};
  net.initialize(1);
  zero_gradients(net.parameters());
  Tape tape, loss_tape;
  Tensor scores;
  std::vector<double> all{loss.forward(net.forward(x, tape), labels, scores, loss_tape)};
  net.backward(tape, loss.backward(loss_tape));
  for (const NamedParameter& p : net.parameters()) {
    for (const float g : p.parameter->gradient.values()) all.push_back(g);
  }
  return all;
}

TEST(PublicLoss, OwnLoopBehindDirectIsThatOfEightEqualSteps) {
  const Dataset data = test::shades(2, 3);
  Tape encoder_tape;
  const Signal x = Direct{}.encode(data, Labels{0, 1}, 8, {}, encoder_tape);
  Tensor repeated(Shape{2, 8, 1, 4, 4});
  for (std::size_t i = 0; i < repeated.size(); ++i) {
    repeated.data()[i] = static_cast<float>(data.pixels[i / 128 * 16 + i % 16]) / 255.0f;
  }
  for (const auto& loss : every_loss()) {
    SCOPED_TRACE(loss->kind());
    const auto got = linear_pass(*loss, x, data.labels), expected = linear_pass(*loss, repeated, data.labels);
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], expected[i], 1e-6 * std::max(10.0, std::abs(expected[i]))) << i;
    }
    EXPECT_TRUE(std::isfinite(got[0]));
  }
}

TEST(PublicLoss, OverALargeBatchIsTheMeanOfItsSamples) {
  constexpr std::size_t kSamples = 4096;
  Tensor y(Shape{kSamples, 2, 3}), scores;
  for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] = static_cast<float>(i * 7919 % 1000) / 300;
  for (const auto& loss : every_loss()) {
    SCOPED_TRACE(loss->kind());
    double sum = 0;
    for (std::size_t n = 0; n < kSamples; ++n) {
      Tensor one(Shape{1, 2, 3});
      std::copy_n(y.data() + n * 6, 6, one.data());
      Tape tape;
      sum += loss->forward(one, Labels{0}, scores, tape);
    }
    Tape tape;
    const double whole = loss->forward(y, Labels(kSamples, 0), scores, tape);
    EXPECT_NEAR(whole * kSamples / sum, 1, 1e-7);
  }
}

TEST(PublicLoss, OfAConstantOutputOverManyStepsIsThatOfOne) {
  const Tensor one = [] {
    Tensor y(Shape{1, 1, 2});
    y.data()[0] = 0.1f, y.data()[1] = -0.7f;
    return y;
  }();
  Tape tape;
  Tensor scores;
  RateMse{}.forward(Signal(one, Shape{1, 3000, 2}), Labels{0}, scores, tape);
  EXPECT_EQ(scores.data()[0], 0.1f);
  EXPECT_EQ(scores.data()[1], -0.7f);
}

TEST(PublicLoss, OfANewKindGetsSpikesAsRealValues) {
  const Spikes s = Spikes::from_bytes({1, 2, 2}, std::vector<std::uint8_t>{1, 0, 1, 1});
  Tape tape;
  Tensor scores;
  const Distance loss;
  EXPECT_EQ(loss.forward(s, Labels{1}, scores, tape), 2.0);  // counts 2 and 1
  const Signal dy = loss.backward(tape);
  EXPECT_EQ(std::vector<float>(dy.values(), dy.values() + 4), (std::vector<float>{1, 0, 1, 0}));
}

TEST(PublicLoss, RefusesWhatDoesNotFit) {
  const ConstantOutput y;
  Tape tape;
  Tensor scores;
  const RateMse loss;
  const auto forward = [&](const Signal& of, const Labels& labels) {
    return refusal([&] { loss.forward(of, labels, scores, tape); });
  };
  EXPECT_EQ(forward(y.eight, {0}), "[rate_mse] needs one label for each of 2 samples, got 1");
  EXPECT_EQ(forward(y.eight, {0, 259}), "[rate_mse] labels must be < 3, the number of outputs, got 259");
  EXPECT_EQ(forward(Signal{}, {}), "[rate_mse] y must be (N, T, K), none of them 0, got (0, 0, 0)");
  const Tensor none(Shape{0, 8, 3}), pictures(Shape{2, 8, 1, 3});
  EXPECT_EQ(forward(none, {}), "[rate_mse] y must be (N, T, K), none of them 0, got (0, 8, 3)");
  EXPECT_EQ(forward(pictures, {0, 1}), "[rate_mse] y must be (N, T, K), none of them 0, got (2, 8, 1, 3)");
}

TEST(PublicLoss, BackwardNeedsItsOwnForward) {
  const ConstantOutput y;
  Tape tape;
  Tensor scores;
  const RateMse loss, other;
  const std::string rule =
      "[rate_mse] the last forward on the tape of backward must be one of this loss, got ";
  EXPECT_EQ(refusal([&] { loss.backward(tape); }), rule + "none");
  loss.forward(y.eight, Labels{0, 1}, scores, tape);
  EXPECT_EQ(refusal([&] { other.backward(tape); }), rule + "that of another");
  EXPECT_NE(refusal([&] { loss.forward(y.eight, Labels{0}, scores, tape); }), "no exception");
  scores.resize({1, 1});  // what the caller does with its scores is of no matter
  EXPECT_EQ(loss.backward(tape).shape(), (Shape{2, 8, 3}));

  Sequential net{Flatten{}, Linear{3, 3}};
  Tape of_network;
  const Signal out = net.forward(y.eight, of_network);
  EXPECT_EQ(refusal([&] {
              loss.forward(out, Labels{0, 1}, scores, of_network);
            }),
            "[rate_mse] tape must be the loss's own, got that of a network");
}

/// Changes the shape of what it is to fill.
class Careless final : public Loss {
 public:
  std::string_view kind() const override { return "careless"; }
  bool spoils_scores = true;

 private:
  double do_forward(const Signal&, const Targets&, Tensor& scores, Tape&) const override {
    if (spoils_scores) scores.resize({1});
    return 0;
  }
  void do_backward(const Signal&, const Targets&, const Tensor&, Tensor& dy, Tape&) const override {
    dy.resize({1});
  }
};

TEST(PublicLoss, OfANewKindMustGiveWhatItIsAskedFor) {
  const ConstantOutput y;
  Tape tape;
  Tensor scores;
  Careless loss;
  EXPECT_EQ(refusal([&] {
              loss.forward(y.eight, Labels{0, 1}, scores, tape);
            }),
            "[careless] scores of do_forward must be (2, 3), got (1)");
  loss.spoils_scores = false;
  loss.forward(y.eight, Labels{0, 1}, scores, tape);
  EXPECT_EQ(refusal([&] { loss.backward(tape); }), "[careless] dy of do_backward must be (2, 8, 3), got (1)");
}

TEST(PublicLoss, ThreeHundredClassesAreToldApart) {
  constexpr std::size_t kClasses = 300;
  Dataset data = test::shades(3, kClasses, {2});
  data.labels = {270, 14, 299};
  Sequential net{Linear{2, kClasses}};
  for (float& w : net.parameters()[0].parameter->value.values()) w = 0;
  auto bias = net.parameters()[1].parameter->value.values();
  std::ranges::fill(bias, 0.0f);
  bias[270] = 1;
  Trainer trainer{net, Adam{}, MembraneCrossEntropy{}, Direct{}, {.steps = 2, .batch = 2}};
  const Evaluation evaluation = trainer.evaluate(data);
  EXPECT_EQ(evaluation.predictions, (Labels{270, 270, 270}));
  EXPECT_NEAR(evaluation.accuracy, 1.0 / 3, 1e-12);
}

TEST(PublicLoss, PredictionOfNoScoresIsTheFirst) { EXPECT_EQ(predict({}), 0u); }

}  // namespace
}  // namespace volley

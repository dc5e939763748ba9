#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/loss.hpp>
#include <volley/recipe.hpp>
#include <volley/trainer.hpp>

#include "core/philox.hpp"
#include "spec/loss.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/loss_values.hpp"
#include "support/random.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::error_text;
using test::library_gradient_error;
using test::toy_recipe;
using test::ToyTraining;
using test::value_of;

const ClassWeights kWeights{0.5f, 3.0f, 1.0f, 0.25f, 2.0f};

TEST(ClassWeights, EveryLossHasItsGradient) {
  EXPECT_LT(library_gradient_error(RateMse{{.class_weights = kWeights}}), 2e-3);
  EXPECT_LT(library_gradient_error(RateCrossEntropy{{.label_smoothing = 0.1f, .class_weights = kWeights}}),
            2e-3);
  EXPECT_LT(library_gradient_error(CountMse{{.correct_rate = 0.8f, .class_weights = kWeights}}), 2e-3);
  EXPECT_LT(library_gradient_error(CountCrossEntropy{{.class_weights = kWeights}}), 2e-3);
  EXPECT_LT(library_gradient_error(MembraneMse{{.class_weights = kWeights}}), 2e-3);
  EXPECT_LT(library_gradient_error(MembraneCrossEntropy{{.class_weights = kWeights}}), 2e-3);
  EXPECT_LT(library_gradient_error(Tet{{.lamb = 0.4f, .class_weights = kWeights}}), 2e-3);
}

TEST(ClassWeights, OfTheReferenceHaveTheirGradientInDouble) {
  constexpr std::size_t N = 5, K = 4;
  const std::vector<double> z = test::Random(7).values<double>(N * K, -1, 1);
  const std::vector<std::uint32_t> labels{0, 3, 1, 1, 2};
  const std::vector<float> w{0.5f, 3, 1, 0.25f};
  const spec::SampleWeights weights{w.data(), labels.data(), 0.5 + 0.25 + 3 + 3 + 1};
  std::vector<double> dz(N * K);
  const auto mse = [&](const std::vector<double>& at) {
    return spec::mse_forward(at.data(), labels.data(), 0.5, 1.0, 0.0, N, K, weights);
  };
  spec::mse_backward(dz.data(), z.data(), labels.data(), 0.5, 1.0, 0.0, N, K);
  EXPECT_GT(test::gradient_error(mse, z, dz), 1e-2) << "the check must see the weights";
  spec::mse_backward(dz.data(), z.data(), labels.data(), 0.5, 1.0, 0.0, N, K, weights);
  EXPECT_LT(test::gradient_error(mse, z, dz), 1e-8);
  const auto entropy = [&](const std::vector<double>& at) {
    return spec::mean_cross_entropy_forward(at.data(), labels.data(), 0.1, N, K, weights);
  };
  spec::mean_cross_entropy_backward(dz.data(), z.data(), labels.data(), 0.1, N, K, weights);
  EXPECT_LT(test::gradient_error(entropy, z, dz), 1e-8);
}

/// The loss of each sample of y by itself.
template <class L>
std::vector<double> losses_of_samples(const L& loss, const Tensor& y,
                                      const std::vector<std::uint32_t>& labels) {
  const std::size_t T = y.shape()[1], K = y.shape()[2];
  std::vector<double> losses;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    Tensor one(Shape{1, T, K});
    std::copy_n(y.data() + n * T * K, T * K, one.data());
    losses.push_back(value_of(loss, one, {labels[n]}));
  }
  return losses;
}

TEST(ClassWeights, GiveTheWeightedMeanOfTheSamples) {
  Tensor y(Shape{21, 4, 5});
  std::ranges::copy(test::Random(8).values<float>(y.size(), -1, 1), y.data());
  std::vector<std::uint32_t> labels;
  for (std::uint32_t n = 0; n < 21; ++n) labels.push_back(n * n % 5);
  const auto expect = [&](const auto& plain, const auto& weighted) {
    const std::vector<double> each = losses_of_samples(plain, y, labels);
    double sum = 0, total = 0;
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const auto w = static_cast<double>(kWeights.values[labels[n]]);
      sum += w * each[n];
      total += w;
    }
    EXPECT_DOUBLE_EQ(weighted.total_weight(labels), total);
    EXPECT_EQ(plain.total_weight(labels), 21);
    EXPECT_NEAR(value_of(weighted, y, labels), sum / total, 1e-6 * sum / total) << weighted.kind();
  };
  expect(RateMse{}, RateMse{{.class_weights = kWeights}});
  expect(CountMse{}, CountMse{{.class_weights = kWeights}});
  expect(MembraneMse{}, MembraneMse{{.class_weights = kWeights}});
  expect(RateCrossEntropy{}, RateCrossEntropy{{.class_weights = kWeights}});
  expect(CountCrossEntropy{}, CountCrossEntropy{{.class_weights = kWeights}});
  expect(MembraneCrossEntropy{}, MembraneCrossEntropy{{.class_weights = kWeights}});
  expect(Tet{}, Tet{{.class_weights = kWeights}});
}

TEST(ClassWeights, AllAlikeAreNone) {
  Tensor y(Shape{9, 3, 5}), scores;
  std::ranges::copy(test::Random(9).values<float>(y.size(), -1, 1), y.data());
  const std::vector<std::uint32_t> labels{0, 1, 2, 3, 4, 0, 1, 2, 3};
  const auto run = [&](const Loss& loss) {
    Tape tape;
    const double value = loss.forward(y, labels, scores, tape);
    const Signal dy = loss.backward(tape);
    return std::pair(value, std::vector<float>(dy.values(), dy.values() + y.size()));
  };
  EXPECT_EQ(run(RateMse{}), run(RateMse{{.class_weights = {1, 1, 1, 1, 1}}}));
  EXPECT_EQ(run(MembraneCrossEntropy{}), run(MembraneCrossEntropy{{.class_weights = {2, 2, 2, 2, 2}}}));
  EXPECT_EQ(run(Tet{}), run(Tet{{.class_weights = {1, 1, 1, 1, 1}}}));
}

TEST(ClassWeights, BalancedAreThoseOfScikitLearn) {
  // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 2, 2]): 6 / (3 * [3, 1, 2])
  const std::vector<std::uint32_t> labels{0, 0, 0, 1, 2, 2};
  EXPECT_EQ(balanced_class_weights(labels, 3), (std::vector<float>{6.0f / 9, 2, 1}));
  EXPECT_EQ(error_text([&] { balanced_class_weights(labels, 4); }),
            "[balanced_class_weights] every class must have a label, got none of class 3");
  EXPECT_EQ(error_text([&] { balanced_class_weights(labels, 2); }),
            "[balanced_class_weights] labels must be < 2, got 2");
}

TEST(ClassWeights, AreCheckedAgainstTheOutputs) {
  EXPECT_EQ(error_text([] {
              RateMse{{.class_weights = {1, 0}}};
            }),
            "[rate_mse] class_weights must be > 0, got 0");
  EXPECT_EQ(error_text([] {
              Tet{{.class_weights = {1, std::nanf("")}}};
            }),
            "[tet] class_weights must be > 0, got nan");
  ClassWeights balanced;
  balanced.balanced = true;
  EXPECT_EQ(error_text([&] { CountMse{{.class_weights = balanced}}; }),
            "[count_mse] class_weights must be numbers, which balanced_class_weights gives, got 'balanced'");
  const Tensor y(Shape{2, 4, 3});
  EXPECT_EQ(error_text([&] {
              value_of(RateCrossEntropy{{.class_weights = {1, 2}}}, y, {0, 1});
            }),
            "[rate_cross_entropy] class_weights must be one for each of 3 outputs, got 2");
}

TEST(ClassWeights, AMeanOverBatchesIsThatOfAllSamples) {
  // 45 test pictures in batches of 20, 20, 5, and in one of 45.
  const std::string weights = "loss.class_weights=[0.5, 4, 1]";
  for (const char* loss : {"loss=rate_mse", "loss=rate_cross_entropy", "loss=tet"}) {
    ToyTraining batches(toy_recipe({loss, weights})), whole(toy_recipe({loss, weights, "training.batch=45"}));
    const double expected = whole.trainer.evaluate(whole.data.test).loss;
    EXPECT_NEAR(batches.trainer.evaluate(batches.data.test).loss, expected, 1e-6 * expected) << loss;
  }
}

/// The losses of the steps.
struct Steps : Recorder {
  std::vector<double> losses;
  void iteration(const IterationRecord& record, Trainer&) override { losses.push_back(record.loss); }
};

TEST(ClassWeights, TheTrainingLossOfAnEpochWeighsBatchesByTheirWeights) {
  const Recipe recipe = toy_recipe({"loss.class_weights=[0.5, 4, 1]", "epochs=1", "network.2.v_threshold=0.2",
                                    "network.4.v_threshold=0.2"});
  const std::shared_ptr<const Loss> loss = recipe.build_parts().loss;
  ToyTraining toy(recipe);
  Steps steps;
  const double shown = toy.fit(&steps).epochs.at(0).train_loss;
  std::vector<std::uint32_t> order(90);
  shuffle(order, PhiloxSequence(philox_key(recipe.training.seed, Purpose::shuffle, 1)));
  double sum = 0, total = 0;
  for (std::size_t b = 0; b < 5; ++b) {  // of 20, 20, 20, 20 and 10
    std::vector<std::uint32_t> labels;
    for (std::size_t i = 20 * b; i < std::min<std::size_t>(20 * b + 20, 90); ++i)
      labels.push_back(toy.data.train.labels[order[i]]);
    sum += loss->total_weight(labels) * steps.losses.at(b);
    total += loss->total_weight(labels);
  }
  EXPECT_NEAR(shown, sum / total, 1e-12);
  double plain = 0;
  for (std::size_t b = 0; b < 5; ++b) plain += (b < 4 ? 20 : 10) * steps.losses[b] / 90;
  EXPECT_GT(std::abs(shown - plain), 1e-6) << "the check must tell the two means apart";
}

TEST(ClassWeights, BalancedIsANumberForEachClassOfTheTrainingSet) {
  const Recipe recipe = toy_recipe({"loss.class_weights=balanced"});
  test::expect_has(to_toml(recipe), "class_weights = \"balanced\"\n");
  EXPECT_EQ(error_text([&] { static_cast<void>(recipe.build_parts()); }),
            "[rate_mse] class_weights must be numbers, which balanced_class_weights gives, got 'balanced'");
  Dataset train = test::toy_split().train.first(40);
  const Recipe numbers = recipe.balanced_by(train);
  EXPECT_EQ(std::get<RateMseOptions>(numbers.loss).class_weights.values,
            balanced_class_weights(train.labels, 3));
  EXPECT_EQ(to_toml(numbers.balanced_by(test::toy_split().train)), to_toml(numbers)) << "numbers stay";
  EXPECT_EQ(to_toml(parse_recipe(to_toml(numbers), "back")), to_toml(numbers));
  for (std::uint32_t& label : train.labels) label = label == 2 ? 1 : label;
  EXPECT_EQ(error_text([&] { static_cast<void>(recipe.balanced_by(train)); }),
            "[balanced_class_weights] every class must have a label, got none of class 2");
}

TEST(ClassWeights, OfARecipeAreNumbersOrAWord) {
  const auto text = [](const std::string& value) {
    return error_text([&] { toy_recipe({"loss.class_weights=" + value}); });
  };
  const std::string expected = "expected a list of numbers > 0, 'balanced' or 'none', got ";
  EXPECT_EQ(text("heavy"), "loss.class_weights=heavy: " + expected + "'heavy'");
  EXPECT_EQ(text("[]"), "loss.class_weights=[]: " + expected + "a list");
  EXPECT_EQ(text("[1, 0]"),
            "loss.class_weights=[1, 0]: key 'loss.class_weights.1': expected a number > 0, got 0");
  test::expect_has(to_toml(toy_recipe()), "class_weights = \"none\"\n");
  EXPECT_EQ(to_toml(toy_recipe({"loss.class_weights=[1, 2, 3]", "loss.class_weights=none"})),
            to_toml(toy_recipe()));
}

TEST(ClassWeights, OfAnotherNumberAreRefusedBeforeTheFirstStep) {
  ToyTraining toy(toy_recipe({"loss.class_weights=[1, 2]"}));
  Steps steps;
  EXPECT_EQ(error_text([&] { toy.fit(&steps); }),
            "[rate_mse] class_weights must be one for each of 3 outputs, got 2");
  EXPECT_TRUE(steps.losses.empty());
}

TEST(ClassWeights, TheArticlesRuleRefusesThem) {
  Sequential net{Flatten{}, Linear{4, 2, {.bias = false}}, SoftLIF{}};
  EXPECT_EQ(error_text([&] {
              ArticleRule{}.check(net, RateMse{{.class_weights = {1, 2}}});
            }),
            "[article] loss must have no class_weights, which the rule knows nothing of");
}

}  // namespace
}  // namespace volley

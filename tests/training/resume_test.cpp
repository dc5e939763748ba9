#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/kernels.hpp>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

// Interrupted anywhere, a training ends with the same bits; and it ends where it can do no good.

namespace volley {
namespace {

using test::all_weights;
using test::error_text;
using test::toy_recipe;
using test::ToyTraining;

/// Notes the steps and stops after the `stop_after`-th question.
struct Notes : Recorder {
  std::vector<IterationRecord> steps;
  std::size_t questions = 0;
  std::size_t stop_after = ~std::size_t{0};

  void iteration(const IterationRecord& record, Trainer&) override { steps.push_back(record); }
  bool stop() override { return ++questions >= stop_after; }
};

void expect_same(const std::vector<IterationRecord>& a, const std::vector<IterationRecord>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].epoch, b[i].epoch);
    EXPECT_EQ(a[i].iteration, b[i].iteration);
    EXPECT_EQ(a[i].loss, b[i].loss);
    EXPECT_EQ(a[i].batch_acc, b[i].batch_acc);
    EXPECT_EQ(a[i].grad_norm, b[i].grad_norm);
  }
}

void expect_same(const std::vector<EpochRecord>& a, const std::vector<EpochRecord>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].epoch, b[i].epoch);
    EXPECT_EQ(a[i].train_loss, b[i].train_loss);
    EXPECT_EQ(a[i].train_acc, b[i].train_acc);
    EXPECT_EQ(a[i].test_loss, b[i].test_loss);
    EXPECT_EQ(a[i].test_acc, b[i].test_acc);
    EXPECT_EQ(a[i].max_test_acc, b[i].max_test_acc);
  }
}

class Resume : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(Resume, StoppedAnywhereItEndsWithTheSameBits) {
  const Recipe recipe = toy_recipe(GetParam());
  Notes whole;
  ToyTraining reference(recipe);
  const History expected = reference.fit(&whole);
  ASSERT_EQ(whole.steps.size(), recipe.training.drop_last ? 12 : test::kToySteps);
  ASSERT_GT(whole.questions, whole.steps.size()) << "evaluations can be interrupted too";
  const test::TempFolder folder;
  for (std::size_t stop = 1; stop < whole.questions; ++stop) {
    SCOPED_TRACE(stop);
    Notes before, after;
    before.stop_after = stop;
    ToyTraining first(recipe);
    const History begun = first.fit(&before);
    ASSERT_TRUE(begun.stopped);
    save_checkpoint(folder / "c", {.recipe_toml = to_toml(recipe), .epochs = begun.epochs}, first.trainer);

    Recipe other = recipe;
    other.training.threads = 1;
    ToyTraining second(other);
    second.net.initialize(99);
    Checkpoint(folder / "c").load_into(second.trainer);
    const History ended = second.fit(&after);
    EXPECT_EQ(all_weights(second.net), all_weights(reference.net));
    before.steps.insert(before.steps.end(), after.steps.begin(), after.steps.end());
    expect_same(before.steps, whole.steps);
    std::vector<EpochRecord> epochs = begun.epochs;
    epochs.insert(epochs.end(), ended.epochs.begin(), ended.epochs.end());
    expect_same(epochs, expected.epochs);
    // The trainer that was stopped can go on by itself as well.
    first.fit();
    EXPECT_EQ(all_weights(first.net), all_weights(reference.net));
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Resume,
                         ::testing::Values(std::vector<std::string>{},
                                           std::vector<std::string>{"optimizer=sgd", "optimizer.momentum=0.9",
                                                                    "optimizer.nesterov=true"},
                                           std::vector<std::string>{"training.drop_last=true",
                                                                    "loss=rate_cross_entropy"}));

TEST(Resume, MoreEpochsAreAsManyFromTheBeginning) {
  ToyTraining longer(toy_recipe({"epochs=4"})), twice(toy_recipe({"epochs=2"}));
  longer.fit();
  twice.fit();
  twice.recipe.epochs = 4;
  EXPECT_EQ(twice.fit().epochs.front().epoch, 3u);
  EXPECT_EQ(all_weights(twice.net), all_weights(longer.net));
}

TEST(Resume, EveryTargetGivesTheSameBitsAndGoesOnWithThoseOfAnother) {
  const std::vector<std::string> targets = kernels::supported_targets();
  if (targets.size() < 2) GTEST_SKIP() << "this processor has one only";
  const test::TempFolder folder;
  std::vector<float> first;
  for (const std::string& target : targets) {
    kernels::force_target(target);
    ToyTraining whole(toy_recipe());
    whole.fit();
    if (first.empty()) first = all_weights(whole.net);
    EXPECT_EQ(all_weights(whole.net), first) << target;
    Notes seven;
    seven.stop_after = 7;
    ToyTraining begun(toy_recipe());
    const History history = begun.fit(&seven);
    save_checkpoint(folder / "c", {.recipe_toml = "", .epochs = history.epochs}, begun.trainer);
    kernels::force_target(target == targets.front() ? targets.back() : targets.front());
    ToyTraining ended(toy_recipe());
    Checkpoint(folder / "c").load_into(ended.trainer);
    ended.fit();
    EXPECT_EQ(all_weights(ended.net), first) << target;
  }
  kernels::force_target(kernels::supported_targets().front());
}

TEST(Resume, APositionBeyondTheEpochIsRefused) {
  ToyTraining toy(toy_recipe());
  toy.trainer.set_position({.iteration = 6, .iterations = 6});
  EXPECT_EQ(error_text([&] { toy.fit(); }),
            "[trainer] stripes: the epoch under way must have at least the 6 batches that are done, got 5");
  EXPECT_EQ(error_text([&] { toy.trainer.set_position({.epoch = 0}); }),
            "[trainer] epoch must be >= 1 and <= 16777215, got 0");
}

/// BPTT, but for one value of one gradient, from some step on.
class Spoiled final : public LearningRule {
 public:
  Spoiled(std::size_t first, std::size_t last, float value) : first_(first), last_(last), value_(value) {}
  std::string_view kind() const override { return "spoiled"; }
  void gradients(Layer& net, const Loss& loss, const volley::BatchResult& batch, Tape& tape) override {
    bptt_.gradients(net, loss, batch, tape);
    ++step_;
    if (step_ < first_ || step_ > last_) return;
    net.parameters().at(2).parameter->gradient.values().back() = value_;
  }

 private:
  Bptt bptt_;
  std::size_t first_, last_;
  std::size_t step_ = 0;
  float value_;
};

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct SpoiledTraining {
  Split data = test::toy_split();
  Sequential net;
  Trainer trainer;
  Notes notes;

  SpoiledTraining(std::size_t first, std::size_t last, float value, OnNonFinite policy,
                  const Recipe& recipe = toy_recipe())
      : net(recipe.build_network(Shape{1, 6, 6})),
        trainer(net, parts(first, last, value),
                {.steps = 6, .batch = 20, .seed = 3, .drop_last = false, .on_non_finite = policy}) {}
  static TrainerParts parts(std::size_t first, std::size_t last, float value) {
    TrainerParts parts = toy_recipe().build_parts();
    parts.rule = std::make_unique<Spoiled>(first, last, value);
    return parts;
  }
  History fit() { return trainer.fit(data.train, data.test, 3, &notes); }
};

TEST(NonFinite, StopsBeforeTheUpdateAndNamesTheParameter) {
  for (const float value : {kNaN, kInf, -kInf}) {
    SpoiledTraining toy(8, 8, value, OnNonFinite::stop);
    const std::string text = error_text([&] { toy.fit(); });
    EXPECT_TRUE(
        text.starts_with("[trainer] epoch 2, iteration 8: the gradient of '3.weight' is not finite, "
                         "the loss is 0."))
        << text;
    test::expect_has(text, "; likely cause: values beyond what a float holds, from a learning rate too high");
    EXPECT_EQ(toy.notes.steps.size(), 7u);
    // The state is that of seven good steps, from which one could go on.
    Notes stopped;
    stopped.stop_after = 7 + 3;  // three batches of the first evaluation
    ToyTraining good(toy_recipe());
    good.fit(&stopped);
    EXPECT_EQ(all_weights(toy.net), all_weights(good.net));
    EXPECT_EQ(toy.trainer.position().iterations, 7u);
  }
}

TEST(NonFinite, MayBeSkipped) {
  SpoiledTraining toy(8, 9, kInf, OnNonFinite::skip);
  const History history = toy.fit();
  ASSERT_EQ(history.epochs.size(), 3u);
  EXPECT_EQ(toy.trainer.optimizer().steps_taken(), test::kToySteps - 2);
  EXPECT_EQ(toy.notes.steps.size(), test::kToySteps);
  EXPECT_FALSE(std::isfinite(toy.notes.steps[7].grad_norm)) << "the record shows it";
  // The mean of the epoch is that of the three batches that counted: 20, 20 and 10 samples.
  const auto& steps = toy.notes.steps;
  EXPECT_DOUBLE_EQ(history.epochs[1].train_loss,
                   (20 * steps[5].loss + 20 * steps[6].loss + 10 * steps[9].loss) / 50);
  for (const float w : all_weights(toy.net)) ASSERT_TRUE(std::isfinite(w));
}

/// The values of all buffers, one after the other.
std::vector<float> all_buffers(Sequential& net) {
  std::vector<float> values;
  for (const NamedTensor& b : net.buffers()) {
    values.insert(values.end(), b.tensor->values().begin(), b.tensor->values().end());
  }
  return values;
}

TEST(NonFinite, TheBatchLeavesNothingInRunningStatistics) {
  Recipe recipe = toy_recipe();
  recipe.network.insert(recipe.network.begin() + 2, BatchNormRecipe{{}, 8});
  SpoiledTraining skipping(8, 9, kInf, OnNonFinite::skip, recipe);
  skipping.fit();
  EXPECT_EQ(all_buffers(skipping.net).back(), test::kToySteps - 2) << "batches that were tracked";
  SpoiledTraining stopping(8, 8, kNaN, OnNonFinite::stop, recipe);
  test::error_text([&] { stopping.fit(); });
  Notes stopped;
  stopped.stop_after = 7 + 3;
  ToyTraining good(recipe);
  good.fit(&stopped);
  EXPECT_EQ(all_buffers(stopping.net), all_buffers(good.net)) << "those of seven good steps";
}

TEST(NonFinite, AnEpochOfNothingButSkippedStepsIsAnError) {
  SpoiledTraining toy(6, 99, kNaN, OnNonFinite::skip);
  EXPECT_EQ(error_text([&] { toy.fit(); }),
            "[trainer] epoch 2: every step was skipped: loss or gradient was not finite");
}

TEST(NonFinite, ALearningRateThatIsTooHighIsNamedAsTheCause) {
  ToyTraining toy(toy_recipe({"optimizer=sgd", "optimizer.lr=3e38", "optimizer.weight_decay=3e38"}));
  const std::string text = error_text([&] { toy.fit(); });
  test::expect_has(text,
                   "itself has not been finite since an earlier update; likely cause: the learning rate "
                   "is too high");
  const test::TempFolder folder;
  test::expect_has(error_text([&] { save_checkpoint(folder / "c", {}, toy.trainer); }),
                   "c: not written, for '1.weight' is not finite; likely cause: the learning "
                   "rate is too high");
  EXPECT_FALSE(std::filesystem::exists(folder / "c"));
}

}  // namespace
}  // namespace volley

#include "tensorboard/tensorboard.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include <volley/volley.hpp>

#include "support/event_reader.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::read_events;
using test::ReadEvent;
using test::ToyTraining;

constexpr std::size_t kToyEpoch = test::kToySteps / 3;

fs::path event_file(const test::TempFolder& folder, int number) {
  return folder / fmt::format("events.out.tfevents.{:06}.volley", number);
}

/// Hands everything on to `recorder`, and stops after some steps.
class StopAfter final : public Recorder {
 public:
  StopAfter(Recorder& recorder, std::size_t steps) : recorder_(recorder), steps_(steps) {}
  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override {
    recorder_.begin(epochs, iterations, test_batches);
  }
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    recorder_.iteration(record, trainer);
    stop_ = record.iteration == steps_;
  }
  void epoch(const EpochRecord& record, Trainer& trainer) override { recorder_.epoch(record, trainer); }
  bool stop() override { return stop_; }

 private:
  Recorder& recorder_;
  std::size_t steps_;
  bool stop_ = false;
};

TEST(TensorBoardTest, TellsOfEveryStepAndEpoch) {
  const test::TempFolder folder;
  ToyTraining training(test::toy_recipe());
  TensorBoardRecorder recorder(folder.path(), training.trainer);
  const History history = training.fit(&recorder);
  recorder.end();

  const std::vector<ReadEvent> events = read_events(event_file(folder, 1));
  ASSERT_EQ(events.size(), 2 + test::kToySteps + 3);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_TRUE(events[1].start);
  EXPECT_EQ(events[1].step, 1u);
  for (std::size_t i = 0; i < kToyEpoch; ++i) {
    EXPECT_EQ(events[2 + i].step, i + 1);
    EXPECT_EQ(events[2 + i].scalars.count("iteration/loss"), 1u);
    EXPECT_GT(events[2 + i].scalars.at("iteration/grad_norm"), 0);
    EXPECT_EQ(events[2 + i].scalars.at("iteration/lr"), 0.01f);
  }
  for (std::size_t e = 0; e < 3; ++e) {
    const ReadEvent& event = events[2 + (e + 1) * (kToyEpoch + 1) - 1];
    EXPECT_EQ(event.step, (e + 1) * kToyEpoch);
    EXPECT_EQ(event.scalars.at("epoch/number"), static_cast<float>(e + 1));
    EXPECT_EQ(event.scalars.at("epoch/test_acc"), static_cast<float>(history.epochs[e].test_acc));
    EXPECT_EQ(event.scalars.at("epoch/train_loss"), static_cast<float>(history.epochs[e].train_loss));
    EXPECT_EQ(event.scalars.count("firing_rate/2_lif"), 1u);
    EXPECT_EQ(event.scalars.count("dead_share/4_lif"), 1u);
  }
}

TEST(TensorBoardTest, HasEveryWeightAndAGradientThatIsNotGone) {
  const test::TempFolder folder;
  ToyTraining training(test::toy_recipe({"epochs=1"}));
  TensorBoardRecorder recorder(folder.path(), training.trainer);
  training.fit(&recorder);
  const std::vector<ReadEvent> events = read_events(event_file(folder, 1));
  const ReadEvent& last = events.back();
  const auto sum = [&](const std::string& tag) {
    const std::vector<double>& counts = last.buckets.at(tag);
    return std::accumulate(counts.begin(), counts.end(), 0.0);
  };
  double squares = 0;
  for (const NamedParameter& p : training.net.parameters()) {
    const auto size = static_cast<double>(p.parameter->value.size());
    EXPECT_EQ(sum("weights/" + p.name), size);
    EXPECT_EQ(sum("gradients/" + p.name), size);
    squares += Histogram::of(p.parameter->gradient.values()).sum_of_squares;
  }
  EXPECT_EQ(last.buckets.size(), 2 * training.net.parameters().size());
  const ReadEvent& last_step = events[events.size() - 2];
  EXPECT_GT(squares, 0);
  EXPECT_FLOAT_EQ(static_cast<float>(std::sqrt(squares)), last_step.scalars.at("iteration/grad_norm"));
}

TEST(TensorBoardTest, ShowsTheFirstPicturesAndTheirSpikes) {
  const test::TempFolder folder;
  ToyTraining training(test::toy_recipe());
  TensorBoardRecorder recorder(folder.path(), training.trainer);
  recorder.show(training.data.train, *training.recipe.build_parts().encoder, training.trainer);
  const ReadEvent shown = read_events(event_file(folder, 1)).back();
  EXPECT_EQ(shown.step, 0u);
  ASSERT_EQ(shown.images.size(), 8u);
  for (const auto& [tag, png] : shown.images) EXPECT_TRUE(png.starts_with("\x89PNG")) << tag;
}

TEST(TensorBoardTest, AResumedTrainingHasAFileOfItsOwnThatVoidsWhatComesAgain) {
  const test::TempFolder folder;
  const Recipe recipe = test::toy_recipe();
  {
    ToyTraining training(recipe);
    TensorBoardRecorder recorder(folder.path(), training.trainer);
    StopAfter stop(recorder, 7);
    EXPECT_TRUE(training.fit(&stop).stopped);
    recorder.end();
  }
  ToyTraining again(recipe);
  TrainerPosition position;
  position.epoch = 2;
  position.iterations = kToyEpoch;  // its checkpoint was of the epoch before
  again.trainer.set_position(position);
  TensorBoardRecorder recorder(folder.path(), again.trainer);
  again.fit(&recorder);
  EXPECT_EQ(read_events(event_file(folder, 1)).back().step, 7u);
  const std::vector<ReadEvent> events = read_events(event_file(folder, 2));
  EXPECT_TRUE(events[1].start);
  EXPECT_EQ(events[1].step, kToyEpoch + 1);
  EXPECT_EQ(events[2].step, kToyEpoch + 1);
  EXPECT_EQ(events.back().step, test::kToySteps);
}

TEST(TensorBoardTest, ALongTrainingHasTenThousandPointsACurve) {
  const test::TempFolder folder;
  ToyTraining training(test::toy_recipe());
  TensorBoardRecorder recorder(folder.path(), training.trainer);
  recorder.begin(100, 937, 1);
  for (std::size_t i = 1; i <= 100; ++i) recorder.iteration({.epoch = 1, .iteration = i}, training.trainer);
  recorder.end();
  const std::vector<ReadEvent> events = read_events(event_file(folder, 1));
  ASSERT_EQ(events.size(), 2 + 10u);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(events[2 + i].step, 10 * (i + 1));
}

}  // namespace
}  // namespace volley

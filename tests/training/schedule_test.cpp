#include <gtest/gtest.h>

#include <cmath>

#include <volley/volley.hpp>

#include "spec/schedule.hpp"
#include "support/error_text.hpp"

// Closed forms against torch: tests/parity/parts_parity_test.cpp. Here: what is counted, and that a trainer
// obeys.

namespace volley {
namespace {

using test::error_text;

TEST(Schedule, CountsEpochsOrSteps) {
  const Schedule of_epochs = ExponentialSchedule{{}, 0.5};
  const Schedule of_steps = ExponentialSchedule{{.unit = ScheduleUnit::step}, 0.5};
  EXPECT_EQ(scheduled_lr(of_epochs, 8, 2, 100), 2);
  EXPECT_EQ(scheduled_lr(of_steps, 8, 2, 3), 1);
}

TEST(Schedule, WarmsUpAndThenBegins) {
  const Schedule schedule = StepSchedule{{.warmup = 4, .warmup_start = 0.5}, 2, 0.1};
  const double expected[] = {0.5, 0.625, 0.75, 0.875, 1, 1, 0.1, 0.1, 0.01};
  for (std::size_t k = 0; k < 9; ++k) EXPECT_NEAR(scheduled_lr(schedule, 1, k, 0), expected[k], 1e-15) << k;
}

TEST(Schedule, IsTheSpecification) {
  const std::vector<std::size_t> milestones{2, 3, 11};
  for (std::uint64_t k = 0; k < 20; ++k) {
    const auto lr = [k](const Schedule& schedule) { return scheduled_lr(schedule, 0.3, k, 0); };
    EXPECT_EQ(lr(StepSchedule{{}, 3, 0.7}), spec::step_lr(0.3, k, 3, 0.7));
    EXPECT_EQ(lr(MultiStepSchedule{{}, milestones, 0.7}), spec::multi_step_lr(0.3, k, milestones, 0.7));
    EXPECT_EQ(lr(ExponentialSchedule{{}, 0.7}), spec::exponential_lr(0.3, k, 0.7));
    EXPECT_EQ(lr(CosineSchedule{{}, 7, 0.01}), spec::cosine_lr(0.3, k, 7, 0.01));
    EXPECT_EQ(lr(ConstantSchedule{{.warmup = 30, .warmup_start = 0.2}}), spec::warmup_lr(0.3, k, 30, 0.2));
  }
}

TEST(Schedule, RefusesWhatItCannotDo) {
  EXPECT_EQ(error_text([] { check_schedule(StepSchedule{}); }),
            "[step] step_size must be >= 1 and <= 1000000000000, got 0");
  EXPECT_EQ(error_text([] { check_schedule(ExponentialSchedule{}); }),
            "[exponential] gamma must be > 0, got 0");
  EXPECT_EQ(error_text([] {
              check_schedule(MultiStepSchedule{{}, {3, 2}});
            }),
            "[multi_step] milestones must be ascending, got 3, 2");
  EXPECT_EQ(error_text([] { check_schedule(ConstantSchedule{{.warmup_start = 1.5}}); }),
            "[constant] warmup_start must be >= 0 and <= 1, got 1.5");
}

/// Pictures of one bright pixel that is the class.
Dataset dots() {
  Dataset data{.name = "dots", .shape = {4}, .pixels = {}, .labels = {}, .classes = {"0", "1", "2", "3"}};
  for (std::size_t n = 0; n < 40; ++n) {
    for (std::size_t f = 0; f < 4; ++f) data.pixels.push_back(f == n % 4 ? 255 : 30);
    data.labels.push_back(static_cast<std::uint8_t>(n % 4));
  }
  return data;
}

/// Notes the learning rate of every step.
struct RateNotes final : Recorder {
  std::vector<float> rates;
  std::vector<double> norms;
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    rates.push_back(trainer.optimizer().lr());
    norms.push_back(record.grad_norm);
  }
};

struct Trained {
  RateNotes notes;
  std::vector<float> weights;
};

Trained trained(const Schedule& schedule, const TrainerOptions& options, std::size_t epochs,
                std::size_t epochs_after = 0) {
  Sequential net{Linear{4, 4}, LIF{}};
  net.initialize(0);
  TrainerParts parts{.optimizer = std::make_unique<Sgd>(0.5f),
                     .loss = std::make_unique<RateMse>(),
                     .encoder = std::make_unique<Poisson>(),
                     .schedule = schedule};
  Trainer trainer(net, std::move(parts), options);
  Trained result;
  const Dataset data = dots();
  trainer.fit(data, data, epochs, &result.notes);
  if (epochs_after > 0) trainer.fit(data, data, epochs_after, &result.notes);
  const auto values = net.parameters()[0].parameter->value.values();
  result.weights.assign(values.begin(), values.end());
  return result;
}

TEST(Trainer, SetsTheLearningRateOfTheSchedule) {
  const TrainerOptions options{.steps = 6, .batch = 20};
  EXPECT_EQ(trained(StepSchedule{{}, 1, 0.5}, options, 3).notes.rates,
            (std::vector<float>{0.5f, 0.5f, 0.25f, 0.25f, 0.125f, 0.125f}));
  EXPECT_EQ(trained(StepSchedule{{.unit = ScheduleUnit::step}, 1, 0.5}, options, 2).notes.rates,
            (std::vector<float>{0.5f, 0.25f, 0.125f, 0.0625f}));
  EXPECT_EQ(trained(ConstantSchedule{}, options, 1).notes.rates, (std::vector<float>{0.5f, 0.5f}));
}

TEST(Trainer, GoesOnWithTheScheduleWhereItStopped) {
  const TrainerOptions options{.steps = 6, .batch = 20};
  for (const ScheduleUnit unit : {ScheduleUnit::epoch, ScheduleUnit::step}) {
    const Schedule schedule = CosineSchedule{{.unit = unit, .warmup = 1}, 5};
    const Trained once = trained(schedule, options, 4);
    const Trained twice = trained(schedule, options, 1, 3);
    EXPECT_EQ(twice.notes.rates, once.notes.rates);
    EXPECT_EQ(twice.weights, once.weights);
  }
}

TEST(Trainer, ClipsGradientsAndRecordsTheirNormBefore) {
  const TrainerOptions plain{.steps = 6, .batch = 40};
  const TrainerOptions clipped{.steps = 6, .batch = 40, .clip_norm = 1e-3f};
  const Trained free = trained(ConstantSchedule{}, plain, 1);
  const Trained held = trained(ConstantSchedule{}, clipped, 1);
  ASSERT_GT(free.notes.norms.at(0), 1e-2);
  EXPECT_EQ(held.notes.norms, free.notes.norms);
  Sequential initial{Linear{4, 4}};
  initial.initialize(0);
  const float* w = initial.parameters()[0].parameter->value.data();
  const double factor = 1e-3 / (free.notes.norms[0] + 1e-6);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(held.weights[i] - w[i], factor * static_cast<double>(free.weights[i] - w[i]), 1e-7);
  }
  EXPECT_EQ(error_text(
                [] { trained(ConstantSchedule{}, {.batch = 40, .clip_norm = 1.0f, .clip_value = 1.0f}, 1); }),
            "[trainer] clip_norm and clip_value: at most one may be given, got both");
}

}  // namespace
}  // namespace volley

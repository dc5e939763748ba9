#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include <volley/error.hpp>
#include <volley/trainer.hpp>

#include "core/philox.hpp"
#include "training/batch_walk.hpp"
#include "training/stage_guard.hpp"

namespace volley {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Which parameter is the first to have lost its gradient, and why that may be.
std::string non_finite_text(const TrainerPosition& position, double loss,
                            const std::vector<NamedParameter>& parameters) {
  std::string found = fmt::format("the loss is {}", loss);
  std::string cause = "likely cause: values beyond what a float holds, from a learning rate too high";
  for (const NamedParameter& p : parameters) {
    if (is_finite(p.parameter->gradient)) continue;
    found = fmt::format("the gradient of '{}' is not finite, the loss is {}", p.name, loss);
    break;
  }
  for (const NamedParameter& p : parameters) {
    if (is_finite(p.parameter->value)) continue;
    cause = fmt::format(
        "'{}' itself has not been finite since an earlier update; likely cause: the learning "
        "rate is too high",
        p.name);
    break;
  }
  return fmt::format("[trainer] epoch {}, iteration {}: {}; {}", position.epoch, position.iterations + 1,
                     found, cause);
}

/// Whether one sample of one step can be trained on: a batch-norm layer refuses one value per channel.
std::string problem_of_one_sample(const Layer& net, const Encoder& encoder, const Source& train) {
  Device device(ThreadPool::shared());
  Tape tape(device);
  const std::array<std::uint32_t, 1> samples{0};
  WalkMemory memory(device);
  BatchWalk walk({.source = train,
                  .order = samples,
                  .batch = 1,
                  .steps = 1,
                  .draw = {},
                  .encoder = encoder,
                  .ahead = false},
                 memory);
  static_cast<void>(walk.next());
  const Signal x = walk.batch().x;
  tape.set_context({.training = true, .draw = {}, .samples = samples});
  try {
    static_cast<void>(net.forward(x, tape));
    return "";
  } catch (const ShapeError& error) {
    return error.what();
  }
}

}  // namespace

std::size_t epochs_since_best(const std::vector<EpochRecord>& epochs) {
  if (epochs.empty()) return 0;
  const auto best = std::ranges::max_element(epochs, {}, &EpochRecord::score);
  return static_cast<std::size_t>(epochs.end() - best) - 1;
}

/// Throws where `data` cannot be trained on for `epochs` epochs from here.
void Trainer::check_fit(const Sets& data, std::size_t epochs) const {
  const Source& train = data.train;
  const SourceInfo& info = train.info();
  check_data(train);
  if (data.test != nullptr) check_data(*data.test);
  if (options_.early_stopping > 0 && data.test == nullptr && data.validation == nullptr)
    throw ArgumentError("trainer", "early_stopping needs a test or a validation set", "none");
  if (data.validation != nullptr) check_data(*data.validation);
  if (parts_.augment.active() && info.kind != SampleKind::bytes) {
    throw ArgumentError("trainer", fmt::format("{}: augmentation is for pictures", info.name));
  }
  if (info.kind == SampleKind::bytes) parts_.augment.check(info.shape);
  check_range("trainer", "epochs", static_cast<double>(epochs),
              between(0, static_cast<double>(kMaxEpoch - position_.epoch + 1)));
  const std::size_t batches = batches_of(train.size(), options_.drop_last);
  if (batches == 0) {
    throw ArgumentError("trainer", fmt::format("{}: {} samples do not fill one batch of {}", info.name,
                                               train.size(), options_.batch));
  }
  const std::size_t rest = options_.drop_last ? 0 : train.size() % options_.batch;
  const std::size_t T = has_steps(info.kind) ? info.steps : options_.steps;
  if (T == 1 && (rest == 0 ? options_.batch : rest) == 1) {
    const std::string problem = problem_of_one_sample(net_, *parts_.encoder, train);
    if (!problem.empty()) {
      throw ArgumentError(
          "trainer",
          fmt::format(
              "{}: no batch may have a single sample of a single step; set another batch, or drop_last",
              info.name),
          fmt::format("{} = 1 ({})",
                      rest == 1 ? fmt::format("{} mod {}", train.size(), options_.batch) : "batch", problem));
    }
  }
  if (position_.iteration > batches) {
    throw ArgumentError("trainer",
                        fmt::format("{}: the epoch under way must have at least the {} batches that are done",
                                    info.name, position_.iteration),
                        std::to_string(batches));
  }
}

History Trainer::fit(const Sets& data, std::size_t epochs, Recorder* recorder) {
  if (stage_ != Stage::idle)
    throw ArgumentError("trainer", "fit must not be called within a fit or an evaluation");
  const StageGuard guard(stage_, Stage::working);
  check_fit(data, epochs);
  begin_fit(data);
  Recorder silent;
  Recorder& report = recorder != nullptr ? *recorder : silent;
  tell([&] {
    report.begin(position_.epoch - 1 + epochs, batches_of(data.train.size(), options_.drop_last),
                 batches_of(data.validation != nullptr ? data.validation->size() : 0, false) +
                     batches_of(data.test != nullptr ? data.test->size() : 0, false));
  });
  History history;
  while (history.epochs.size() < epochs && !history.stopped && !history.stopped_early) {
    history.stopped_early = is_stalled();
    if (!history.stopped_early) history.stopped = !fit_epoch(data, report, history);
  }
  return history;
}

/// Whether early_stopping ends the training here, between two epochs.
bool Trainer::is_stalled() const {
  return options_.early_stopping > 0 && position_.iteration == 0 &&
         position_.epochs_since_best >= options_.early_stopping;
}

/// The rest of the epoch under way, and its evaluation; false when the recorder stopped it.
bool Trainer::fit_epoch(const Sets& data, Recorder& report, History& history) {
  const auto& [train, test, validation] = data;
  const std::size_t batches = batches_of(train.size(), options_.drop_last);
  if (!train_steps(train, batches, report)) return false;
  const Clock::time_point start = Clock::now();
  Evaluation held_out;
  Draw draw{options_.seed, static_cast<std::uint32_t>(position_.epoch), Draw::Purpose::validation};
  if (validation != nullptr) held_out = run_evaluation(*validation, draw, &report);
  if (held_out.stopped) return false;
  draw.purpose = Draw::Purpose::test;
  Evaluation evaluation{.loss = kNotKnown, .accuracy = kNotKnown};
  if (test != nullptr) evaluation = run_evaluation(*test, draw, &report);
  if (evaluation.stopped) return false;
  const auto seen = static_cast<double>(position_.seen);
  const auto samples = static_cast<double>(std::min(batches * options_.batch, train.size()));
  EpochRecord record{
      .epoch = position_.epoch,
      .train_loss = position_.loss_sum / (position_.weight_sum > 0 ? position_.weight_sum : seen),
      .train_acc = share_of({position_.right, position_.predictions}),
      .test_loss = evaluation.loss,
      .test_acc = evaluation.accuracy,
      .max_test_acc = std::isnan(evaluation.accuracy) ? evaluation.accuracy
                                                      : std::max(position_.max_test_acc, evaluation.accuracy),
      .train_samples_per_second = samples / position_.seconds,
      .test_samples_per_second = test != nullptr ? static_cast<double>(test->size()) / evaluation.seconds : 0,
      .seconds = position_.seconds + seconds_since(start),
      .test_silent = evaluation.silent};
  record.activity = std::move(evaluation.activity);
  double max_validation_acc = position_.max_validation_acc;
  double test_acc_at_best = position_.test_acc_at_best_validation;
  if (validation != nullptr) {
    if (position_.epoch == 1 || held_out.accuracy > max_validation_acc) {
      max_validation_acc = held_out.accuracy;
      test_acc_at_best = evaluation.accuracy;
    }
    record.validation = {held_out.loss, held_out.accuracy, test_acc_at_best};
  }
  const double accuracy_before =
      validation != nullptr ? position_.max_validation_acc : position_.max_test_acc;
  const bool predicts = record.predicts();
  const bool best =
      position_.epoch == 1 || record.score() > (predicts ? accuracy_before : -position_.min_loss);
  const auto known = [](double acc) { return std::isnan(acc) ? 0 : acc; };
  const double min_loss = !predicts && best ? -record.score() : position_.min_loss;
  position_ = {.epoch = position_.epoch + 1,
               .iterations = position_.iterations,
               .max_test_acc = known(record.max_test_acc),
               .max_validation_acc = known(max_validation_acc),
               .test_acc_at_best_validation = known(test_acc_at_best),
               .min_loss = min_loss,
               .epochs_since_best = best ? 0 : position_.epochs_since_best + 1};
  history.epochs.push_back(record);
  tell([&] { report.epoch(record, *this); });
  return true;
}

/// The steps of the epoch that are left; false when the recorder stopped them.
bool Trainer::train_steps(const Source& train, std::size_t batches, Recorder& report) {
  const Draw draw{options_.seed, static_cast<std::uint32_t>(position_.epoch), Draw::Purpose::train};
  const std::span<const std::uint32_t> order = shuffled(train, draw.epoch);
  const Clock::time_point start = Clock::now();
  const double seconds_before = position_.seconds;
  const std::size_t done = position_.iteration * options_.batch;
  const std::size_t all = std::min(batches * options_.batch, order.size());
  BatchWalk walk = this->walk(train, order.subspan(done, all - std::min(done, all)), draw);
  while (walk.next()) {
    const std::span<const std::uint32_t> samples = walk.batch().samples;
    const StepResult step = compute_gradients(walk.batch(), draw);
    if (is_good(step)) {
      update(step);
      position_.loss_sum += step.loss * step.weight;
      if (step.weighted) position_.weight_sum += step.weight;
      position_.right += step.hits.right;
      position_.predictions += step.hits.of;
      position_.seen += samples.size();
    }
    ++position_.iteration;
    ++position_.iterations;
    position_.seconds = seconds_before + seconds_since(start);
    const IterationRecord record{.epoch = position_.epoch,
                                 .iteration = position_.iterations,
                                 .loss = step.loss,
                                 .batch_acc = share_of(step.hits),
                                 .grad_norm = step.grad_norm};
    const bool stopped = tell([&] {
      report.iteration(record, *this);
      return report.stop();
    });
    if (stopped) return false;
  }
  if (position_.seen == 0) {
    throw Error(fmt::format("[trainer] epoch {}: every step was skipped: loss or gradient was not finite",
                            position_.epoch));
  }
  return true;
}

/// Whether the parameters may be updated by this batch; if not, the network is as it was before it. A
/// gradient that is not finite shows in its norm, so nothing is looked for until there is something to find.
bool Trainer::is_good(const StepResult& step) {
  if (std::isfinite(step.loss) && std::isfinite(step.grad_norm)) return true;
  restore_buffers();
  if (options_.on_non_finite == OnNonFinite::skip) return false;
  throw Error(non_finite_text(position_, step.loss, net_.parameters()));
}

}  // namespace volley

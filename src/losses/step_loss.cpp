#include <volley/step_loss.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

#include "losses/loss_parts.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

/// What a loss of steps keeps on its tape.
struct SavedSteps {
  SavedLosses of_samples;
  Buffer<float> class_weights;
};

}  // namespace

StepCrossEntropy::StepCrossEntropy(const StepCrossEntropyOptions& options) : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

void StepCrossEntropy::check_targets(const Signal& y, const Targets& targets) const {
  check_labels(kind(), y, targets, true);
}

double StepCrossEntropy::do_forward(const Signal& y, const Targets& targets, Tensor& scores,
                                    Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedSteps& saved = tape.saved<SavedSteps>();
  device.run(ops::ReadScores{
      .y = view_of(y, device), .over = ops::ReadOver::each_step, .scores = device.write(scores)});
  device.run(
      ops::StepCrossEntropy{.y = values_of(y, device),
                            .N = y.samples(),
                            .T = y.steps(),
                            .K = y.features(),
                            .targets = saved.of_samples.targets.take(*this, targets, y.samples(), tape),
                            .class_weights = put(saved.class_weights, class_weights(), device),
                            .smoothing = options_.label_smoothing,
                            .losses = saved.of_samples.write_losses(y.samples(), device)});
  return saved.of_samples.mean_of(1, device);
}

void StepCrossEntropy::do_backward(const Signal& y, const Targets&, const Tensor&, Tensor& dy,
                                   Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedSteps& saved = tape.saved<SavedSteps>();
  device.run(ops::StepCrossEntropy{
      .y = values_of(y, device),
      .N = y.samples(),
      .T = y.steps(),
      .K = y.features(),
      .targets = saved.of_samples.targets.view(),
      .class_weights = class_weights().empty() ? nullptr : device.read(saved.class_weights),
      .smoothing = options_.label_smoothing,
      .dy = device.write(dy)});
}

/// What the outputs are compared with, where a device finds it.
struct FirstSpikeLoss::Comparison {
  Executor& device;
  ops::FirstSpikes at;
};

double FirstSpikeLoss::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedLosses& saved = tape.saved<SavedLosses>();
  compare({.device = device,
           .at = {.kind = kind(),
                  .y = values_of(y, device),
                  .N = y.samples(),
                  .T = y.steps(),
                  .K = y.features(),
                  .targets = saved.targets.take(*this, targets, y.samples(), tape),
                  .scores = device.write(scores),
                  .losses = saved.write_losses(y.samples(), device)}});
  return saved.mean_of(1, device);
}

void FirstSpikeLoss::do_backward(const Signal& y, const Targets&, const Tensor&, Tensor& dy,
                                 Tape& tape) const {
  Executor& device = executor_of(tape);
  compare({.device = device,
           .at = {.kind = kind(),
                  .y = values_of(y, device),
                  .N = y.samples(),
                  .T = y.steps(),
                  .K = y.features(),
                  .targets = tape.saved<SavedLosses>().targets.view(),
                  .dy = device.write(dy)}});
}

FirstSpikeCrossEntropy::FirstSpikeCrossEntropy(const FirstSpikeCrossEntropyOptions& options)
    : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

void FirstSpikeCrossEntropy::compare(const Comparison& what) const {
  what.device.run(ops::FirstSpikeCrossEntropy{.at = what.at, .smoothing = options_.label_smoothing});
}

FirstSpikeMse::FirstSpikeMse(const FirstSpikeMseOptions& options) : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

void FirstSpikeMse::check_targets(const Signal& y, const Targets& targets) const {
  if (targets.values.size() == 0) return Loss::check_targets(y, targets);
  const Shape expected{y.samples(), y.features()};
  if (targets.values.shape() != expected) {
    throw ShapeError(kind(), fmt::format("targets must be {}", expected.text()), targets.values.shape());
  }
  if (!targets.labels.empty() || !targets.heads.empty()) {
    throw ArgumentError(kind(), "targets must be labels or values", "both");
  }
}

void FirstSpikeMse::compare(const Comparison& what) const {
  what.device.run(ops::FirstSpikeMse{.at = what.at,
                                     .scale = options_.scale,
                                     .on = options_.on_step,
                                     .off = options_.off_step.value_or(0),
                                     .off_at_last = !options_.off_step.has_value()});
}

}  // namespace volley

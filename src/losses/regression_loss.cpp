#include <volley/regression_loss.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

#include "losses/loss_parts.hpp"
#include "signal/views.hpp"

namespace volley {

Shape RegressionLoss::scores_shape(const Shape& y) const {
  return readout_ == ValueReadout::each_step ? y : Shape{y[0], y[2]};
}

void RegressionLoss::check_targets(const Signal& y, const Targets& targets) const {
  if (!targets.labels.empty() || !targets.heads.empty()) {
    throw ArgumentError(kind(), "targets must be real values", targets.heads.empty() ? "labels" : "heads");
  }
  const Shape& shape = targets.values.shape();
  const Shape of_samples{y.samples(), y.features()};
  if (shape == of_samples || (readout_ == ValueReadout::each_step && shape == y.shape())) return;
  const std::string or_steps =
      readout_ == ValueReadout::each_step ? fmt::format(" or {}", y.shape().text()) : "";
  throw ShapeError(kind(), fmt::format("targets must be {}{}", of_samples.text(), or_steps), shape);
}

/// A regression in the words of operations.
struct RegressionLoss::Lowered {
  static ops::ReadOver over(ValueReadout readout) {
    switch (readout) {
      case ValueReadout::mean: return ops::ReadOver::mean;
      case ValueReadout::last: return ops::ReadOver::last;
      case ValueReadout::sum: return ops::ReadOver::sum;
      case ValueReadout::each_step: break;
    }
    return ops::ReadOver::each_step;
  }
  static ops::ErrorWorth worth(Worth worth) {
    switch (worth) {
      case Worth::square: return ops::ErrorWorth::square;
      case Worth::size: return ops::ErrorWorth::size;
      case Worth::huber: break;
    }
    return ops::ErrorWorth::huber;
  }
  static ops::Regression of(const RegressionLoss& loss, const Signal& y, const Tensor& scores,
                            const ops::TargetsView& targets, Executor& device) {
    return {.z = device.read(scores),
            .N = y.samples(),
            .T = y.steps(),
            .K = y.features(),
            .targets = targets,
            .over = over(loss.readout_),
            .worth = worth(loss.worth_),
            .delta = loss.delta_,
            .scale = loss.scale_};
  }
};

double RegressionLoss::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedLosses& saved = tape.saved<SavedLosses>();
  const ops::TargetsView view = saved.targets.take(*this, targets, y.samples(), tape);
  device.run(ops::ReadScores{.y = view_of(y, device),
                             .lengths = view.lengths,
                             .over = Lowered::over(readout_),
                             .scores = device.write(scores)});
  ops::Regression op = Lowered::of(*this, y, scores, view, device);
  op.losses = saved.write_losses(y.samples(), device);
  device.run(op);
  return saved.mean_of(scale_, device);
}

void RegressionLoss::do_backward(const Signal& y, const Targets&, const Tensor& scores, Tensor& dy,
                                 Tape& tape) const {
  Executor& device = executor_of(tape);
  ops::Regression op = Lowered::of(*this, y, scores, tape.saved<SavedLosses>().targets.view(), device);
  op.dy = device.write(dy);
  device.run(op);
}

Mse::Mse(const MseOptions& options)
    : RegressionLoss(options.scale, options.readout, Worth::square), options_(options) {
  check_fields(kind(), options);
}

L1::L1(const L1Options& options)
    : RegressionLoss(options.scale, options.readout, Worth::size), options_(options) {
  check_fields(kind(), options);
}

Huber::Huber(const HuberOptions& options)
    : RegressionLoss(options.scale, options.readout, Worth::huber, options.delta), options_(options) {
  check_fields(kind(), options);
}

}  // namespace volley

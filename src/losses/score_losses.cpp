#include <utility>

#include <volley/error.hpp>
#include <volley/loss.hpp>

#include "losses/loss_parts.hpp"
#include "signal/views.hpp"

namespace volley {

/// A comparison of scores with labels, where a device finds it.
struct ScoreLoss::Comparison {
  Executor& device;
  const float* z;  // (N, K)
  std::size_t N, T, K;
  ops::TargetsView targets;
  double* loss = nullptr;  // one of these is asked for
  float* dz = nullptr;

  static ops::ReadOver lowered(Over over) {
    switch (over) {
      case Over::mean: return ops::ReadOver::mean;
      case Over::sum: return ops::ReadOver::sum;
      case Over::last: break;
    }
    return ops::ReadOver::last;
  }
};

namespace {

/// What a loss of scores keeps on its tape.
struct SavedScores {
  SavedTargets targets;
  Buffer<double> loss;
  Buffer<float> dz;
};

}  // namespace

double ScoreLoss::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  if (of_membranes_ && y.is_spikes()) {
    throw ArgumentError(kind(), "y must be real-valued, potentials", "spikes");
  }
  Executor& device = executor_of(tape);
  SavedScores& saved = tape.saved<SavedScores>();
  const ops::TargetsView view = saved.targets.take(*this, targets, y.samples(), tape);
  device.run(ops::ReadScores{.y = view_of(y, device),
                             .lengths = view.lengths,
                             .over = Comparison::lowered(over_),
                             .scores = device.write(scores)});
  saved.loss.resize(1);
  compare({.device = device,
           .z = device.read(scores),
           .N = y.samples(),
           .T = y.steps(),
           .K = y.features(),
           .targets = view,
           .loss = device.write(saved.loss)});
  return std::as_const(saved.loss)[0];
}

void ScoreLoss::do_backward(const Signal& y, const Targets&, const Tensor& scores, Tensor& dy,
                            Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedScores& saved = tape.saved<SavedScores>();
  const ops::TargetsView& view = saved.targets.view();
  const std::size_t N = y.samples(), T = y.steps(), K = y.features();
  saved.dz.resize(N * K);
  compare({.device = device,
           .z = device.read(scores),
           .N = N,
           .T = T,
           .K = K,
           .targets = view,
           .dz = device.write(saved.dz)});
  device.run(ops::SpreadScores{.dscores = device.read(saved.dz),
                               .N = N,
                               .T = T,
                               .K = K,
                               .lengths = view.lengths,
                               .over = Comparison::lowered(over_),
                               .dy = device.write(dy)});
}

void ScoreMse::compare(const Comparison& what) const {
  what.device.run(ops::ScoreMse{.z = what.z,
                                .N = what.N,
                                .T = what.T,
                                .K = what.K,
                                .targets = what.targets,
                                .scale = scale_,
                                .on = goals_.on,
                                .off = goals_.off,
                                .per_step = goals_.per_step,
                                .loss = what.loss,
                                .dz = what.dz});
}

void ScoreCrossEntropy::compare(const Comparison& what) const {
  what.device.run(ops::ScoreCrossEntropy{.z = what.z,
                                         .N = what.N,
                                         .K = what.K,
                                         .targets = what.targets,
                                         .smoothing = label_smoothing_,
                                         .loss = what.loss,
                                         .dz = what.dz});
}

RateMse::RateMse(const RateMseOptions& options)
    : ScoreMse(Over::mean, false, options.scale, {}), options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

CountMse::CountMse(const CountMseOptions& options)
    : ScoreMse(Over::sum, false, options.scale,
               {.on = options.correct_rate, .off = options.incorrect_rate, .per_step = true}),
      options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

MembraneMse::MembraneMse(const MembraneMseOptions& options)
    : ScoreMse(options.readout == Readout::last ? Over::last : Over::mean, true, options.scale, {}),
      options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

RateCrossEntropy::RateCrossEntropy(const RateCrossEntropyOptions& options)
    : ScoreCrossEntropy(Over::mean, false, options.label_smoothing), options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

CountCrossEntropy::CountCrossEntropy(const CountCrossEntropyOptions& options)
    : ScoreCrossEntropy(Over::sum, false, options.label_smoothing), options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

MembraneCrossEntropy::MembraneCrossEntropy(const MembraneCrossEntropyOptions& options)
    : ScoreCrossEntropy(options.readout == Readout::last ? Over::last : Over::mean, true,
                        options.label_smoothing),
      options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

}  // namespace volley

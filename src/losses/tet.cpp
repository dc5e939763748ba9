#include <volley/loss.hpp>

#include "losses/loss_parts.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

ops::Tet lowered(const TetOptions& o, const Signal& y, const ops::TargetsView& targets, Executor& device) {
  return {.y = view_of(y, device),
          .targets = targets,
          .lamb = o.lamb,
          .means = o.means,
          .smoothing = o.label_smoothing};
}

}  // namespace

Tet::Tet(const TetOptions& options) : options_(options) {
  check_fields(kind(), options);
  set_class_weights(options.class_weights);
}

double Tet::do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const {
  Executor& device = executor_of(tape);
  SavedLosses& saved = tape.saved<SavedLosses>();
  const ops::TargetsView view = saved.targets.take(*this, targets, y.samples(), tape);
  device.run(ops::ReadScores{.y = view_of(y, device),
                             .lengths = view.lengths,
                             .over = ops::ReadOver::mean,
                             .scores = device.write(scores)});
  ops::Tet op = lowered(options_, y, view, device);
  op.losses = saved.write_losses(y.samples(), device);
  device.run(op);
  return saved.mean_of(1, device);
}

void Tet::do_backward(const Signal& y, const Targets&, const Tensor&, Tensor& dy, Tape& tape) const {
  Executor& device = executor_of(tape);
  ops::Tet op = lowered(options_, y, tape.saved<SavedLosses>().targets.view(), device);
  op.dy = device.write(dy);
  device.run(op);
}

}  // namespace volley

#include <volley/rate_penalty.hpp>

#include <utility>

#include "layers/lengths.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Lengths lengths;
  Tensor rates;  // (F), as the features lie in memory
  Tensor dr;     // (F)
  Tensor dx;
  Tensor penalty;
  ops::Slot slot;
};

/// (G1) The mean of every feature over the batch and T.
void compute_rates(Saved& saved, Executor& device) {
  const Signal& x = saved.x;
  saved.rates.resize({x.features()});
  device.run(ops::Rates{.x = view_of(x, device),
                        .channels = x.layout() == Layout::channels_last ? x.shape()[2] : 0,
                        .lengths = saved.lengths.read(device),
                        .rows = saved.lengths.steps(),
                        .rates = device.write(saved.rates),
                        .slot = &saved.slot});
}

}  // namespace

RatePenalty::RatePenalty(const RatePenaltyOptions& options) : options_(options) {
  check_fields(RatePenaltyOptions::kKind, options);
}

Form RatePenalty::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = {}, .constant = true};
}

Signal RatePenalty::do_forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.lengths.take(x, tape);
  return x;
}

Signal RatePenalty::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  compute_rates(saved, device);
  saved.dr.resize({dy.features()});
  saved.dx.resize(dy.stored_shape());
  // A rate is a mean over the rows: each has that share of its gradient, (G4).
  device.run(ops::RatePenaltyBackward{.rates = device.read(saved.rates),
                                      .weight = options_.weight / static_cast<float>(saved.lengths.steps()),
                                      .target = options_.target,
                                      .squared = options_.norm == Norm::l2,
                                      .N = dy.samples(),
                                      .S = dy.stored_steps(),
                                      .F = dy.features(),
                                      .lengths = saved.lengths.read(device),
                                      .dy = values_of(dy, device),
                                      .dr = device.write(saved.dr),
                                      .dx = device.write(saved.dx)});
  return dy.with_values(saved.dx);
}

double RatePenalty::penalty(Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  if (saved.x.empty()) return 0;
  Executor& device = executor_of(tape);
  compute_rates(saved, device);
  saved.penalty.resize({1});
  device.run(ops::RatePenalty{.rates = device.read(saved.rates),
                              .weight = options_.weight,
                              .target = options_.target,
                              .squared = options_.norm == Norm::l2,
                              .F = saved.x.features(),
                              .penalty = device.write(saved.penalty)});
  return static_cast<double>(std::as_const(saved.penalty).data()[0]);
}

std::unique_ptr<Layer> RatePenalty::do_clone() const { return std::make_unique<RatePenalty>(*this); }

}  // namespace volley

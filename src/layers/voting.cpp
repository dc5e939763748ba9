#include <volley/voting.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor y;
  Tensor dx;
};

}  // namespace

Voting::Voting(const VotingOptions& options) : options_(options) {
  check_fields(VotingOptions::kKind, options);
}

Shape Voting::output_shape(const Shape& features) const {
  if (features.rank() != 1 || features[0] % options_.voting_size != 0) {
    throw ShapeError(kind(), fmt::format("input features must be (K x {})", options_.voting_size), features);
  }
  return {features[0] / options_.voting_size};
}

Form Voting::reads(const Shape&) const { return {.constant = true}; }

Signal Voting::do_forward(const Signal& x, Tape& tape) const {
  const Shape out = output_shape(x.shape().from(2));
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.y.resize(out.after({x.samples(), x.stored_steps()}));
  Executor& device = executor_of(tape);
  device.run(ops::Voting{.x = values_of(x, device),
                         .y = device.write(saved.y),
                         .rows = x.samples() * x.stored_steps(),
                         .K = out[0],
                         .V = options_.voting_size});
  return Signal(saved.y, out.after({x.samples(), x.steps()}));
}

Signal Voting::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  if (!tape.needs_input_gradient()) return {};
  saved.dx.resize(saved.x.stored_shape());
  Executor& device = executor_of(tape);
  device.run(ops::VotingBackward{.dy = values_of(dy, device),
                                 .dx = device.write(saved.dx),
                                 .rows = dy.samples() * dy.stored_steps(),
                                 .K = dy.features(),
                                 .V = options_.voting_size});
  return saved.x.with_values(saved.dx);
}

std::unique_ptr<Layer> Voting::do_clone() const { return std::make_unique<Voting>(*this); }

}  // namespace volley

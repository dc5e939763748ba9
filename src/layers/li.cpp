#include <volley/neuron.hpp>

#include "core/workspace.hpp"
#include "reference/li.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor v, dx;
};

reference::LIParameters<float> lower(const LIOptions& o) {
  return {.tau = o.tau, .decay_input = o.decay_input};
}

}  // namespace

LI::LI(const LIOptions& options) : options_(options) { check_fields(LIOptions::kKind, options); }

Form LI::reads(const Shape&) const {
  return {.values = Form::Values::currents, .layout = {}, .constant = true};
}

Signal LI::do_forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  saved.v.resize(stored_shape(x.shape(), x.layout(), T));
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      reference::li_forward(saved.v.data() + n * T * F, x.values() + n * x.stored_steps() * F,
                            lower(options_), T, F, x.constant());
    }
  });
  return Signal(saved.v, x.shape(), x.layout());
}

Signal LI::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  saved.dx.resize(x.stored_shape());
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> carry(F);
    for (std::size_t n = begin; n < end; ++n) {
      reference::li_backward(saved.dx.data() + n * x.stored_steps() * F, carry.data(),
                             dy.values() + n * T * F, lower(options_), T, F, x.constant());
    }
  });
  return x.with_values(saved.dx);
}

}  // namespace volley

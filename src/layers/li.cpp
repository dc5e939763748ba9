#include <volley/neuron.hpp>

#include <algorithm>

#include "core/workspace.hpp"
#include "layers/carry.hpp"
#include "reference/li.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor v, dx;
  Carry carry;
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
  saved.carry.begin_forward(tape, x, [] { return std::vector<Carried>{{"v", 0.0f}}; });
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      reference::li_forward(saved.v.data() + n * T * F, x.values() + n * x.stored_steps() * F,
                            lower(options_), T, F, x.constant(), at(saved.carry.before(0), n * F));
      if (float* after = saved.carry.after(0)) {
        std::copy_n(saved.v.data() + (n * T + T - 1) * F, F, after + n * F);
      }
    }
  });
  saved.carry.end_forward(tape);
  return Signal(saved.v, x.shape(), x.layout());
}

Signal LI::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  saved.dx.resize(x.stored_shape());
  saved.carry.begin_backward(tape);
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> none(F);
    for (std::size_t n = begin; n < end; ++n) {
      float* carry = saved.carry.gradient(0);
      reference::li_backward(saved.dx.data() + n * x.stored_steps() * F,
                             carry != nullptr ? carry + n * F : none.data(), dy.values() + n * T * F,
                             lower(options_), T, F, x.constant(), carry != nullptr);
    }
  });
  saved.carry.end_backward(tape);
  return x.with_values(saved.dx);
}

std::optional<Membrane> LI::do_membrane(const Tape& tape) const {
  const Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  Tensor v = to_tensor(Signal(saved.v, x.shape(), x.layout()));
  return Membrane{.current = to_tensor(x), .h = v, .v = v, .threshold = {}};
}

}  // namespace volley

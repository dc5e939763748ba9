#include <volley/neuron.hpp>

#include "layers/carry.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor v, dx;
  Carry carry;
};

/// What v keeps, and what it takes of the current. Near tau = 1 a difference of floats would have no digits.
float decay_of(const LIOptions& o) { return static_cast<float>(1 - 1 / static_cast<double>(o.tau)); }
float gain_of(const LIOptions& o) { return o.decay_input ? 1 / o.tau : 1.0f; }

}  // namespace

LI::LI(const LIOptions& options) : options_(options) { check_fields(LIOptions::kKind, options); }

Form LI::reads(const Shape&) const {
  return {.values = Form::Values::currents, .layout = {}, .constant = true};
}

Signal LI::do_forward(const Signal& x, Tape& tape) const {
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.v.resize(stored_shape(x.shape(), x.layout(), x.steps()));
  saved.carry.begin_forward(tape, x, [] { return std::vector<Carried>{{"v", 0.0f}}; });
  const ops::NeuronCarry carry = saved.carry.arrays(device);
  device.run(ops::LIForward{.decay = decay_of(options_),
                            .gain = gain_of(options_),
                            .N = x.samples(),
                            .T = x.steps(),
                            .F = x.features(),
                            .constant = x.constant(),
                            .x = values_of(x, device),
                            .v = device.write(saved.v),
                            .before = carry.before[0],
                            .after = carry.after[0]});
  saved.carry.end_forward(tape);
  return Signal(saved.v, x.shape(), x.layout());
}

Signal LI::do_backward(Tape& tape, const Signal& dy) {
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  saved.dx.resize(x.stored_shape());
  saved.carry.begin_backward(tape);
  device.run(ops::LIBackward{.decay = decay_of(options_),
                             .gain = gain_of(options_),
                             .N = x.samples(),
                             .T = x.steps(),
                             .F = x.features(),
                             .constant = x.constant(),
                             .dv = values_of(dy, device),
                             .dx = device.write(saved.dx),
                             .carry = saved.carry.gradients(device)[0]});
  saved.carry.end_backward(tape);
  return x.with_values(saved.dx);
}

std::optional<Membrane> LI::do_membrane(const Tape& tape) const {
  const Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  Tensor v = to_tensor(Signal(saved.v, x.shape(), x.layout()));
  return Membrane{.current = to_tensor(x), .h = v, .v = v, .threshold = {}};
}

std::unique_ptr<Layer> LI::do_clone() const { return std::make_unique<LI>(*this); }

}  // namespace volley

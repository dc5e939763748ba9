#include <volley/neuron.hpp>

#include <utility>

#include "layers/carry.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor p, h, v_last, dx;
  Carry carry;
};

ops::SoftLIF lower(const SoftLIFOptions& o, const Signal& x) {
  return {.tau = o.tau,
          .v_threshold = o.v_threshold,
          .v_reset = o.v_reset,
          .N = x.samples(),
          .T = x.steps(),
          .F = x.features()};
}

}  // namespace

SoftLIF::SoftLIF(const SoftLIFOptions& options) : options_(options) {
  check_fields(SoftLIFOptions::kKind, options);
}

const Tensor& SoftLIF::last_potential(Tape& tape) { return tape.saved<Saved>().v_last; }

Form SoftLIF::reads(const Shape&) const { return {.values = Form::Values::currents}; }

Signal SoftLIF::do_forward(const Signal& x, Tape& tape) const {
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.p.resize(x.shape());
  saved.h.resize(x.shape());
  saved.v_last.resize({x.samples(), x.features()});
  saved.carry.begin_forward(tape, x, [&] { return std::vector<Carried>{{"v", options_.v_reset}}; });
  const ops::NeuronCarry carry = saved.carry.arrays(device);
  device.run(ops::SoftLIFForward{.neuron = lower(options_, x),
                                 .x = values_of(x, device),
                                 .p = device.write(saved.p),
                                 .h = device.write(saved.h),
                                 .v_last = device.write(saved.v_last),
                                 .before = carry.before[0],
                                 .after = carry.after[0]});
  saved.carry.end_forward(tape);
  return saved.p;
}

Signal SoftLIF::do_backward(Tape& tape, const Signal& dy) {
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.dx.resize(dy.shape());
  saved.carry.begin_backward(tape);
  device.run(ops::SoftLIFBackward{.neuron = lower(options_, dy),
                                  .dp = values_of(dy, device),
                                  .h = device.read(saved.h),
                                  .dx = device.write(saved.dx),
                                  .carry = saved.carry.gradients(device)[0]});
  saved.carry.end_backward(tape);
  return saved.dx;
}

std::optional<Membrane> SoftLIF::do_membrane(const Tape& tape) const {
  Executor& device = executor_of(tape);
  const Saved& saved = tape.saved<Saved>();
  Tensor v(saved.h.shape());
  device.run(ops::SoftLIFTrace{.neuron = lower(options_, saved.x),
                               .p = device.read(saved.p),
                               .h = device.read(saved.h),
                               .v = device.write(v)});
  return Membrane{.current = to_tensor(saved.x), .h = saved.h, .v = std::move(v), .threshold = {}};
}

std::unique_ptr<Layer> SoftLIF::do_clone() const { return std::make_unique<SoftLIF>(*this); }

}  // namespace volley

#include <volley/dropout.hpp>

#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  bool training = false;
  Signal x;
  SignalMemory x_memory;
  Buffer<std::uint32_t> addresses;
  Tensor mask;  // (N, F), in the layout of x
  Tensor y;
  Tensor dx;
};

/// to = mask times from, of the form of x.
Signal masked(Tensor& to, const Signal& from, const Saved& saved, Executor& device) {
  to.resize(from.stored_shape());
  device.run(ops::ApplyMask{.mask = device.read(saved.mask),
                            .x = values_of(from, device),
                            .y = device.write(to),
                            .N = from.samples(),
                            .S = from.stored_steps(),
                            .F = from.features()});
  return from.with_values(to);
}

}  // namespace

Dropout::Dropout(const DropoutOptions& options) : options_(options) {
  check_fields(DropoutOptions::kKind, options);
}

Form Dropout::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = {}, .constant = true};
}

Signal Dropout::do_forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.training = tape.context().training;
  if (!saved.training) return x;
  Executor& device = executor_of(tape);
  saved.x = real_values(x, saved.x_memory, device);
  saved.mask.resize({x.samples(), x.features()});
  const Draw& draw = tape.context().draw;
  check_range(DropoutOptions::kKind, "epoch", draw.epoch, between(0, (1 << 24) - 1));
  Scratch<std::uint32_t> addresses(x.samples());
  for (std::size_t n = 0; n < x.samples(); ++n) addresses[n] = tape.context().address(n);
  device.run(ops::DropoutMask{.mask = device.write(saved.mask),
                              .p = static_cast<double>(options_.p),
                              .key = philox_key(draw.seed, Purpose::dropout, draw.epoch),
                              .place = tape.place(),
                              .addresses = put(saved.addresses, addresses.span(), device),
                              .N = x.samples(),
                              .F = x.features(),
                              .channels = x.layout() == Layout::channels_last ? x.shape()[2] : 0});
  return masked(saved.y, saved.x, saved, device);
}

Signal Dropout::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  if (!tape.needs_input_gradient()) return {};
  if (!saved.training) return dy;
  return masked(saved.dx, dy, saved, executor_of(tape));
}

std::unique_ptr<Layer> Dropout::do_clone() const { return std::make_unique<Dropout>(*this); }

}  // namespace volley

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

/// The addresses of the random numbers of N samples.
const std::uint32_t* addresses_of(const PassContext& context, std::size_t N, Buffer<std::uint32_t>& memory,
                                  Executor& device) {
  if (context.draw.first_sample == 0 && context.samples.size() >= N)
    return put(memory, context.samples.first(N), device);
  Scratch<std::uint32_t> addresses(N);
  for (std::size_t n = 0; n < N; ++n) addresses[n] = context.address(n);
  return put(memory, addresses.span(), device);
}

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
  device.run(ops::DropoutMask{.mask = device.write(saved.mask),
                              .p = static_cast<double>(options_.p),
                              .key = philox_key(draw.seed, Purpose::dropout, draw.epoch),
                              .place = tape.place(),
                              .addresses = addresses_of(tape.context(), x.samples(), saved.addresses, device),
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

#include <volley/dropout.hpp>

#include "core/workspace.hpp"
#include "kernels/linear.hpp"
#include "layers/signal_forms.hpp"
#include "reference/dropout.hpp"

namespace volley {
namespace {

struct Saved {
  bool training = false;
  Signal x;
  SignalMemory x_memory;
  Tensor mask;  // (N, F), in the layout of x
  Tensor y;
  Tensor dx;
};

/// The mask of sample n, drawn in row-major order, whatever the layout of x.
void draw_mask(Saved& saved, const Tape& tape, float p, PhiloxKey key, std::size_t n) {
  const Signal& x = saved.x;
  const std::size_t F = x.features();
  float* mask = saved.mask.data() + n * F;
  const auto draw = [&](float* to) {
    reference::dropout_mask(to, static_cast<double>(p), key, tape.context().address(n), tape.place(), F);
  };
  if (x.layout() == Layout::row_major) return draw(mask);
  Scratch<float> row_major(F);
  draw(row_major.data());
  kernels::transpose(mask, row_major.data(), x.shape()[2], F / x.shape()[2]);
}

/// to = mask times from, of the form of x, for every sample.
void apply(Tensor& to, const Signal& from, const Saved& saved, ThreadPool& threads) {
  to.resize(from.stored_shape());
  const std::size_t T = from.stored_steps();
  const std::size_t F = from.features();
  parallel_for(threads, from.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      reference::apply_mask(to.data() + n * T * F, from.values() + n * T * F, saved.mask.data() + n * F, T,
                            F);
    }
  });
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
  saved.x = real_values(x, saved.x_memory, tape.threads());
  saved.mask.resize({x.samples(), x.features()});
  const Draw& draw = tape.context().draw;
  check_range(DropoutOptions::kKind, "epoch", draw.epoch, between(0, (1 << 24) - 1));
  const PhiloxKey key = philox_key(draw.seed, Purpose::dropout, draw.epoch);
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) draw_mask(saved, tape, options_.p, key, n);
  });
  apply(saved.y, saved.x, saved, tape.threads());
  return saved.x.with_values(saved.y);
}

Signal Dropout::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  if (!tape.needs_input_gradient()) return {};
  if (!saved.training) return dy;
  apply(saved.dx, dy, saved, tape.threads());
  return dy.with_values(saved.dx);
}

}  // namespace volley

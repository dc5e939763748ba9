#include <volley/neuron.hpp>

#include "reference/soft_lif.hpp"

namespace volley {
namespace {

struct Saved {
  Tensor p, h, v_last, dx;
};

reference::SoftLIFParameters<float> lower(const SoftLIFOptions& o) {
  return {.tau = o.tau, .v_threshold = o.v_threshold, .v_reset = o.v_reset};
}

}  // namespace

SoftLIF::SoftLIF(const SoftLIFOptions& options) : options_(options) {
  check_fields(SoftLIFOptions::kKind, options);
}

const Tensor& SoftLIF::last_potential(Tape& tape) { return tape.saved<Saved>().v_last; }

Form SoftLIF::reads(const Shape&) const { return {.values = Form::Values::currents}; }

Signal SoftLIF::do_forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  const float* values = x.values();
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  saved.p.resize(x.shape());
  saved.h.resize(x.shape());
  saved.v_last.resize({x.samples(), F});
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t first = n * T * F;
      reference::soft_lif_forward(saved.p.data() + first, saved.h.data() + first, saved.v_last.data() + n * F,
                                  values + first, lower(options_), T, F);
    }
  });
  return saved.p;
}

Signal SoftLIF::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const std::size_t T = dy.steps();
  const std::size_t F = dy.features();
  saved.dx.resize(dy.shape());
  parallel_for(tape.threads(), dy.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t first = n * T * F;
      reference::soft_lif_backward(saved.dx.data() + first, dy.values() + first, saved.p.data() + first,
                                   saved.h.data() + first, lower(options_), T, F);
    }
  });
  return saved.dx;
}

}  // namespace volley

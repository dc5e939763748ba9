#include <volley/neuron.hpp>

#include <algorithm>
#include <utility>

#include "layers/carry.hpp"
#include "reference/soft_lif.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor p, h, v_last, dx;
  Carry carry;
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
  saved.x = x;
  const float* values = x.values();
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  saved.p.resize(x.shape());
  saved.h.resize(x.shape());
  saved.v_last.resize({x.samples(), F});
  saved.carry.begin_forward(tape, x, [&] { return std::vector<Carried>{{"v", options_.v_reset}}; });
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t first = n * T * F;
      reference::soft_lif_forward(saved.p.data() + first, saved.h.data() + first, saved.v_last.data() + n * F,
                                  values + first, lower(options_), T, F, at(saved.carry.before(0), n * F));
      if (float* after = saved.carry.after(0)) {
        std::copy_n(saved.v_last.data() + n * F, F, after + n * F);
      }
    }
  });
  saved.carry.end_forward(tape);
  return saved.p;
}

Signal SoftLIF::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const std::size_t T = dy.steps();
  const std::size_t F = dy.features();
  saved.dx.resize(dy.shape());
  saved.carry.begin_backward(tape);
  parallel_for(tape.threads(), dy.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t first = n * T * F;
      reference::soft_lif_backward(saved.dx.data() + first, dy.values() + first, saved.p.data() + first,
                                   saved.h.data() + first, lower(options_), T, F,
                                   at(saved.carry.gradient(0), n * F));
    }
  });
  saved.carry.end_backward(tape);
  return saved.dx;
}

std::optional<Membrane> SoftLIF::do_membrane(const Tape& tape) const {
  const Saved& saved = tape.saved<Saved>();
  Tensor v(saved.h.shape());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const float h = saved.h.data()[i], p = saved.p.data()[i];
    v.data()[i] = reference::SigmoidAt<float>(h - options_.v_threshold).complement * h + p * options_.v_reset;
  }
  return Membrane{.current = to_tensor(saved.x), .h = saved.h, .v = std::move(v), .threshold = {}};
}

}  // namespace volley

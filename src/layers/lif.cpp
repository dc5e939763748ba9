#include <volley/neuron.hpp>

#include "kernels/neuron.hpp"
#include "layers/signal_forms.hpp"
#include "layers/spike_words.hpp"

namespace volley {
namespace {

// Samples that one piece of work covers: enough to fill the kernel's slices when a layer has few neurons.
constexpr std::size_t kSamples = 8;

struct Saved {
  Signal x_given;
  Signal x;  // the same, plain
  SignalMemory x_memory;
  SignalMemory dx_memory;
  Spikes s;
  Tensor dx;
};

/// Constants once, in double.
kernels::LIFKernel lower(const LIFOptions& o) {
  const double inv_tau = 1 / static_cast<double>(o.tau);
  return {.reset = {.v_threshold = o.v_threshold,
                    .kappa = o.v_reset.has_value() ? 0.0f : 1.0f,
                    .c = o.v_reset.value_or(-o.v_threshold),
                    .v_rest = o.v_reset.value_or(0.0f),
                    .detached = o.detach_reset},
          .inv_tau = static_cast<float>(inv_tau),
          .dh_dx = o.decay_input ? static_cast<float>(inv_tau) : 1.0f,
          .dh_dv = static_cast<float>(1 - inv_tau),
          .decay_input = o.decay_input};
}

}  // namespace

LIF::LIF(const LIFOptions& options) : options_(options) {
  check_fields(LIFOptions::kKind, options);
  std::visit([](const auto& f) { check_fields(f.kKind, f); }, options.surrogate);
}

Signal LIF::forward(const Signal& x, Tape& tape) const {
  check_real_input(LIFOptions::kKind, x);
  Saved& saved = tape.saved<Saved>();
  saved.x_given = x;
  saved.x = plain(x, saved.x_memory, tape.threads());
  std::uint64_t* s = SpikeWords::make_steps(saved.s, x.shape());
  const kernels::LIFKernel neuron = lower(options_);
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  const std::size_t row_words = SpikeWords::row_words(saved.s);
  parallel_for(tape.threads(), x.samples(), kSamples, [&](std::size_t begin, std::size_t end) {
    kernels::lif_forward(s + begin * T * row_words, saved.x.values() + begin * T * F, neuron,
                         {.N = end - begin, .T = T, .F = F, .row_words = row_words});
  });
  return saved.s;
}

Signal LIF::backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  const kernels::LIFKernel neuron = lower(options_);
  const std::size_t T = x.steps();
  const std::size_t F = x.features();
  saved.dx.resize(x.shape());
  parallel_for(tape.threads(), x.samples(), kSamples, [&](std::size_t begin, std::size_t end) {
    static thread_local Buffer<float> scratch;
    scratch.resize(kernels::neuron_scratch_size(T));
    const std::size_t first = begin * T * F;
    kernels::lif_backward(
        saved.dx.data() + first, dy.values() + first, x.values() + first, neuron, options_.surrogate,
        {.N = end - begin, .T = T, .F = F, .row_words = SpikeWords::row_words(saved.s)}, scratch.data());
  });
  return plain_backward(saved.x_given, saved.dx, saved.dx_memory, tape.threads());
}

}  // namespace volley

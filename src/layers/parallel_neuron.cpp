#include <volley/parallel_neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "layers/layer_access.hpp"
#include "layers/neuron_pass.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Spikes s;
  Tensor dx;
  Buffer<float> matrix;  // (T T + T): the matrix and the bias of T steps
  ops::Slot slot;
};

template <class Options>
Shape weight_shape(const Options& o) {
  return {o.steps, o.steps};
}
template <>
Shape weight_shape(const SlidingPSNOptions& o) {
  return {o.k};
}
template <class Options>
Shape bias_shape(const Options& o) {
  return {o.steps};
}
template <>
Shape bias_shape(const SlidingPSNOptions&) {
  return {1};
}

template <class Options>
void check_steps(const Options& o, std::size_t T) {
  if constexpr (requires { o.steps; }) {
    if (T != o.steps) {
      throw ArgumentError(o.kKind, fmt::format("input must have {} steps", o.steps), fmt::format("{}", T));
    }
  }
}

ops::PsnWeights kind_of(const PSNOptions&) { return {.kind = ops::PsnWeights::Kind::full}; }
ops::PsnWeights kind_of(const MaskedPSNOptions& o) {
  return {.kind = ops::PsnWeights::Kind::masked, .k = o.k, .unseen = 1 - o.lambda_init};
}
ops::PsnWeights kind_of(const SlidingPSNOptions& o) {
  return {.kind = ops::PsnWeights::Kind::sliding, .k = o.k};
}
template <class Options>
ops::PsnWeights lower(const Options& o) {
  ops::PsnWeights lowered = kind_of(o);
  lowered.weights = weight_shape(o).size();
  lowered.biases = bias_shape(o).size();
  return lowered;
}

}  // namespace

template <class Options>
ParallelNeuron<Options>::ParallelNeuron(const Options& options)
    : options_(options),
      weight_(weight_shape(options), ParameterKind::neuron),
      bias_(bias_shape(options), ParameterKind::neuron) {
  check_fields(Options::kKind, options);
  check_surrogate(options.surrogate);
  draw_parameters(0, 0);
}

template <class Options>
Form ParallelNeuron<Options>::reads(const Shape&) const {
  return {.values = Form::Values::currents, .layout = {}, .constant = true};
}

template <class Options>
void ParallelNeuron<Options>::check_parameters() const {
  check_parameter(kind(), "weight", weight_, weight_shape(options_));
  check_parameter(kind(), "bias", bias_, bias_shape(options_));
}

template <class Options>
Signal ParallelNeuron<Options>::do_forward(const Signal& x, Tape& tape) const {
  check_steps(options_, x.steps());
  check_parameters();
  if (tape.state() != nullptr) {
    throw ArgumentError(kind(), "a parallel neuron must have all T steps at once, and no state",
                        "a state: its potential is a product over all steps, and not a recursion");
  }
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  SpikeWords::shape_steps(saved.s, x.shape(), x.layout());
  saved.matrix.resize(x.steps() * x.steps() + x.steps());
  device.run(ops::PsnForward{.of = lower(options_),
                             .weight = device.read(weight_.value),
                             .bias = device.read(bias_.value),
                             .matrix = device.write(saved.matrix),
                             .shape = shape_of(x, saved.s),
                             .x = values_of(x, device),
                             .s = SpikeWords::write(saved.s, device)});
  return saved.s;
}

template <class Options>
Signal ParallelNeuron<Options>::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  saved.dx.resize(x.stored_shape());
  device.run(ops::PsnBackward{.of = lower(options_),
                              .matrix = device.read(saved.matrix),
                              .surrogate = ops::lower(options_.surrogate),
                              .shape = shape_of(x, saved.s),
                              .ds = values_of(dy, device),
                              .x = values_of(x, device),
                              .dx = device.write(saved.dx),
                              .dweight = device.update(weight_.gradient),
                              .dbias = device.update(bias_.gradient),
                              .slot = &saved.slot});
  return x.with_values(saved.dx);
}

template <class Options>
std::optional<Membrane> ParallelNeuron<Options>::do_membrane(const Tape& tape) const {
  const Saved& saved = tape.saved<Saved>();
  const Shape& shape = saved.x.shape();
  Membrane membrane{.current = to_tensor(saved.x), .h = Tensor(shape), .v = {}, .threshold = Tensor(shape)};
  const std::size_t T = saved.x.steps(), F = saved.x.features();
  const float* const matrix = saved.matrix.data();
  const float* const bias = matrix + T * T;
  const float* x = std::as_const(membrane.current).data();
  float* h = membrane.h.data();
  for (std::size_t n = 0; n < shape[0]; ++n, x += T * F, h += T * F) {
    for (std::size_t t = 0; t < T; ++t) {  // (Y1)
      std::fill_n(h + t * F, F, bias[t]);
      for (std::size_t from = 0; from < T; ++from) {
        for (std::size_t f = 0; f < F; ++f) h[t * F + f] += matrix[t * T + from] * x[from * F + f];
      }
    }
  }
  membrane.v = membrane.h;  // there is no reset
  return membrane;
}

template <class Options>
std::vector<NamedParameter> ParallelNeuron<Options>::own_parameters() {
  return {{"weight", &weight_}, {"bias", &bias_}};
}

template <class Options>
void ParallelNeuron<Options>::draw_parameters(std::uint32_t seed, std::uint32_t place) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place);
  const std::size_t n = weight_.value.shape()[weight_.value.shape().rank() - 1];
  const double bound = 1 / std::sqrt(static_cast<double>(n));
  for (float& w : weight_.value.values()) w = static_cast<float>((2 * random.uniform() - 1) * bound);
  if constexpr (requires { options_.exp_init; }) {
    for (std::size_t i = 0; options_.exp_init && i < n; ++i) {
      weight_.value.data()[i] = std::ldexp(1.0f, -static_cast<int>(n - 1 - i));
    }
  }
  std::ranges::fill(bias_.value.values(), -1.0f);
}

template class ParallelNeuron<PSNOptions>;
template class ParallelNeuron<MaskedPSNOptions>;
template class ParallelNeuron<SlidingPSNOptions>;

}  // namespace volley

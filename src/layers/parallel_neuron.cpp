#include <volley/parallel_neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/psn.hpp"
#include "layers/layer_access.hpp"
#include "layers/neuron_pass.hpp"
#include "reference/psn.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Spikes s;
  Tensor dx;
  Buffer<float> matrix, bias;  // as they are for T steps
  Buffer<float> partial;       // (N, T T + T)
  Buffer<float> dmatrix;       // (T T + T)
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

/// body(n, place, scratch) for every sample.
template <class Body>
void for_each_sample(ThreadPool& threads, const kernels::NeuronShape& shape, const Body& body) {
  parallel_for(threads, shape.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> scratch(kernels::psn_scratch_size(shape));
    for (std::size_t n = begin; n < end; ++n) body(n, place_of(n, shape), scratch.data());
  });
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
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  std::uint64_t* s = SpikeWords::make_steps(saved.s, x.shape(), x.layout());
  const kernels::NeuronShape shape = shape_of(x, saved.s);
  saved.matrix.resize(shape.T * shape.T);
  saved.bias.resize(shape.T);
  reference::psn_expand(saved.matrix.data(), saved.bias.data(), weight_.value.data(), bias_.value.data(),
                        options_, shape.T);
  for_each_sample(tape.threads(), shape, [&](std::size_t, const NeuronPlace& place, float* scratch) {
    kernels::psn_forward(s + place.words, x.values() + place.current, saved.matrix.data(), saved.bias.data(),
                         shape, scratch);
  });
  return saved.s;
}

template <class Options>
Signal ParallelNeuron<Options>::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  const kernels::NeuronShape shape = shape_of(x, saved.s);
  const std::size_t numbers = shape.T * shape.T + shape.T;
  saved.dx.resize(x.stored_shape());
  saved.partial.resize(shape.N * numbers);
  for_each_sample(tape.threads(), shape, [&](std::size_t n, const NeuronPlace& place, float* scratch) {
    kernels::psn_backward(saved.dx.data() + place.current, saved.partial.data() + n * numbers,
                          dy.values() + place.values, x.values() + place.current, saved.matrix.data(),
                          saved.bias.data(), options_.surrogate, shape, scratch);
  });
  saved.dmatrix.resize(numbers);
  const std::size_t weights = weight_.gradient.size(), size = weights + bias_.gradient.size();
  Scratch<float> memory(kernels::BlockTree<float>::memory(size, shape.N));
  kernels::BlockTree<float> tree(memory.data(), size, shape.N);
  kernels::for_each_block(shape.N, [&](std::size_t first, std::size_t count) {
    saved.dmatrix.zero();
    kernels::add_neuron_gradient(saved.dmatrix.data(), saved.partial.data() + first * numbers, count, 1,
                                 numbers, true);
    reference::psn_fold(tree.sums(), tree.sums() + weights, saved.dmatrix.data(),
                        saved.dmatrix.data() + shape.T * shape.T, options_, shape.T);
    tree.close_block();
  });
  const float* root = tree.root();
  kernels::add_to(weight_.gradient.data(), root, weights);
  kernels::add_to(bias_.gradient.data(), root + weights, size - weights);
  return x.with_values(saved.dx);
}

template <class Options>
std::optional<Membrane> ParallelNeuron<Options>::do_membrane(const Tape& tape) const {
  const Saved& saved = tape.saved<Saved>();
  const Shape& shape = saved.x.shape();
  Membrane membrane{.current = to_tensor(saved.x), .h = Tensor(shape), .v = {}, .threshold = Tensor(shape)};
  const std::size_t T = saved.x.steps(), F = saved.x.features();
  Scratch<float> s(T * F);
  for (std::size_t n = 0; n < shape[0]; ++n) {
    reference::psn_forward(s.data(), membrane.h.data() + n * T * F, membrane.current.data() + n * T * F,
                           saved.matrix.data(), saved.bias.data(), options_.surrogate, reference::Fire::hard,
                           T, F);
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

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <volley/neuron_options.hpp>

namespace volley {

class SampleSource;

namespace ops {

/// A pass of neurons: N samples, T steps, P positions with F features each (channels-last; P is 1 for
/// features of one dimension). Values lie (N, T, P, F); spikes are packed 64 features to a word, `row_words`
/// words for each (sample, step, position), padding bits 0. The currents have T steps, or one step that is
/// read T times.
struct NeuronShape {
  std::size_t N;
  std::size_t T;
  std::size_t P;
  std::size_t F;
  std::size_t row_words;
  bool constant = false;  // whether the currents have one step; so has dx then, the sum over all t

  std::size_t current_steps() const { return constant ? 1 : T; }
};

constexpr std::size_t kMaxNeuronParameters = 8;

/// The values of a neuron's parameters, in the order of its options; nullptr where there is none.
struct NeuronParameters {
  std::array<const float*, kMaxNeuronParameters> value{};
  bool per_feature = false;  // whether each has F numbers, or one
};

constexpr std::size_t kMaxNeuronStates = 3;

/// The states of a pass that goes on from another and is gone on from, (N, P, F) each, v first; null where it
/// begins at rest, and where what it leaves is not kept. The two may be one.
struct NeuronCarry {
  std::array<const float*, kMaxNeuronStates> before{};
  std::array<float*, kMaxNeuronStates> after{};
};

/// What backward writes: dx (N, T or 1, P, F), and for each parameter the sums over t (N, P, F). `state` are
/// the gradients (N, P, F) of the states, which come as those after the pass and leave as those before it;
/// null: zeros come, and nothing leaves.
struct NeuronGradients {
  float* dx;
  std::array<float*, kMaxNeuronParameters> parameter{};
  std::array<float*, kMaxNeuronStates> state{};
};

/// Values (N, S, features) in memory, or those that a device computes as it reads them.
struct Values {
  const float* memory = nullptr;
  const SampleSource* source = nullptr;
};

/// s, the spikes, from the currents x, and what the neurons carry on.
struct NeuronForward {
  const AnyNeuron* neuron;  // of the layer, which lives until the operation is done
  NeuronParameters parameters;
  NeuronShape shape;
  Values x;
  float* kept_x =
      nullptr;  // where the values of a source are kept for backward; null: they can be read again
  std::uint64_t* s;
  NeuronCarry carry;
};

/// The gradients of a NeuronForward from ds (N, T, P, F): the potentials are computed again from x and
/// carry.before.
struct NeuronBackward {
  const AnyNeuron* neuron;
  NeuronParameters parameters;
  NeuronShape shape;
  Values x, ds;
  NeuronCarry carry;
  NeuronGradients gradients;
};

/// gradient (1 or F) += the sums of `partial` (samples, rows, F) over samples and rows, and over F where
/// there is one number.
struct NeuronParameterGradient {
  float* gradient;
  const float* partial;
  std::size_t samples, rows, F;
  bool per_feature;
};

}  // namespace ops
}  // namespace volley

#define VOLLEY_FOR_EACH_NEURON_OPERATION(X) \
  X(NeuronForward)                          \
  X(NeuronBackward)                         \
  X(NeuronParameterGradient)

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/neurons.hpp"
#include "ops/surrogates.hpp"
#include "ops/views.hpp"
#include "ops/workspace.hpp"

namespace volley::ops {

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
constexpr std::size_t kMaxCarried = kMaxNeuronStates + 1;  // and the spikes of a recurrent layer

/// The states of a pass that goes on from another and is gone on from, (N, P, F) each, v first; null where it
/// begins at rest, and where what it leaves is not kept. The two may be one.
struct NeuronCarry {
  std::array<const float*, kMaxCarried> before{};
  std::array<float*, kMaxCarried> after{};
};

/// What backward writes: dx (N, T or 1, P, F), and for each parameter the sums over t (N, P, F). `state` are
/// the gradients (N, P, F) of the states, which come as those after the pass and leave as those before it;
/// null: zeros come, and nothing leaves.
struct NeuronGradients {
  float* dx;
  std::array<float*, kMaxNeuronParameters> parameter{};
  std::array<float*, kMaxCarried> state{};
  bool add_parameters = false;  // whether the sums begin with what is there, or with 0
};

/// s, the spikes, from the currents x, and what the neurons carry on.
struct NeuronForward {
  Neuron neuron;
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
  Neuron neuron;
  Surrogate surrogate;
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

/// What neurons did: h after charge, v after the step, and the threshold, (N, T, P, F) each, from the
/// currents x (N, T or 1, P, F) and carry.before.
struct NeuronTrace {
  Neuron neuron;
  NeuronParameters parameters;
  NeuronShape shape;
  const float* x;
  NeuronCarry carry;
  float *h, *v, *threshold;
};

/// Neurons whose spikes of the step before come back as currents: docs/math/recurrent.md. The last of what
/// they carry are these spikes, as 0 and 1.
struct RecurrentForward {
  Neuron neuron;
  NeuronParameters parameters;
  NeuronShape shape;   // P is 1, all T steps are there
  std::size_t states;  // of a neuron
  bool linear;         // the feedback's weight is (F, F), otherwise (F)
  const float* x;      // (N, T, F)
  const float* weight;
  float* i;  // (N, T, F), x and what comes back
  std::uint64_t* s;
  float* after;  // (N, T, states, F), after each step
  NeuronCarry carry;
  Slot* slot;
};
/// Adds to dweight, and writes dx; gradients.dx is not looked at.
struct RecurrentBackward {
  Neuron neuron;
  Surrogate surrogate;
  NeuronParameters parameters;
  NeuronShape shape;
  std::size_t states;
  bool linear;
  const float *dy, *i;
  const std::uint64_t* s;
  const float* after;
  const float* weight;
  float* dweight;
  float* dx;  // (N, T, F)
  NeuronCarry carry;
  NeuronGradients gradients;
};

/// (V1) of docs/math/li.md: v (N, T, F) from x (N, T or 1, F). `before` and `after` (N, F), or null: from 0.
struct LIForward {
  float decay, gain;
  std::size_t N, T, F;
  bool constant;
  const float* x;
  float* v;
  const float* before = nullptr;
  float* after = nullptr;
};
/// (V2), (V3). `carry` (N, F), or null, comes as the gradient of `after` and leaves as that of `before`.
struct LIBackward {
  float decay, gain;
  std::size_t N, T, F;
  bool constant;
  const float* dv;
  float* dx;
  float* carry = nullptr;
};

/// The soft LIF neuron of docs/math/article_rule.md; all (N, T, F), or (N, F) for what lies between passes.
struct SoftLIF {
  float tau, v_threshold, v_reset;
  std::size_t N, T, F;
};
struct SoftLIFForward {
  SoftLIF neuron;
  const float* x;
  float *p, *h;
  float* v_last;
  const float* before = nullptr;  // null: v_reset
  float* after = nullptr;         // v_last once more, or null
};
struct SoftLIFBackward {
  SoftLIF neuron;
  const float *dp, *h;
  float* dx;
  float* carry = nullptr;  // as LIBackward's
};
struct SoftLIFTrace {
  SoftLIF neuron;
  const float *p, *h;
  float* v;
};

/// How the matrix (T, T) and the bias (T) of parallel neurons come from their parameters: docs/math/psn.md.
struct PsnWeights {
  enum class Kind { full, masked, sliding };
  Kind kind;
  std::size_t k = 0;  // steps that a neuron sees, of masked and sliding ones
  float unseen = 0;   // the factor of the weights of those that a masked one does not
  std::size_t weights, biases;
};
/// `matrix` (T T + T): the matrix, then the bias.
struct PsnForward {
  PsnWeights of;
  const float *weight, *bias;
  float* matrix;
  NeuronShape shape;
  const float* x;
  std::uint64_t* s;
};
struct PsnBackward {
  PsnWeights of;
  const float* matrix;
  Surrogate surrogate;
  NeuronShape shape;
  const float *ds, *x;
  float* dx;
  float *dweight, *dbias;  // are added to
  Slot* slot;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_NEURON_OPERATION(X) \
  X(NeuronForward)                          \
  X(NeuronBackward)                         \
  X(NeuronParameterGradient)                \
  X(NeuronTrace)                            \
  X(RecurrentForward)                       \
  X(RecurrentBackward)                      \
  X(LIForward)                              \
  X(LIBackward)                             \
  X(SoftLIFForward)                         \
  X(SoftLIFBackward)                        \
  X(SoftLIFTrace)                           \
  X(PsnForward)                             \
  X(PsnBackward)

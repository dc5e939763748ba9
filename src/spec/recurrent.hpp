#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <volley/recurrent.hpp>

#include "spec/neuron.hpp"

namespace volley::spec {

// Neurons whose spikes of the step before come back as currents. Equation numbers are those of
// docs/math/recurrent.md. weight is (F, F), or (F) where the feedback is element-wise; weight_t is its
// transpose.

/// i (F) += what the spikes s (F) of the step before give, ascending. (Z1)
template <class Real>
void feed_back(Real* i, const Real* s, const Real* weight_t, Feedback feedback, std::size_t F) {
  for (std::size_t j = 0; j < F; ++j) {
    if (feedback == Feedback::element_wise) {
      i[j] += weight_t[j] * s[j];
    } else if (s[j] != Real(0)) {
      for (std::size_t f = 0; f < F; ++f) i[f] += weight_t[j * F + f] * s[j];
    }
  }
}

/// ds (F) += what the gradient di (F) of the next step's currents gives. (Z3)
template <class Real>
void feed_back_adjoint(Real* ds, const Real* di, const Real* weight, Feedback feedback, std::size_t F) {
  for (std::size_t f = 0; f < F; ++f) {
    if (feedback == Feedback::element_wise) {
      ds[f] += weight[f] * di[f];
    } else {
      for (std::size_t j = 0; j < F; ++j) ds[j] += weight[f * F + j] * di[f];
    }
  }
}

/// dweight += the part of one step, from di (F) and the spikes s (F) of the step before it. (Z5)
template <class Real>
void feed_back_gradient(Real* dweight, const Real* di, const Real* s, Feedback feedback, std::size_t F) {
  for (std::size_t f = 0; f < F; ++f) {
    if (feedback == Feedback::element_wise) {
      dweight[f] += di[f] * s[f];
    } else {
      for (std::size_t j = 0; j < F; ++j) dweight[f * F + j] += di[f] * s[j];
    }
  }
}

/// What neuron(f) gives, the neuron of feature f.
template <class NeuronOf>
using NeuronAt = std::remove_cvref_t<std::invoke_result_t<const NeuronOf&, std::size_t>>;

/// z (F, kStates) of neurons at rest.
template <class Real, class NeuronOf>
void recurrent_start(Real* z, const NeuronOf& neuron, std::size_t F) {
  for (std::size_t f = 0; f < F; ++f) neuron(f).start(z + f * NeuronAt<NeuronOf>::kStates);
}

/// s, i (T, F) and z after charge (T, F, kStates) from x (T, F), one sample. `now` (F, kStates) is z before
/// the first step, and becomes that after the last; `before` (F) are the spikes of the step before the first,
/// null where there was none. neuron and reset_spikes as in neuron_forward.
template <class Real, class NeuronOf>
void recurrent_forward(Real* s, Real* z, Real* i, const Real* x, const Real* weight_t, Feedback feedback,
                       const NeuronOf& neuron, const Surrogate& surrogate, Fire fire, std::size_t T,
                       std::size_t F, Real* now, const Real* before = nullptr,
                       const Real* reset_spikes = nullptr) {
  constexpr std::size_t kStates = NeuronAt<NeuronOf>::kStates;
  for (std::size_t t = 0; t < T; ++t) {
    const std::size_t row = t * F;
    std::copy_n(x + row, F, i + row);
    if (t > 0) {
      feed_back(i + row, s + row - F, weight_t, feedback, F);
    } else if (before != nullptr) {
      feed_back(i, before, weight_t, feedback, F);
    }
    for (std::size_t f = 0; f < F; ++f) {
      const auto& n = neuron(f);
      Real* state = now + f * kStates;
      n.charge(state, i[row + f]);
      std::copy_n(state, kStates, z + (row + f) * kStates);
      s[row + f] = spike_of(n, state, surrogate, fire);
      n.reset(state, s[row + f], reset_spikes != nullptr ? reset_spikes[row + f] : s[row + f]);
    }
  }
}

/// di (F) of step t from ds (F), all that comes to its spikes, and dz (F, kStates), which is brought from
/// after the step to before it; adds to dp (F, kParameters). s, i, z are those of the whole pass, `start` (F,
/// kStates) is z before it. (Z4)
template <class Real, class NeuronOf>
void recurrent_step_adjoint(Real* di, Real* dz, Real* dp, const Real* ds, const Real* s, const Real* z,
                            const Real* i, const Real* start, const NeuronOf& neuron,
                            const Surrogate& surrogate, std::size_t t, std::size_t F) {
  constexpr std::size_t kStates = NeuronAt<NeuronOf>::kStates;
  for (std::size_t f = 0; f < F; ++f) {
    const auto& n = neuron(f);
    const std::size_t at = t * F + f;
    Real before[kStates];
    std::copy_n(t > 0 ? z + (at - F) * kStates : start + f * kStates, kStates, before);
    if (t > 0) n.reset(before, s[at - F], s[at - F]);
    di[f] = step_adjoint(n, dz + f * kStates, dp + f * n.kParameters, ds[f], s[at], z + at * kStates, before,
                         i[at], surrogate);
  }
}

/// dx (T, F), which is di, from dy (T, F) of a pass that began at rest; adds to dweight and to dp (F,
/// kParameters). ds (F) and dz (F, kStates) are scratch.
template <class Real, class NeuronOf>
void recurrent_backward(Real* dx, Real* dweight, Real* dp, const Real* dy, const Real* s, const Real* z,
                        const Real* i, const Real* weight, Feedback feedback, const NeuronOf& neuron,
                        const Surrogate& surrogate, std::size_t T, std::size_t F, Real* ds, Real* dz) {
  constexpr std::size_t kStates = NeuronAt<NeuronOf>::kStates;
  std::fill_n(dz, F * kStates, Real(0));
  std::vector<Real> start(F * kStates);
  recurrent_start(start.data(), neuron, F);
  for (std::size_t t = T; t-- > 0;) {
    std::fill_n(ds, F, Real(0));
    if (t + 1 < T) feed_back_adjoint(ds, dx + (t + 1) * F, weight, feedback, F);
    for (std::size_t f = 0; f < F; ++f) ds[f] += dy[t * F + f];
    recurrent_step_adjoint(dx + t * F, dz, dp, ds, s, z, i, start.data(), neuron, surrogate, t, F);
    if (t > 0) feed_back_gradient(dweight, dx + t * F, s + (t - 1) * F, feedback, F);
  }
}

}  // namespace volley::spec

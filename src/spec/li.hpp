#pragma once

#include <cstddef>

#include "spec/scalar.hpp"

namespace volley::spec {

// The leaky integrator: a LIF without threshold, whose potential is its output. Equation numbers are those of
// docs/math/li.md. Sums and products of one feature stand alone, so that the compiler may use vectors: the
// layer runs this very code.

template <class Real>
struct LIParameters {
  Real tau = 2;
  bool decay_input = true;

  Real dv_dx() const { return decay_input ? 1 / tau : Real(1); }
  Real dv_dv() const { return leak_factor(tau); }
};

/// v (T, F) from x (T, F), one sample; x (1, F) where it is constant. Begins at `start` (F), or null: at 0.
template <class Real>
void li_forward(Real* v, const Real* x, const LIParameters<Real>& p, std::size_t T, std::size_t F,
                bool constant = false, const Real* start = nullptr) {
  const Real decay = p.dv_dv();
  const Real gain = p.dv_dx();
  for (std::size_t t = 0; t < T; ++t) {
    const Real* now = constant ? x : x + t * F;
    for (std::size_t f = 0; f < F; ++f) {
      const Real before = t > 0 ? v[(t - 1) * F + f] : start != nullptr ? start[f] : Real(0);
      v[t * F + f] = decay * before + gain * now[f];  // (V1)
    }
  }
}

/// dx (T, F) from dv (T, F), one sample; dx (1, F), the sum over t, where x was constant. `carry` (F)
/// is the gradient of the potential: after the pass where it is `carried`, else 0; then before it.
template <class Real>
void li_backward(Real* dx, Real* carry, const Real* dv, const LIParameters<Real>& p, std::size_t T,
                 std::size_t F, bool constant = false, bool carried = false) {
  const Real decay = p.dv_dv();
  const Real gain = p.dv_dx();
  for (std::size_t f = 0; !carried && f < F; ++f) carry[f] = 0;
  for (std::size_t f = 0; constant && f < F; ++f) dx[f] = 0;
  for (std::size_t t = T; t-- > 0;) {
    Real* now = constant ? dx : dx + t * F;
    for (std::size_t f = 0; f < F; ++f) {
      const Real all = dv[t * F + f] + carry[f];            // (V2)
      now[f] = (constant ? now[f] : Real(0)) + gain * all;  // (V3)
      carry[f] = decay * all;
    }
  }
}

}  // namespace volley::spec

#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "reference/surrogate.hpp"

namespace volley::reference {

// The leaky integrate-and-fire neuron, forward and backward: what kernels/lif.cpp must compute. Equation
// numbers are those of docs/math/lif.md.

template <class Real>
struct LIFParameters {
  Real tau = 2;
  Real v_threshold = 1;
  std::optional<Real> v_reset = Real(0);
  bool decay_input = true;
  bool detach_reset = false;

  /// Potential at the start of a pass, and the one that the leak pulls to.
  Real rest() const { return v_reset.value_or(Real(0)); }
  /// (L6) The potential after a spike is kappa h + c.
  Real kappa() const { return v_reset.has_value() ? Real(0) : Real(1); }
  Real c() const { return v_reset.has_value() ? *v_reset : -v_threshold; }
};

/// (L1), (L2)
template <class Real>
Real lif_charge(Real v, Real x, const LIFParameters<Real>& p) {
  const Real leak = v - p.rest();
  return p.decay_input ? v + (x - leak) / p.tau : v - leak / p.tau + x;
}

/// One step of one neuron: h and s come out, v goes from before the step to after it.
template <class Real>
void lif_step(Real& h, Real& s, Real& v, Real x, const LIFParameters<Real>& p) {
  h = lif_charge(v, x, p);
  s = h >= p.v_threshold ? Real(1) : Real(0);    // (L3)
  v = s != Real(0) ? p.kappa() * h + p.c() : h;  // (L4), (L5)
}

/// How the step of (L3) is taken. `smooth` is the surrogate's own step, for gradient checks.
enum class Fire { hard, smooth };

/// s, h (T, F) from x (T, F), one sample. With `reset_spikes` (T, F), the reset uses those in place of s:
/// what detach_reset means to a finite difference.
template <class Real>
void lif_forward(Real* s, Real* h, const Real* x, const LIFParameters<Real>& p, const Surrogate& surrogate,
                 Fire fire, std::size_t T, std::size_t F, const Real* reset_spikes = nullptr) {
  for (std::size_t f = 0; f < F; ++f) {
    Real v = p.rest();
    for (std::size_t t = 0; t < T; ++t) {
      const std::size_t i = t * F + f;
      h[i] = lif_charge(v, x[i], p);
      const Real u = h[i] - p.v_threshold;
      s[i] = fire == Fire::smooth ? smooth_step(surrogate, u) : Real(h[i] >= p.v_threshold);
      const Real r = reset_spikes != nullptr ? reset_spikes[i] : s[i];
      v = (1 - r) * h[i] + r * (p.kappa() * h[i] + p.c());  // (L6)
    }
  }
}

/// dx (T, F) from ds (T, F), with s, h (T, F) as forward left them.
template <class Real>
void lif_backward(Real* dx, const Real* ds, const Real* s, const Real* h, const LIFParameters<Real>& p,
                  const Surrogate& surrogate, std::size_t T, std::size_t F) {
  const Real dh_dx = p.decay_input ? 1 / p.tau : Real(1);
  const Real dh_dv = 1 - 1 / p.tau;
  for (std::size_t f = 0; f < F; ++f) {
    Real dv = 0;
    for (std::size_t t = T; t-- > 0;) {
      const std::size_t i = t * F + f;
      const Real g = step_derivative(surrogate, h[i] - p.v_threshold);
      Real dv_dh = 1 - s[i] * (1 - p.kappa());                             // (L7)
      if (!p.detach_reset) dv_dh += ((p.kappa() - 1) * h[i] + p.c()) * g;  // (L7), through the spike
      const Real dh = ds[i] * g + dv * dv_dh;                              // (L8)
      dx[i] = dh * dh_dx;                                                  // (L9)
      dv = dh * dh_dv;                                                     // (L10)
    }
  }
}

}  // namespace volley::reference

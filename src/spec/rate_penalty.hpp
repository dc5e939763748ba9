#pragma once

#include <cmath>
#include <cstddef>

namespace volley::spec {

// The penalty of rates r (F). Equation numbers are those of docs/math/rate_penalty.md.

/// (G2) weight times the mean of |r - target|, or of (r - target)^2.
template <class Real>
Real rate_penalty_forward(const Real* r, Real weight, Real target, bool squared, std::size_t F) {
  double sum = 0;
  for (std::size_t f = 0; f < F; ++f) {
    const double e = static_cast<double>(r[f]) - static_cast<double>(target);
    sum += squared ? e * e : std::abs(e);
  }
  return static_cast<Real>(static_cast<double>(weight) * sum / static_cast<double>(F));
}
/// (G3) dr (F); at the target itself, 0.
template <class Real>
void rate_penalty_backward(Real* dr, const Real* r, Real weight, Real target, bool squared, std::size_t F) {
  const Real share = weight / static_cast<Real>(F);
  for (std::size_t f = 0; f < F; ++f) {
    const Real e = r[f] - target;
    dr[f] = share * (squared ? 2 * e : Real(e > 0) - Real(e < 0));
  }
}

}  // namespace volley::spec

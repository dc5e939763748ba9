#pragma once

#include <cstddef>

namespace volley::spec {

/// sum (F) of x (T, F) over the steps, ascending: the gradient of a signal that is constant in time.
template <class Real>
void sum_over_steps(Real* sum, const Real* x, std::size_t T, std::size_t F) {
  for (std::size_t f = 0; f < F; ++f) sum[f] = 0;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t f = 0; f < F; ++f) sum[f] += x[t * F + f];
  }
}

}  // namespace volley::spec

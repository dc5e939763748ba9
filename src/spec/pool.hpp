#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace volley::spec {

// One picture, row-major: x (C, positions), y (C, windows). A window is the list of the positions it sees,
// row by row; docs/math/pool.md says which they are. Equation numbers are those of that page.

using Windows = std::vector<std::vector<std::size_t>>;

/// The place in the window of the value that max_pool takes: the first of the highest; NaN is higher than
/// all.
template <class Real>
std::size_t first_of_highest(const Real* x, const std::vector<std::size_t>& window) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < window.size(); ++k) {
    if (x[window[k]] > x[window[best]] || std::isnan(x[window[k]])) best = k;
  }
  return best;
}

/// (M1)
template <class Real>
void max_pool_forward(Real* y, const Real* x, const Windows& windows, std::size_t channels,
                      std::size_t positions) {
  for (std::size_t c = 0; c < channels; ++c, x += positions) {
    for (const auto& window : windows) *y++ = x[window[first_of_highest(x, window)]];
  }
}

/// (M2) dx from dy.
template <class Real>
void max_pool_backward(Real* dx, const Real* dy, const Real* x, const Windows& windows, std::size_t channels,
                       std::size_t positions) {
  for (std::size_t i = 0; i < channels * positions; ++i) dx[i] = 0;
  for (std::size_t c = 0; c < channels; ++c, x += positions, dx += positions) {
    for (const auto& window : windows) dx[window[first_of_highest(x, window)]] += *dy++;
  }
}

/// (M3) `sizes`: what each window's sum is divided by.
template <class Real>
void avg_pool_forward(Real* y, const Real* x, const Windows& windows, const std::vector<std::size_t>& sizes,
                      std::size_t channels, std::size_t positions) {
  for (std::size_t c = 0; c < channels; ++c, x += positions) {
    for (std::size_t w = 0; w < windows.size(); ++w) {
      Real sum = 0;
      for (const std::size_t p : windows[w]) sum += x[p];
      *y++ = sum * (1 / static_cast<Real>(sizes[w]));
    }
  }
}

/// (M4) dx from dy.
template <class Real>
void avg_pool_backward(Real* dx, const Real* dy, const Windows& windows,
                       const std::vector<std::size_t>& sizes, std::size_t channels, std::size_t positions) {
  for (std::size_t i = 0; i < channels * positions; ++i) dx[i] = 0;
  for (std::size_t c = 0; c < channels; ++c, dx += positions) {
    for (std::size_t w = 0; w < windows.size(); ++w) {
      const Real share = *dy++ * (1 / static_cast<Real>(sizes[w]));
      for (const std::size_t p : windows[w]) dx[p] += share;
    }
  }
}

}  // namespace volley::spec

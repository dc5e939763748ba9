#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/philox.hpp"

namespace volley::spec {

// Dropout whose mask is one for all steps. Equation numbers are those of docs/math/dropout.md.

/// mask (F) of a sample, 0 or 1 / (1 - p), (F1); `place` is where in the network the layer is.
template <class Real>
void dropout_mask(Real* mask, double p, PhiloxKey key, std::uint32_t sample, std::uint64_t place,
                  std::size_t F) {
  const std::uint64_t silent = static_cast<std::uint64_t>(std::llround(p * 0x1p32));
  const Real scale = static_cast<Real>(1 / (1 - p));
  PhiloxCounter words{};
  for (std::size_t f = 0; f < F; ++f) {
    if (f % 4 == 0) {
      words = philox({static_cast<std::uint32_t>(f / 4), sample, static_cast<std::uint32_t>(place),
                      static_cast<std::uint32_t>(place >> 32)},
                     key);
    }
    mask[f] = words[f % 4] < silent ? Real(0) : scale;
  }
}

/// y (T, F) = mask (F) times x (T, F), (F1); and dx from dy, (F2).
template <class Real>
void apply_mask(Real* y, const Real* x, const Real* mask, std::size_t T, std::size_t F) {
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t f = 0; f < F; ++f) y[t * F + f] = mask[f] * x[t * F + f];
  }
}

}  // namespace volley::spec

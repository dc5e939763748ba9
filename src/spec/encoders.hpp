#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/exp_log.hpp"

namespace volley::spec {

// Encoders, one pixel k at a time: the library looks their results up, or computes with them. Equation
// numbers are those of docs/math/encoders.md.

/// (E2) The step at which a pixel fires, (T - 1)(1 - k / 255) to the nearest; no two steps are ever equally
/// near.
inline std::size_t latency_linear(std::uint8_t k, std::size_t T) {
  return (2 * (T - 1) * (255u - k) + 255) / 510;
}
/// (E3) -ln(x + (1 - x) e^-(T - 1)), which is T - 1 - ln(a x + 1) and does not overflow.
inline std::size_t latency_log(std::uint8_t k, std::size_t T) {
  const double last = static_cast<double>(T - 1);
  const double x = k / 255.0;
  return static_cast<std::size_t>(std::nearbyint(std::min(last, -std::log(x + (1 - x) * std::exp(-last)))));
}

/// (E4) Whether the digit of `phase` = 0, 1, ... of k / 256 is 1.
inline bool phase_fires(std::uint8_t k, std::size_t phase) {
  return phase < 8 && (k >> (7 - phase) & 1) != 0;
}

/// (E5) What drives neuron m of the M of a pixel, in [0, 1].
template <class Real>
Real receptive_field(std::uint8_t k, std::size_t m, std::size_t M, Real low, Real high, Real width) {
  const Real centre = low + (high - low) / static_cast<Real>(M - 1) * static_cast<Real>(m);
  const Real distance = static_cast<Real>(k) / 255 - centre;
  return exp_of(Real(-0.5) * (distance * distance) / (width * width));
}

/// (E6) An IF neuron with soft reset under a constant current: body(t) at every step that it fires.
template <class Real, class Body>
void population_fires(Real current, std::size_t T, const Body& body) {
  constexpr Real kThreshold = Real(0.999);
  Real v = 0;
  for (std::size_t t = 0; t < T; ++t) {
    v += current;
    if (v >= kThreshold) {
      body(t);
      v -= kThreshold;
    }
  }
}

/// (E7) The smallest difference of two bytes that `threshold` lets fire: d / 255 >= threshold in float.
inline int delta_least(float threshold) {
  int least = 1;
  while (least < 256 && !(static_cast<float>(least) / 255.0f >= threshold)) ++least;
  return least;
}

/// (E1) (x - mean) / deviation; a byte k is x = k / 255.
template <class Real>
Real current_of(Real x, Real mean, Real deviation) {
  return (x - mean) / deviation;
}
template <class Real>
Real current_of(std::uint8_t k, Real mean, Real deviation) {
  return current_of(static_cast<Real>(k) / 255, mean, deviation);
}

}  // namespace volley::spec

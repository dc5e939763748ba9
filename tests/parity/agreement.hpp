#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ostream>
#include <span>

namespace volley::test {

// What parity with SpikingJelly means, in numbers.
inline constexpr double kThresholdMargin = 1e-5;  // |h - v_threshold| below this: either may fire
inline constexpr double kMostError = 1e-5;        // of h; of gradients, relative to their scale

/// The largest |a - b| from the first `count` on, over the largest |b|, or 1e-12.
inline double scaled_error(std::span<const float> a, std::span<const float> b) {
  double scale = 1e-12;
  double error = a.size() == b.size() ? 0.0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
    error = std::isnan(difference) ? HUGE_VAL : std::max(error, std::abs(difference));
  }
  return error / scale;
}

/// One neuron's life over T steps, or several: (N, T, F).
struct NeuronTraces {
  std::span<const float> s, h, dx;
};

/// How far a neuron layer is from the golden one.
struct Agreement {
  std::size_t spikes = 0;      // compared
  std::size_t flips = 0;       // that differ though h is not near the threshold
  std::size_t near_flips = 0;  // that differ where h is near it
  std::size_t left_out = 0;    // values behind a near flip, where two right answers may part
  double h_error = 0;          // largest
  double dx_error = 0;         // largest, relative to the largest dx

  bool forward_agrees() const { return flips == 0 && h_error <= kMostError; }
  bool agrees() const { return forward_agrees() && dx_error <= kMostError; }
};

inline std::ostream& operator<<(std::ostream& out, const Agreement& a) {
  return out << a.flips << " of " << a.spikes << " spikes flipped, " << a.near_flips
             << " more near the threshold (" << a.left_out << " values left out), h differs by " << a.h_error
             << ", dx by " << a.dx_error << " of its scale";
}

/// Compares neuron by neuron. A spike that differs near the threshold is counted, and its neuron's h from
/// there on, and all of its dx, left out.
inline Agreement compare_neurons(const NeuronTraces& ours, const NeuronTraces& theirs, double v_threshold,
                                 std::size_t N, std::size_t T, std::size_t F) {
  Agreement result;
  double scale = 1e-12;
  for (const float dx : theirs.dx) scale = std::max(scale, std::abs(static_cast<double>(dx)));
  const auto apart = [](float a, float b) {
    const double difference = std::abs(static_cast<double>(a) - static_cast<double>(b));
    return std::isnan(difference) ? HUGE_VAL : difference;
  };
  for (std::size_t neuron = 0; neuron < N * F; ++neuron) {
    const std::size_t first = neuron / F * T * F + neuron % F;
    bool parted = false;
    for (std::size_t t = 0; t < T && !parted; ++t) {
      const std::size_t i = first + t * F;
      ++result.spikes;
      result.h_error = std::max(result.h_error, apart(ours.h[i], theirs.h[i]));
      if (ours.s[i] == theirs.s[i]) continue;
      parted = std::abs(static_cast<double>(theirs.h[i]) - v_threshold) <= kThresholdMargin;
      ++(parted ? result.near_flips : result.flips);
      if (parted) result.left_out += T - 1 - t + T;
    }
    for (std::size_t t = 0; t < T && !parted; ++t) {
      const std::size_t i = first + t * F;
      result.dx_error = std::max(result.dx_error, apart(ours.dx[i], theirs.dx[i]) / scale);
    }
  }
  return result;
}

}  // namespace volley::test

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/philox.hpp"

namespace volley::test {

/// Repeatable random data, each use with a seed of its own.
class Random {
 public:
  explicit Random(std::uint32_t seed) : sequence_({seed, 0xFFFFFFFFu}) {}

  double uniform(double low, double high) { return low + (high - low) * sequence_.uniform(); }
  std::uint32_t below(std::uint32_t bound) { return sequence_.below(bound); }

  template <class Real>
  std::vector<Real> values(std::size_t n, double low = -1, double high = 1) {
    std::vector<Real> all(n);
    for (Real& x : all) x = static_cast<Real>(uniform(low, high));
    return all;
  }
  /// Multiples of 1/16: sums of products of a few are exact in float, in any order.
  std::vector<float> dyadic(std::size_t n, int limit) {
    std::vector<float> all(n);
    for (float& x : all) {
      x = static_cast<float>(static_cast<int>(below(static_cast<std::uint32_t>(2 * limit + 1))) - limit) / 16;
    }
    return all;
  }
  /// 0 or 1, 1 with probability p.
  template <class Real>
  std::vector<Real> spikes(std::size_t n, double p) {
    std::vector<Real> all(n);
    for (Real& s : all) s = static_cast<Real>(sequence_.uniform() < p ? 1 : 0);
    return all;
  }

 private:
  PhiloxSequence sequence_;
};

}  // namespace volley::test

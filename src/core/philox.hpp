#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "core/numerics.hpp"

namespace volley {

/// Philox4x32 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): 128
/// random bits as a pure function of a 128-bit counter, the address of what is drawn, and a 64-bit key.
using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;  // multipliers
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;  // Weyl steps of the key

constexpr PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key, int rounds = numerics::kPhiloxRounds) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{kPhiloxM0} * counter[0];
    const std::uint64_t p1 = std::uint64_t{kPhiloxM1} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key = {key[0] + kPhiloxW0, key[1] + kPhiloxW1};
  }
  return counter;
}

/// What a draw is for. Together with the seed and the epoch it is the key; what is drawn is the counter.
enum class Purpose : std::uint32_t {
  encode_train = 0,
  encode_test = 1,
  shuffle = 2,
  initialize = 3,
  dropout = 4,
  augment = 5,
  hold_out = 6,
  encode_validation = 7,
  augment_events = 8,
};

inline constexpr std::uint32_t kMaxEpoch = (1u << 24) - 1;  // the key has 24 bits for it

/// `epoch` at most kMaxEpoch.
constexpr PhiloxKey philox_key(std::uint32_t seed, Purpose purpose, std::uint32_t epoch) {
  return {seed, epoch | static_cast<std::uint32_t>(purpose) << 24};
}

/// One random word after another at the addresses (0, a, b, c), (1, a, b, c), ... of a key.
class PhiloxSequence {
 public:
  explicit PhiloxSequence(PhiloxKey key, std::uint32_t a = 0, std::uint32_t b = 0, std::uint32_t c = 0)
      : key_(key), counter_{0, a, b, c} {}

  std::uint32_t next() {
    if (used_ == 4) {
      words_ = philox(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return words_[used_++];
  }
  /// Uniform in [0, 1), with the 53 bits a double can hold.
  double uniform() {
    const std::uint64_t high = next();
    return static_cast<double>((high << 32 | next()) >> 11) * 0x1p-53;
  }
  /// Uniform in [0, bound), without bias; bound > 0 (Lemire, "Fast random integer generation in an interval",
  /// 2019).
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = -bound % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  PhiloxKey key_;
  PhiloxCounter counter_;
  PhiloxCounter words_{};
  std::size_t used_ = 4;
};

/// 0, 1, 2, ... in an order drawn from `random` (Fisher and Yates).
inline void shuffle(std::span<std::uint32_t> order, PhiloxSequence random) {
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
}

}  // namespace volley

#include "kernels/poisson.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/poisson.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"
#include "reference/poisson.hpp"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

using U64 = hn::ScalableTag<std::uint64_t>;
using VU = hn::Vec<U64>;
constexpr std::size_t kBlocks =
    hn::MaxLanes(U64());  // Philox blocks that run side by side, one in each 64-bit lane

/// A random block of 16 bytes in each lane: bytes 0 to 7 in `low`, 8 to 15 in `high`.
struct RandomBytes {
  VU low, high;
};

/// philox() of core/philox.hpp in every lane, the 32-bit words of the counter in the lanes' lower halves.
HWY_INLINE RandomBytes philox_lanes(VU c0, VU c1, VU c2, VU c3, PhiloxKey key) {
  const U64 d;
  const hn::Repartition<std::uint32_t, U64> d32;
  const VU m0 = hn::Set(d, kPhiloxM0);
  const VU m1 = hn::Set(d, kPhiloxM1);
  const VU lower = hn::Set(d, 0xFFFFFFFFu);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const VU p0 = hn::MulEven(hn::BitCast(d32, m0), hn::BitCast(d32, c0));
    const VU p1 = hn::MulEven(hn::BitCast(d32, m1), hn::BitCast(d32, c2));
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, key[0]));
    c1 = hn::And(p1, lower);
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, key[1]));
    c3 = hn::And(p0, lower);
    key = {key[0] + kPhiloxW0, key[1] + kPhiloxW1};
  }
  return {hn::Or(c0, hn::ShiftLeft<32>(c1)), hn::Or(c2, hn::ShiftLeft<32>(c3))};
}

// 16 steps of a train. SAFETY: may alias the 64-bit words that it is a part of.
using Word16 [[gnu::may_alias]] = std::uint16_t;

/// The result of comparing kBlocks blocks with their pixels: 8 steps to a byte.
struct Compared {
  std::uint8_t fired_low[8], fired_high[8], tied_low[8], tied_high[8];  // StoreMaskBits may write 8 bytes
};

HWY_INLINE void compare(Compared& out, RandomBytes r, VU digits) {
  const hn::Repartition<std::uint8_t, U64> d8;
  const auto k = hn::BitCast(d8, digits);
  const auto low = hn::BitCast(d8, r.low);
  const auto high = hn::BitCast(d8, r.high);
  hn::StoreMaskBits(d8, hn::Lt(low, k), out.fired_low);
  hn::StoreMaskBits(d8, hn::Lt(high, k), out.fired_high);
  hn::StoreMaskBits(d8, hn::Eq(low, k), out.tied_low);
  hn::StoreMaskBits(d8, hn::Eq(high, k), out.tied_high);
}

HWY_INLINE std::uint32_t two_bytes(const std::uint8_t* low, const std::uint8_t* high, std::size_t i) {
  return static_cast<std::uint32_t>(low[i] | high[i] << 8);
}

/// Draws `count` blocks of one level and sets the steps that fire among those in `open`; returns how many
/// blocks have steps still undecided, gathered at the front of scratch.ties, .digits and .open.
HWY_INLINE std::size_t draw_level(Word16* trains16, std::size_t W, const std::uint64_t* places,
                                  std::size_t count, std::uint32_t level, std::uint32_t sample, PhiloxKey key,
                                  PoissonScratch& scratch) {
  const U64 d;
  std::uint64_t* digits = scratch.digits.data();
  std::uint64_t* ties = scratch.ties.data();
  std::uint16_t* open = scratch.open.data();
  std::size_t undecided = 0;
  for (std::size_t j = 0; j < count; j += kBlocks) {
    const VU place = hn::LoadU(d, places + j);
    const VU digit = hn::LoadU(d, digits + j);
    Compared c;
    compare(c,
            philox_lanes(hn::And(place, hn::Set(d, 0xFFFFFFFFu)), hn::ShiftRight<32>(place),
                         hn::Set(d, sample), hn::Set(d, level), key),
            digit);
    HWY_ALIGN std::uint64_t digit_lanes[kBlocks];
    HWY_ALIGN std::uint64_t place_lanes[kBlocks];
    hn::Store(digit, d, digit_lanes);
    hn::Store(place, d, place_lanes);
    for (std::size_t i = 0; i < HWY_MIN(kBlocks, count - j); ++i) {
      const std::uint32_t asked = open[j + i];
      const std::uint32_t fired = two_bytes(c.fired_low, c.fired_high, i) & asked;
      const std::uint32_t tied = two_bytes(c.tied_low, c.tied_high, i) & asked;
      const std::uint64_t feature = place_lanes[i] >> 32;
      const std::uint64_t block = place_lanes[i] & 0xFFFFFFFFu;
      Word16& out = trains16[feature * W * 4 + block];
      out = static_cast<std::uint16_t>(out | fired);
      // Kept for the next level when a step is undecided: written always, counted only then. What is
      // overwritten has been read, since undecided <= j + i.
      ties[undecided] = place_lanes[i];
      digits[undecided] = digit_lanes[i];
      open[undecided] = static_cast<std::uint16_t>(tied);
      undecided += tied != 0;
    }
  }
  return undecided;
}

std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key,
                           PoissonScratch& scratch) {
  const std::size_t W = (T + 63) / 64;
  const std::size_t blocks = (T + 15) / 16;
  const std::size_t room = F * blocks + kBlocks;  // whole vectors are read
  scratch.places.resize(room);
  scratch.digits.resize(room);
  scratch.ties.resize(room);
  scratch.open.resize(room);
  std::memset(trains, 0, F * W * sizeof *trains);
  const std::uint32_t last_steps = 0xFFFFu >> (blocks * 16 - T);  // the steps of the last block

  std::size_t active_count = 0;
  std::size_t count = 0;
  for (std::size_t f = 0; f < F; ++f) {
    const std::uint64_t k = pixels[f];
    if (k == 0) continue;
    active[active_count++] = static_cast<std::uint32_t>(f);
    Word16* train = reinterpret_cast<Word16*>(trains + f * W);
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint16_t steps = static_cast<std::uint16_t>(b + 1 < blocks ? 0xFFFFu : last_steps);
      if (k == 255) {
        train[b] = steps;
      } else {
        scratch.places[count] = std::uint64_t{f} << 32 | b;
        scratch.digits[count] = k * 0x0101010101010101u;
        scratch.open[count] = steps;
        ++count;
      }
    }
  }
  Word16* trains16 = reinterpret_cast<Word16*>(trains);
  const std::uint64_t* places = scratch.places.data();
  for (std::uint32_t level = 0; level < reference::kPoissonLevels && count > 0; ++level) {
    count = draw_level(trains16, W, places, count, level, sample, key, scratch);
    places = scratch.ties.data();
  }
  return active_count;
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(poisson_encode);

std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key,
                           PoissonScratch& scratch) {
  return HWY_DYNAMIC_DISPATCH(poisson_encode)(trains, active, pixels, F, T, sample, key, scratch);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

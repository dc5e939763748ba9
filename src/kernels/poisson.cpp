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

// 16 steps of a train. SAFETY: may alias the 64-bit words that it is a part of.
using Word16 [[gnu::may_alias]] = std::uint16_t;

using U64 = hn::ScalableTag<std::uint64_t>;
using VU = hn::Vec<U64>;
constexpr std::size_t kBlocks =
    hn::MaxLanes(U64());  // Philox blocks that run side by side, one in each 64-bit lane

/// The ten round keys of a Philox key.
struct RoundKeys {
  std::uint64_t first[kPhiloxRounds];
  std::uint64_t second[kPhiloxRounds];

  explicit RoundKeys(PhiloxKey key) {
    for (int round = 0; round < kPhiloxRounds; ++round) {
      first[round] = key[0];
      second[round] = key[1];
      key = {key[0] + kPhiloxW0, key[1] + kPhiloxW1};
    }
  }
};

/// What is drawn by one vector: in each lane a place, feature << 32 | step / 16, and its pixel in all 8
/// bytes.
struct Draws {
  VU place, digits;
};

/// The result, a bit a step in the lower 16 bits of each lane: which steps fire, and which are undecided.
struct Outcome {
  HWY_ALIGN std::uint16_t fired[kBlocks];
  HWY_ALIGN std::uint16_t tied[kBlocks];
};

/// Byte i of `low` and byte i of `high` side by side, for each lane.
HWY_INLINE void interleave(std::uint16_t* out, const std::uint8_t* low, const std::uint8_t* high) {
  const hn::FixedTag<std::uint8_t, 16> d;
  HWY_ALIGN std::uint8_t pairs[16];
  hn::Store(hn::InterleaveLower(d, hn::Load(d, low), hn::Load(d, high)), d, pairs);
  std::memcpy(out, pairs, kBlocks * sizeof *out);
}

/// Draws one block of 16 random bytes for each lane, philox() of core/philox.hpp, and compares it with the
/// pixels. The upper halves of the counter words are not kept clean: only their lower halves are read.
HWY_INLINE void draw(Outcome& out, const Draws& draws, std::uint32_t sample, std::uint32_t level,
                     const RoundKeys& keys) {
  const U64 d;
  const hn::Repartition<std::uint32_t, U64> d32;
  const hn::Repartition<std::uint8_t, U64> d8;
  const auto m0 = hn::BitCast(d32, hn::Set(d, kPhiloxM0));
  const auto m1 = hn::BitCast(d32, hn::Set(d, kPhiloxM1));
  VU c0 = draws.place;
  VU c1 = hn::ShiftRight<32>(draws.place);
  VU c2 = hn::Set(d, sample);
  VU c3 = hn::Set(d, level);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const VU p0 = hn::MulEven(m0, hn::BitCast(d32, c0));
    const VU p1 = hn::MulEven(m1, hn::BitCast(d32, c2));
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, keys.first[round]));
    c1 = p1;
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, keys.second[round]));
    c3 = p0;
  }
  const VU lower = hn::Set(d, 0xFFFFFFFFu);
  const auto low = hn::BitCast(d8, hn::Or(hn::And(c0, lower), hn::ShiftLeft<32>(c1)));   // bytes 0 to 7
  const auto high = hn::BitCast(d8, hn::Or(hn::And(c2, lower), hn::ShiftLeft<32>(c3)));  // bytes 8 to 15
  const auto k = hn::BitCast(d8, draws.digits);
  HWY_ALIGN std::uint8_t fired_low[16], fired_high[16], tied_low[16], tied_high[16];  // a byte a lane
  hn::StoreMaskBits(d8, hn::Lt(low, k), fired_low);
  hn::StoreMaskBits(d8, hn::Lt(high, k), fired_high);
  hn::StoreMaskBits(d8, hn::Eq(low, k), tied_low);
  hn::StoreMaskBits(d8, hn::Eq(high, k), tied_high);
  interleave(out.fired, fired_low, fired_high);
  interleave(out.tied, tied_low, tied_high);
}

/// Notes the lanes of one vector that have undecided steps; returns how many are noted by now.
HWY_INLINE std::size_t note_ties(PoissonScratch& scratch, std::size_t count, const Draws& draws,
                                 const std::uint16_t* tied, std::uint64_t first_word16,
                                 const std::uint32_t* word16) {
  const U64 d;
  bool any = false;
  for (std::size_t i = 0; i < kBlocks; ++i) any |= tied[i] != 0;
  if (!any) return count;
  HWY_ALIGN std::uint64_t places[kBlocks];
  HWY_ALIGN std::uint64_t digits[kBlocks];
  hn::Store(draws.place, d, places);
  hn::Store(draws.digits, d, digits);
  for (std::size_t i = 0; i < kBlocks; ++i) {
    scratch.places[count] = places[i];
    scratch.digits[count] = digits[i];
    scratch.open[count] = tied[i];
    scratch.word16[count] = word16 != nullptr ? word16[i] : static_cast<std::uint32_t>(first_word16 + i);
    count += tied[i] != 0;
  }
  return count;
}

/// The first level of every place: `row` 16-step blocks for each active feature, in the order in which they
/// lie in `trains`. Returns how many places have undecided steps.
HWY_INLINE std::size_t draw_first_level(Word16* trains16, std::size_t row, const std::uint32_t* active,
                                        std::size_t active_count, const std::uint8_t* pixels,
                                        std::uint32_t sample, const RoundKeys& keys,
                                        PoissonScratch& scratch) {
  const U64 d;
  std::size_t ties = 0;
  Outcome out;
  HWY_ALIGN std::uint64_t places[kBlocks];
  HWY_ALIGN std::uint64_t digits[kBlocks];
  const std::size_t all = active_count * row;
  for (std::size_t j = 0; j < all; j += kBlocks) {
    Draws draws;
    if (row % kBlocks == 0) {
      const std::uint64_t f = active[j / row];
      draws.place = hn::Add(hn::Set(d, f << 32 | j % row), hn::Iota(d, 0));
      draws.digits = hn::Set(d, pixels[f] * 0x0101010101010101u);
    } else {
      for (std::size_t i = 0; i < kBlocks; ++i) {  // beyond the end: the last place again, which nobody reads
        const std::size_t at = HWY_MIN(j + i, all - 1);
        const std::uint64_t f = active[at / row];
        places[i] = f << 32 | at % row;
        digits[i] = pixels[f] * 0x0101010101010101u;
      }
      draws = {hn::Load(d, places), hn::Load(d, digits)};
    }
    draw(out, draws, sample, 0, keys);
    const std::size_t count = HWY_MIN(kBlocks, all - j);
    for (std::size_t i = count; i < kBlocks; ++i) out.tied[i] = 0;
    if (count == kBlocks) {
      std::memcpy(trains16 + j, out.fired, sizeof out.fired);
    } else {
      std::memcpy(trains16 + j, out.fired, count * sizeof *out.fired);
    }
    ties = note_ties(scratch, ties, draws, out.tied, j, nullptr);
  }
  return ties;
}

/// One more level for the `count` places that are noted in scratch; notes there what is still undecided.
HWY_INLINE std::size_t draw_next_level(Word16* trains16, std::size_t count, std::uint32_t level,
                                       std::uint32_t sample, const RoundKeys& keys, PoissonScratch& scratch) {
  const U64 d;
  std::size_t ties = 0;
  Outcome out;
  for (std::size_t j = 0; j < count; j += kBlocks) {
    const Draws draws{hn::LoadU(d, scratch.places.data() + j), hn::LoadU(d, scratch.digits.data() + j)};
    draw(out, draws, sample, level, keys);
    std::uint32_t word16[kBlocks] = {};
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const std::uint16_t open = j + i < count ? scratch.open[j + i] : std::uint16_t{0};
      out.tied[i] = static_cast<std::uint16_t>(out.tied[i] & open);
      if (open == 0) continue;
      word16[i] = scratch.word16[j + i];
      Word16& word = trains16[word16[i]];
      word = static_cast<Word16>(word | (out.fired[i] & open));
    }
    ties = note_ties(scratch, ties, draws, out.tied, 0, word16);  // ties <= j: what is overwritten was read
  }
  return ties;
}

std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key,
                           PoissonScratch& scratch) {
  const std::size_t W = (T + 63) / 64;
  std::size_t active_count = 0;
  for (std::size_t f = 0; f < F; ++f) {
    active[active_count] = static_cast<std::uint32_t>(f);
    active_count += pixels[f] != 0;
  }
  const std::size_t row = W * 4;
  const std::size_t room = active_count * row + kBlocks;  // whole vectors are written
  scratch.places.resize(room);
  scratch.digits.resize(room);
  scratch.open.resize(room);
  scratch.word16.resize(room);

  const RoundKeys keys(key);
  Word16* trains16 = reinterpret_cast<Word16*>(trains);
  std::size_t ties = draw_first_level(trains16, row, active, active_count, pixels, sample, keys, scratch);
  for (std::uint32_t level = 1; level < reference::kPoissonLevels && ties > 0; ++level) {
    ties = draw_next_level(trains16, ties, level, sample, keys, scratch);
  }
  const std::uint64_t last_steps = ~std::uint64_t{0} >> (W * 64 - T);
  for (std::size_t a = 0; a < active_count; ++a) {
    if (pixels[active[a]] == 255)
      std::memset(trains + a * W, 0xFF, W * sizeof *trains);  // always, not but for 2^-64
    trains[a * W + W - 1] &= last_steps;
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

#include "kernels/poisson.hpp"

#include <algorithm>
#include <bit>

#include "core/numerics.hpp"
#include "core/workspace.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/poisson.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

using U64 = hn::ScalableTag<std::uint64_t>;
using VU = hn::Vec<U64>;
constexpr std::size_t kBlocks = hn::MaxLanes(U64());  // Philox blocks side by side, one in each 64-bit lane
constexpr std::size_t kGroup = 8;                     // features that are drawn together
constexpr std::size_t kGroupVectors = kGroup / kBlocks;
constexpr std::size_t kChunkBlocks =
    8;  // 128 steps, that are turned from a byte a feature to a row a feature
constexpr std::size_t kMaxChunkTies = kGroup * kChunkBlocks * 16;
constexpr std::size_t kTies = 4 * kMaxChunkTies;  // undecided steps that there is room for
static_assert(kGroup % kBlocks == 0);

/// Levels of bytes that are drawn at the most: what is undecided after them, 2^-64 of all draws, does not
/// fire.
constexpr std::uint32_t kLevels = 8;
constexpr std::uint64_t kAlways = ~std::uint64_t{0};

/// The first eight digits in base 256, the highest byte first, of the probability k / 255 = 0.kkk... (P2);
/// 255, which would miss 2^-64 of its steps, is kAlways.
constexpr std::uint64_t digits_of(std::uint8_t k) { return k * 0x0101010101010101u; }

/// Those of a real-valued probability; exact for every float of 2^-40 and more.
constexpr std::uint64_t digits_of(float p) {
  if (!(p > 0)) return 0;
  if (p >= 1) return kAlways;
  return static_cast<std::uint64_t>(static_cast<double>(p) * 0x1p64);
}

/// The key of each round.
struct RoundKeys {
  std::uint32_t first[numerics::kPhiloxRounds];
  std::uint32_t second[numerics::kPhiloxRounds];

  explicit RoundKeys(PhiloxKey key) {
    for (int round = 0; round < numerics::kPhiloxRounds; ++round) {
      first[round] = key[0];
      second[round] = key[1];
      key = {key[0] + kPhiloxW0, key[1] + kPhiloxW1};
    }
  }
};

/// The counter words of kBlocks blocks. Upper halves are not kept clean: only lower halves are read.
struct Counters {
  VU c0, c1, c2, c3;
};

/// The 16 random bytes of each block: 0 to 7, and 8 to 15.
struct RandomBytes {
  VU low, high;
};

HWY_INLINE VU multiply(std::uint32_t by, VU lower_halves) {
  const hn::Repartition<std::uint32_t, U64> d32;
  return hn::MulEven(hn::BitCast(d32, hn::Set(U64(), by)), hn::BitCast(d32, lower_halves));
}

/// philox() of core/philox.hpp from round `first` on, kCount times side by side, so that one block's rounds
/// do not wait for each other's results.
template <std::size_t kCount>
HWY_INLINE void rounds_from(RandomBytes* bytes, int first, Counters* c, const RoundKeys& keys) {
  const U64 d;
  VU p0[kCount], p1[kCount];
  for (int round = first; round < numerics::kPhiloxRounds; ++round) {
    const VU k0 = hn::Set(d, keys.first[round]);
    const VU k1 = hn::Set(d, keys.second[round]);
    for (std::size_t i = 0; i < kCount; ++i) {
      p0[i] = multiply(kPhiloxM0, c[i].c0);
      p1[i] = multiply(kPhiloxM1, c[i].c2);
    }
    if (round == numerics::kPhiloxRounds - 1) {
      // The halves change places: word 0 is below word 1, word 2 below word 3.
      const VU lower = hn::Set(d, 0xFFFFFFFFu);
      for (std::size_t i = 0; i < kCount; ++i) {
        bytes[i].low = hn::Xor3(hn::RotateRight<32>(p1[i]), hn::And(c[i].c1, lower), k0);
        bytes[i].high = hn::Xor3(hn::RotateRight<32>(p0[i]), hn::And(c[i].c3, lower), k1);
      }
      return;
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      c[i].c0 = hn::Xor3(hn::ShiftRight<32>(p1[i]), c[i].c1, k0);
      c[i].c1 = p1[i];
      c[i].c2 = hn::Xor3(hn::ShiftRight<32>(p0[i]), c[i].c3, k1);
      c[i].c3 = p0[i];
    }
  }
}

/// The first three rounds of level 0, where most counter words are the same for all features or for all
/// steps. Names: docs/math/poisson.md, "The first rounds".
struct FirstRounds {
  static constexpr std::size_t kScalars = 4;
  std::uint32_t c0_1;      // the part of c0 after round 1 that is not the feature
  const std::uint64_t* b;  // (blocks, kScalars): what depends on the block of steps alone

  FirstRounds(std::uint64_t* scalars, std::size_t blocks, std::uint32_t sample, const RoundKeys& keys)
      : b(scalars) {
    const std::uint64_t p1 = std::uint64_t{kPhiloxM1} * sample;
    c0_1 = static_cast<std::uint32_t>(p1 >> 32) ^ keys.first[0];
    const std::uint32_t c1_1 = static_cast<std::uint32_t>(p1);
    for (std::size_t i = 0; i < blocks; ++i, scalars += kScalars) {
      const std::uint64_t q0 = std::uint64_t{kPhiloxM0} * i;
      const std::uint32_t c2_1 = static_cast<std::uint32_t>(q0 >> 32) ^ keys.second[0];
      const std::uint64_t q1 = std::uint64_t{kPhiloxM1} * c2_1;
      const std::uint32_t c0_2 = static_cast<std::uint32_t>(q1 >> 32) ^ c1_1 ^ keys.first[1];
      const std::uint64_t r0 = std::uint64_t{kPhiloxM0} * c0_2;
      scalars[0] = static_cast<std::uint32_t>(q0) ^ keys.second[1];        // into c2 of round 2
      scalars[1] = static_cast<std::uint32_t>(q1) ^ keys.first[2];         // into c0 of round 3
      scalars[2] = static_cast<std::uint32_t>(r0 >> 32) ^ keys.second[2];  // into c2 of round 3
      scalars[3] = static_cast<std::uint32_t>(r0);                         // c3 of round 3
    }
  }

  /// M0 times c0 of round 2: of a feature alone.
  HWY_INLINE VU of_features(VU features) const {
    return multiply(kPhiloxM0, hn::Xor(features, hn::Set(U64(), c0_1)));
  }
  HWY_INLINE Counters after_three(VU of_feature, std::size_t block) const {
    const U64 d;
    const std::uint64_t* s = b + block * kScalars;
    const VU c2 = hn::Xor(hn::ShiftRight<32>(of_feature), hn::Set(d, s[0]));
    const VU p1 = multiply(kPhiloxM1, c2);
    return {.c0 = hn::Xor(hn::ShiftRight<32>(p1), hn::Set(d, s[1])),
            .c1 = p1,
            .c2 = hn::Xor(of_feature, hn::Set(d, s[2])),
            .c3 = hn::Set(d, s[3])};
  }
};

/// The comparison of one chunk of steps: byte f of word j has the steps 8 j to 8 j + 7 of feature f.
struct Outcome {
  HWY_ALIGN std::uint64_t fired[2 * kChunkBlocks];
  HWY_ALIGN std::uint64_t tied[2 * kChunkBlocks];
};

/// What a group of features keeps through all its steps: M0 times c0 of round 2, and the first digit of each,
/// in all eight bytes.
struct Group {
  VU of_feature[kGroupVectors];
  VU digit[kGroupVectors];
};

/// kCount vectors of blocks from number `j` on; the vectors of a group's first block come first.
template <std::size_t kCount>
HWY_INLINE void draw_blocks(Outcome& out, const Group& group, std::size_t first_block, std::size_t j,
                            const FirstRounds& start, const RoundKeys& keys) {
  const hn::Repartition<std::uint8_t, U64> d8;
  Counters c[kCount];
  RandomBytes r[kCount];
  for (std::size_t i = 0; i < kCount; ++i) {
    c[i] =
        start.after_three(group.of_feature[(j + i) % kGroupVectors], first_block + (j + i) / kGroupVectors);
  }
  rounds_from<kCount>(r, 3, c, keys);
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::size_t v = (j + i) % kGroupVectors;
    const std::size_t at = (j + i) / kGroupVectors * 2 * kGroup + v * kBlocks;
    std::uint8_t* fired = reinterpret_cast<std::uint8_t*>(out.fired) + at;
    std::uint8_t* tied = reinterpret_cast<std::uint8_t*>(out.tied) + at;
    const auto digit = hn::BitCast(d8, group.digit[v]);
    const auto low = hn::BitCast(d8, r[i].low);
    const auto high = hn::BitCast(d8, r[i].high);
    hn::StoreMaskBits(d8, hn::Lt(low, digit), fired);
    hn::StoreMaskBits(d8, hn::Lt(high, digit), fired + kGroup);
    hn::StoreMaskBits(d8, hn::Eq(low, digit), tied);
    hn::StoreMaskBits(d8, hn::Eq(high, digit), tied + kGroup);
  }
}

HWY_INLINE void draw_chunk(Outcome& out, const Group& group, std::size_t first_block, std::size_t blocks,
                           const FirstRounds& start, const RoundKeys& keys) {
  const std::size_t vectors = blocks * kGroupVectors;
  std::size_t j = 0;
  for (; j + 2 <= vectors; j += 2) draw_blocks<2>(out, group, first_block, j, start, keys);
  if (j < vectors) draw_blocks<1>(out, group, first_block, j, start, keys);
}

/// rows (8 features of 128 bits) from words (16, of a byte a feature): three perfect shuffles.
HWY_INLINE void turn_to_rows(std::uint64_t* HWY_RESTRICT rows, const std::uint64_t* HWY_RESTRICT words) {
  const hn::FixedTag<std::uint8_t, 16> d8;
  const hn::FixedTag<std::uint16_t, 8> d16;
  const std::uint8_t* bytes = reinterpret_cast<const std::uint8_t*>(words);
  hn::Vec<hn::FixedTag<std::uint16_t, 8>> a[8], b[8];
  for (std::size_t i = 0; i < 8; ++i) {
    const auto pair = hn::Load(d8, bytes + 16 * i);  // word 2 i below word 2 i + 1
    a[i] = hn::BitCast(d16, hn::InterleaveLower(d8, pair, hn::ShiftRightBytes<8>(d8, pair)));
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 4; ++i) {
      b[2 * i] = hn::InterleaveLower(d16, a[i], a[i + 4]);
      b[2 * i + 1] = hn::InterleaveUpper(d16, a[i], a[i + 4]);
    }
    std::copy(b, b + 8, a);
  }
  const hn::FixedTag<std::uint64_t, 2> d64;
  for (std::size_t i = 0; i < 8; ++i) hn::Store(hn::BitCast(d64, a[i]), d64, rows + 2 * i);
}

/// One picture under way: its trains (listed features, W), and what draws them.
struct Picture {
  std::uint64_t* trains;
  const std::uint32_t* features;  // that are not silent
  std::size_t T, W;
  std::uint32_t sample;
  const RoundKeys& keys;
  const std::uint64_t* digits;  // (features that are not silent) of digits_of
  std::uint32_t* rows;   // the undecided steps, of which there is room for kTies: the train of each, and
  std::uint32_t* steps;  // its step
  std::size_t ties = 0;  // how many these are
};

/// Notes the undecided steps of one chunk, from step `first_step` of train `row` on.
HWY_INLINE void note_ties(Picture& p, const std::uint64_t* tied, std::size_t words, std::size_t row,
                          std::size_t first_step) {
  std::uint32_t nonzero[2 * kChunkBlocks];
  std::size_t n = 0;
  for (std::size_t j = 0; j < words; ++j) {
    nonzero[n] = static_cast<std::uint32_t>(j);
    n += tied[j] != 0;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t j = nonzero[i];
    std::uint64_t word = tied[j];
    do {
      const std::size_t bit = static_cast<std::size_t>(std::countr_zero(word));
      p.rows[p.ties] = static_cast<std::uint32_t>(row + bit / 8);
      p.steps[p.ties++] = static_cast<std::uint32_t>(first_step + 8 * j + bit % 8);
      word &= word - 1;
    } while (word != 0);
  }
}

/// One more level for the undecided steps; what is still undecided stays noted.
HWY_INLINE void draw_next_level(Picture& p, std::uint32_t level) {
  const U64 d;
  HWY_ALIGN std::uint64_t block[kBlocks] = {};
  HWY_ALIGN std::uint64_t feature[kBlocks] = {};
  HWY_ALIGN std::uint64_t random[2 * kBlocks];
  std::uint32_t* rows = p.rows;
  std::uint32_t* steps = p.steps;
  std::size_t left = 0;
  for (std::size_t j = 0; j < p.ties; j += kBlocks) {
    const std::size_t lanes = HWY_MIN(kBlocks, p.ties - j);
    for (std::size_t i = 0; i < lanes; ++i) {
      block[i] = steps[j + i] / 16;
      feature[i] = p.features[rows[j + i]];
    }
    Counters c{hn::Load(d, block), hn::Load(d, feature), hn::Set(d, p.sample), hn::Set(d, level)};
    RandomBytes r;
    rounds_from<1>(&r, 0, &c, p.keys);
    hn::Store(r.low, d, random);
    hn::Store(r.high, d, random + kBlocks);
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::uint32_t row = rows[j + i];
      const std::uint32_t step = steps[j + i];
      const std::uint64_t bytes = random[i + (step % 16 / 8) * kBlocks];
      const std::uint8_t byte = static_cast<std::uint8_t>(bytes >> 8 * (step % 8));
      const std::uint8_t digit = static_cast<std::uint8_t>(p.digits[row] >> (56 - 8 * level));
      p.trains[row * p.W + step / 64] |= std::uint64_t{byte < digit} << step % 64;
      rows[left] = row;  // left <= j + i: what is overwritten was read
      steps[left] = step;
      left += byte == digit;
    }
  }
  p.ties = left;
}

HWY_INLINE void decide_ties(Picture& p) {
  for (std::uint32_t level = 1; level < kLevels && p.ties > 0; ++level) {
    draw_next_level(p, level);
  }
  p.ties = 0;
}

/// The lowest bits set, `count` of them or all 64.
HWY_INLINE std::uint64_t first_bits(std::size_t count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

/// Level 0 of all steps of the listed features from `row` on, `rows` <= kGroup of them.
HWY_INLINE void draw_group(Picture& p, std::size_t row, std::size_t rows, const FirstRounds& start) {
  const U64 d;
  HWY_ALIGN std::uint64_t feature[kGroup] = {};
  HWY_ALIGN std::uint64_t digit[kGroup] = {};
  HWY_ALIGN std::uint64_t lines[2 * kGroup];
  for (std::size_t i = 0; i < rows; ++i) {
    feature[i] = p.features[row + i];
    digit[i] = (p.digits[row + i] >> 56) * 0x0101010101010101u;
  }
  Group group;
  for (std::size_t v = 0; v < kGroupVectors; ++v) {
    group.of_feature[v] = start.of_features(hn::Load(d, feature + v * kBlocks));
    group.digit[v] = hn::Load(d, digit + v * kBlocks);
  }
  const std::uint64_t listed = ~std::uint64_t{0} >> (64 - 8 * rows);
  Outcome out;
  for (std::size_t w = 0; w < p.W; w += 2) {
    const std::size_t steps = HWY_MIN(128, p.T - w * 64);
    draw_chunk(out, group, w * 4, (steps + 15) / 16, start, p.keys);
    const std::size_t words = (steps + 7) / 8;
    const std::uint64_t live = (0xFFu >> (words * 8 - steps)) * 0x0101010101010101u;  // of the last word
    out.tied[words - 1] &= live;
    out.fired[words - 1] &= live;
    for (std::size_t j = 0; j < words; ++j) out.tied[j] &= listed;
    for (std::size_t j = words; j < 2 * kChunkBlocks; ++j) out.fired[j] = 0;
    turn_to_rows(lines, out.fired);
    const std::uint64_t live0 = first_bits(steps), live1 = steps > 64 ? first_bits(steps - 64) : 0;
    const bool pair = w + 2 <= p.W;
    for (std::size_t i = 0; i < rows; ++i) {
      const std::uint64_t always = p.digits[row + i] == kAlways ? ~std::uint64_t{0} : 0;
      std::uint64_t* to = p.trains + (row + i) * p.W + w;
      to[0] = lines[2 * i] | (always & live0);
      if (pair) to[1] = lines[2 * i + 1] | (always & live1);
    }
    if (p.ties + kMaxChunkTies > kTies) decide_ties(p);
    note_ties(p, out.tied, words, row, w * 64);
  }
}

/// Puts the trains that have a spike, and their features, one behind the other; returns how many.
HWY_INLINE std::size_t keep_those_that_fired(const Picture& p, std::uint32_t* active, std::size_t count) {
  const auto fired = [&](std::size_t a) {
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < p.W; ++w) any |= p.trains[a * p.W + w];
    return any != 0;
  };
  std::size_t kept = 0;
  while (kept < count && fired(kept)) ++kept;
  for (std::size_t a = kept; a < count; ++a) {
    const bool keep = fired(a);
    for (std::size_t w = 0; w < p.W; ++w) p.trains[kept * p.W + w] = p.trains[a * p.W + w];
    active[kept] = active[a];
    kept += keep;
  }
  return kept;
}

/// Trains of the `count` features in `active`; then leaves out those that never fired.
HWY_INLINE std::size_t encode_listed(std::uint64_t* trains, std::uint32_t* active, std::size_t count,
                                     std::size_t T, std::uint32_t sample, PhiloxKey key,
                                     const std::uint64_t* digits) {
  const std::size_t W = (T + 63) / 64;
  const RoundKeys keys(key);
  Scratch<std::uint64_t> scalars((T + 15) / 16 * FirstRounds::kScalars);
  Scratch<std::uint32_t> rows(kTies), steps(kTies);
  const FirstRounds start(scalars.data(), (T + 15) / 16, sample, keys);
  Picture p{trains, active, T, W, sample, keys, digits, rows.data(), steps.data()};
  for (std::size_t row = 0; row < count; row += kGroup)
    draw_group(p, row, HWY_MIN(kGroup, count - row), start);
  decide_ties(p);
  return keep_those_that_fired(p, active, count);
}

std::size_t encode_bytes(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                         std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key) {
  Scratch<std::uint64_t> digits(F);
  std::size_t count = 0;
  const auto list = [&](std::size_t f) {
    active[count] = static_cast<std::uint32_t>(f);
    digits[count++] = digits_of(pixels[f]);
  };
  const hn::ScalableTag<std::uint8_t> d8;
  constexpr std::size_t kBytes = hn::MaxLanes(d8);
  std::size_t f = 0;
  for (; f + kBytes <= F; f += kBytes) {
    std::uint64_t word = 0;
    hn::StoreMaskBits(d8, hn::Ne(hn::LoadU(d8, pixels + f), hn::Zero(d8)),
                      reinterpret_cast<std::uint8_t*>(&word));
    for (; word != 0; word &= word - 1) list(f + static_cast<std::size_t>(std::countr_zero(word)));
  }
  for (; f < F; ++f) {
    if (pixels[f] != 0) list(f);
  }
  return encode_listed(trains, active, count, T, sample, key, digits.data());
}

std::size_t encode_reals(std::uint64_t* trains, std::uint32_t* active, const float* probabilities,
                         std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key) {
  Scratch<std::uint64_t> digits(F);
  std::size_t count = 0;
  for (std::size_t f = 0; f < F; ++f) {
    digits[count] = digits_of(probabilities[f]);
    active[count] = static_cast<std::uint32_t>(f);
    count += digits[count] != 0;
  }
  return encode_listed(trains, active, count, T, sample, key, digits.data());
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(encode_bytes);
HWY_EXPORT(encode_reals);

std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const std::uint8_t* pixels,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key) {
  return HWY_DYNAMIC_DISPATCH(encode_bytes)(trains, active, pixels, F, T, sample, key);
}

std::size_t poisson_encode(std::uint64_t* trains, std::uint32_t* active, const float* probabilities,
                           std::size_t F, std::size_t T, std::uint32_t sample, PhiloxKey key) {
  return HWY_DYNAMIC_DISPATCH(encode_reals)(trains, active, probabilities, F, T, sample, key);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

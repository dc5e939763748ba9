#include "kernels/lookup.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lookup.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/turn-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

using U32 = hn::ScalableTag<std::uint32_t>;
using VU = hn::Vec<U32>;

constexpr std::size_t kParts = 16 / kLanes;  // vectors that hold 16 numbers

// Sums side by side: as many as the registers hold, beside what they are made from.
constexpr std::size_t kTileOutputs = kLanes == 16 ? 8 : 4;
constexpr std::size_t kTileVectors = kLanes == 16 ? 3 : 2;

void lookup_table(float* HWY_RESTRICT table, const LookupTerms& v, std::size_t groups, std::size_t terms,
                  std::size_t outputs) {
  const F32 d;
  constexpr std::uint32_t kHas[4] = {0xaaaa, 0xcccc, 0xf0f0, 0xff00};  // the m that have bit k
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t o = 0; o < kLookupOutputs; ++o, table += 16) {
      const float* from = v.values + o * v.output + g * v.group;
      for (std::size_t p = 0; p < kParts; ++p) {
        VF sum = hn::Zero(d);
        for (std::size_t k = 0; k < terms && o < outputs; ++k) {
          const MF has = mask_from_bits(kHas[k] >> p * kLanes & ((1u << kLanes) - 1));
          sum = hn::IfThenElse(has, hn::Add(sum, hn::Set(d, from[k * v.term])), sum);
        }
        hn::Store(sum, d, table + p * kLanes);
      }
    }
  }
}

/// 16 numbers, and what the lowest nibble of each lane of `words` names among them.
struct Table {
  VF part[kParts];

  HWY_INLINE explicit Table(const float* table) {
    for (std::size_t p = 0; p < kParts; ++p) part[p] = hn::Load(F32(), table + p * kLanes);
  }
  HWY_INLINE VF at(VU words) const {
    const F32 d;
    const U32 u;
    const auto index = hn::IndicesFromVec(d, hn::And(words, hn::Set(u, kLanes - 1)));
    VF found[kParts];
    for (std::size_t p = 0; p < kParts; ++p) found[p] = hn::TableLookupLanes(part[p], index);
    for (std::size_t width = 1; width < kParts; width *= 2) {
      const auto bit = hn::Set(u, static_cast<std::uint32_t>(kLanes * width));
      const MF upper = hn::RebindMask(d, hn::TestBit(words, bit));
      for (std::size_t p = 0; p < kParts; p += 2 * width) {
        found[p] = hn::IfThenElse(upper, found[p + width], found[p]);
      }
    }
    return found[0];
  }
};

template <std::size_t kVectors>
HWY_INLINE void lookup_tile(float* HWY_RESTRICT sums, std::size_t sum_row, const float* HWY_RESTRICT table,
                            const NibbleWords& bits, std::size_t r) {
  const F32 d;
  const U32 u;
  const VF one = hn::Set(d, 1.0f);
  VF sum[kTileOutputs][kVectors];
  for (std::size_t o = 0; o < kTileOutputs; ++o) {
    for (std::size_t v = 0; v < kVectors; ++v) sum[o][v] = hn::LoadU(d, sums + o * sum_row + r + v * kLanes);
  }
  std::size_t left = bits.period;
  for (std::size_t w = 0; w < bits.words; ++w) {
    VU word[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
      word[v] = hn::LoadU(u, bits.data + w * bits.stride + r + v * kLanes);
    }
    const std::size_t nibbles = --left > 0 ? kWordNibbles : bits.last;
    if (left == 0) left = bits.period;
    for (std::size_t k = 0; k < nibbles; ++k, table += kLookupOutputs * 16) {
      unrolled<kTileOutputs>([&](auto o) {
        const Table entries(table + o * 16);
        for (std::size_t v = 0; v < kVectors; ++v) {
          const VF found = entries.at(word[v]);
          // The same bits either way; in turn they keep both kinds of unit busy.
          sum[o][v] = (o + v) % 2 == 0 ? hn::Add(sum[o][v], found) : hn::MulAdd(found, one, sum[o][v]);
        }
      });
      for (std::size_t v = 0; v < kVectors; ++v) word[v] = hn::ShiftRight<4>(word[v]);
    }
  }
  for (std::size_t o = 0; o < kTileOutputs; ++o) {
    for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(sum[o][v], d, sums + o * sum_row + r + v * kLanes);
  }
}

void lookup_add(float* sums, std::size_t sum_row, const float* table, const NibbleWords& bits) {
  const std::size_t rows = (bits.rows + kLanes - 1) / kLanes * kLanes;
  for (std::size_t o = 0; o < kLookupOutputs; o += kTileOutputs) {
    std::size_t r = 0;
    for (; r + kTileVectors * kLanes <= rows; r += kTileVectors * kLanes) {
      lookup_tile<kTileVectors>(sums + o * sum_row, sum_row, table + o * 16, bits, r);
    }
    for (; r < rows; r += kLanes) lookup_tile<1>(sums + o * sum_row, sum_row, table + o * 16, bits, r);
  }
}

void gather_nibbles(std::uint32_t* words, std::size_t stride, const std::uint8_t* nibbles, std::size_t in,
                    const Taps& taps, std::size_t first, std::size_t last, std::size_t begin,
                    std::size_t end) {
  const U32 u;
  const hn::Rebind<std::uint8_t, U32> bytes;
  for (; first < last; first += kWordNibbles, words += stride) {
    const std::size_t count = HWY_MIN(kWordNibbles, last - first);
    for (std::size_t j = begin; j < end;) {
      const std::size_t tap = j / in;
      const std::size_t stop = HWY_MIN(end, (tap + 1) * in);
      const std::uint8_t* from[kWordNibbles];
      for (std::size_t k = 0; k < count; ++k) {
        const std::int32_t at = taps.index[(first + k) * taps.taps + tap];
        from[k] = at != kOutside ? nibbles + static_cast<std::size_t>(at) * in : nullptr;
      }
      // Whole vectors: what is written behind `stop` is written again, by the next tap, or nobody reads it.
      for (; j < stop; j += kLanes) {
        VU word = hn::Zero(u);
        for (std::size_t k = 0; k < count; ++k) {
          if (from[k] == nullptr) continue;
          const VU nibble = hn::PromoteTo(u, hn::LoadU(bytes, from[k] + j % in));
          word = hn::Or(word, hn::ShiftLeftSame(nibble, static_cast<int>(4 * k)));
        }
        hn::StoreU(word, u, words + (j - begin));
      }
      j = stop;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(lookup_table);
HWY_EXPORT(lookup_add);
HWY_EXPORT(gather_nibbles);

void lookup_table(float* table, const LookupTerms& values, std::size_t groups, std::size_t terms,
                  std::size_t outputs) {
  HWY_DYNAMIC_DISPATCH(lookup_table)(table, values, groups, terms, outputs);
}

void lookup_add(float* sums, std::size_t sum_row, const float* table, const NibbleWords& bits) {
  HWY_DYNAMIC_DISPATCH(lookup_add)(sums, sum_row, table, bits);
}

void gather_nibbles(std::uint32_t* words, std::size_t stride, const std::uint8_t* nibbles, std::size_t in,
                    const Taps& taps, std::size_t first, std::size_t last, std::size_t begin,
                    std::size_t end) {
  HWY_DYNAMIC_DISPATCH(gather_nibbles)(words, stride, nibbles, in, taps, first, last, begin, end);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

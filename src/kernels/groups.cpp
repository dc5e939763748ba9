#include "kernels/groups.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/groups.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/turn-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// How rows are walked: kRows of a block side by side, kVectors vectors of outputs each, as many as the
/// registers hold; kChunks chunks of tables at a time.
struct Blocks {  // tables in the first cache
  static constexpr std::size_t kRows = kLanes == 16 ? 12 : 6, kVectors = 2, kChunks = kLanes == 16 ? 1 : 2;
};
struct Singles {  // tables in the second
  static constexpr std::size_t kRows = 1, kVectors = 8, kChunks = kLanes == 16 ? 2 : 4;
};
template <class Walk>
constexpr std::size_t kColumns = Walk::kVectors* kLanes;  // outputs side by side
static_assert(kGroupOutputs % kColumns<Singles> == 0 && kGroupOutputs % kColumns<Blocks> == 0);
static_assert(Singles::kChunks * kGroupSlots * 16 * kColumns<Singles> <= kGroupTables);

/// The 16 subset sums of a group, terms ascending, of one vector of outputs: entry m, kColumns floats behind
/// entry m - 1, has the terms whose bit is in m.
template <class Walk>
HWY_INLINE void store_subset_sums(float* HWY_RESTRICT table, VF a, VF b, VF c, VF e) {
  const F32 d;
  const VF term[4] = {a, b, c, e};
  VF sums[16];
  sums[0] = hn::Zero(d);
  for (std::size_t k = 0; k < 4; ++k) {
    sums[1u << k] = term[k];
    for (std::size_t m = 1; m < (1u << k); ++m) sums[m | 1u << k] = hn::Add(sums[m], term[k]);
  }
  for (std::size_t m = 0; m < 16; ++m) hn::Store(sums[m], d, table + m * kColumns<Walk>);
}

/// The entries of a group of weights.
template <class Walk>
HWY_INLINE void build_entries(float* HWY_RESTRICT table, const GroupWeights& w, std::size_t slot,
                              std::size_t o, std::size_t outputs) {
  const F32 d;
  constexpr std::size_t kC = kColumns<Walk>;
  const std::size_t first = 4 * (w.group != nullptr ? w.group[slot] : slot),
                    terms = HWY_MIN(std::size_t{4}, w.in - first);
  HWY_ALIGN float term[4 * kC];
  if (terms < 4 || outputs < kC) std::memset(term, 0, sizeof term);
  turn_tile(term, kC, w.weight + o * w.in + first, w.in, outputs, terms);
  for (std::size_t v = 0; v < kC; v += kLanes) {
    store_subset_sums<Walk>(table + v, hn::Load(d, term + v), hn::Load(d, term + kC + v),
                            hn::Load(d, term + 2 * kC + v), hn::Load(d, term + 3 * kC + v));
  }
}

/// Adds to the sums (kRows, kColumns) of rows from `row` of a block on what their subsets name.
template <class Walk, std::size_t kRows>
HWY_INLINE void add_entries(float* HWY_RESTRICT sums, const float* HWY_RESTRICT table, std::size_t first_slot,
                            const GroupEntry* entry, const GroupEntry* end, std::size_t row) {
  const F32 d;
  constexpr std::size_t kC = kColumns<Walk>;
  VF sum[kRows][Walk::kVectors];
  unrolled<kRows>([&](auto r) {
    unrolled<Walk::kVectors>([&](auto v) { sum[r][v] = hn::LoadU(d, sums + r * kC + v * kLanes); });
  });
  for (; entry != end; ++entry) {
    const float* HWY_RESTRICT group = table + (entry->slot - first_slot) * (16 * kC);
    const std::uint8_t* HWY_RESTRICT subset = entry->subset + row;
    unrolled<kRows>([&](auto r) {
      const float* HWY_RESTRICT found = group + subset[r] * kC / 16;
      unrolled<Walk::kVectors>(
          [&](auto v) { sum[r][v] = hn::Add(sum[r][v], hn::Load(d, found + v * kLanes)); });
    });
  }
  unrolled<kRows>([&](auto r) {
    unrolled<Walk::kVectors>([&](auto v) { hn::StoreU(sum[r][v], d, sums + r * kC + v * kLanes); });
  });
}

/// add_entries for `rows` <= kMost rows.
template <class Walk, std::size_t kMost = Walk::kRows>
HWY_INLINE void add_rows_of(std::size_t rows, float* sums, const float* table, std::size_t first_slot,
                            const GroupEntry* entry, const GroupEntry* end, std::size_t row) {
  if constexpr (kMost > 1) {
    if (rows < kMost) {
      return add_rows_of<Walk, kMost - 1>(rows, sums, table, first_slot, entry, end, row);
    }
  }
  add_entries<Walk, kMost>(sums, table, first_slot, entry, end, row);
}

/// The sums (rows, kColumns) of all blocks += the slots of chunks [chunk, last).
template <class Walk>
HWY_NOINLINE void add_chunks(float* sums, const GroupRows& x, const float* table, std::size_t chunk,
                             std::size_t last) {
  for (std::size_t b = 0; b < x.blocks; ++b) {
    const GroupEntry* entries = x.entries + x.start[b];
    const std::uint32_t* end = x.end + b * x.chunks;
    const std::uint32_t begin = chunk == 0 ? 0 : end[chunk - 1];
    if (begin == end[last - 1]) continue;
    const std::size_t count = x.first_row[b + 1] - x.first_row[b];
    const std::size_t parts = (count + Walk::kRows - 1) / Walk::kRows;
    for (std::size_t part = 0, row = 0; part < parts; ++part) {
      const std::size_t rows = (count - row + parts - part - 1) / (parts - part);
      add_rows_of<Walk>(rows, sums + (x.first_row[b] + row) * kColumns<Walk>, table, chunk * kGroupSlots,
                        entries + begin, entries + end[last - 1], row);
      row += rows;
    }
  }
}

/// table_of(o, outputs, chunk, last) gives the tables of the slots of chunks [chunk, last).
template <class Walk, class TableOf>
HWY_INLINE void forward(float* y, std::size_t y_row, const GroupRows& x, const float* bias,
                        std::size_t outputs, float* sums, const TableOf& table_of) {
  const F32 d;
  constexpr std::size_t kC = kColumns<Walk>;
  const std::size_t rows = x.first_row[x.blocks];
  for (std::size_t o = 0; o < outputs; o += kC) {
    const std::size_t columns = HWY_MIN(kC, outputs - o);
    HWY_ALIGN float begin_with[kC] = {};
    for (std::size_t i = 0; bias != nullptr && i < columns; ++i) begin_with[i] = bias[o + i] + 0.0f;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t v = 0; v < Walk::kVectors; ++v) {
        hn::Store(hn::Load(d, begin_with + v * kLanes), d, sums + r * kC + v * kLanes);
      }
    }
    for (std::size_t chunk = 0; chunk < x.chunks; chunk += Walk::kChunks) {
      const std::size_t last = HWY_MIN(x.chunks, chunk + Walk::kChunks);
      add_chunks<Walk>(sums, x, table_of(o, columns, chunk, last), chunk, last);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t v = 0; v * kLanes < columns; ++v) {
        store_up_to(hn::Load(d, sums + r * kC + v * kLanes), y + r * y_row + o + v * kLanes,
                    HWY_MIN(kLanes, columns - v * kLanes));
      }
    }
  }
}

template <class Walk>
HWY_INLINE void forward_of_weights(float* y, std::size_t y_row, const GroupRows& x, const GroupWeights& w,
                                   const float* bias, std::size_t outputs, float* scratch) {
  float* sums = scratch + kGroupTables;
  forward<Walk>(y, y_row, x, bias, outputs, sums,
                [&](std::size_t o, std::size_t columns, std::size_t chunk, std::size_t last) {
                  float* to = scratch;
                  const std::size_t end = HWY_MIN(w.slots, last * kGroupSlots);
                  for (std::size_t slot = chunk * kGroupSlots; slot < end;
                       ++slot, to += 16 * kColumns<Walk>) {
                    build_entries<Walk>(to, w, slot, o, columns);
                  }
                  return static_cast<const float*>(scratch);
                });
}

void forward_by_weights(float* y, std::size_t y_row, const GroupRows& x, const GroupWeights& w,
                        const float* bias, std::size_t outputs, float* scratch) {
  (x.single ? forward_of_weights<Singles> : forward_of_weights<Blocks>)(y, y_row, x, w, bias, outputs,
                                                                        scratch);
}

void forward_by_table(float* y, std::size_t y_row, const GroupRows& x, const float* table, std::size_t slots,
                      const float* bias, std::size_t outputs, float* sums) {
  const auto part = [&](std::size_t o, std::size_t columns, std::size_t chunk) {
    return table + o * 16 * slots + chunk * kGroupSlots * 16 * columns;
  };
  if (x.single) {
    forward<Singles>(y, y_row, x, bias, outputs, sums,
                     [&](std::size_t o, std::size_t, std::size_t chunk, std::size_t) {
                       return part(o, kColumns<Singles>, chunk);
                     });
  } else {
    forward<Blocks>(y, y_row, x, bias, outputs, sums,
                    [&](std::size_t o, std::size_t, std::size_t chunk, std::size_t) {
                      return part(o, kColumns<Blocks>, chunk);
                    });
  }
}

template <class Walk>
HWY_INLINE void table_for(float* table, const GroupWeights& w, std::size_t outputs) {
  for (std::size_t o = 0; o < outputs; o += kColumns<Walk>) {
    for (std::size_t slot = 0; slot < w.slots; ++slot, table += 16 * kColumns<Walk>) {
      build_entries<Walk>(table, w, slot, o, HWY_MIN(kColumns<Walk>, outputs - o));
    }
  }
}

void make_table(float* table, const GroupWeights& w, std::size_t outputs, bool single) {
  (single ? table_for<Singles> : table_for<Blocks>)(table, w, outputs);
}

// ---- weight gradients
// ---------------------------------------------------------------------------------------

/// The entries of dy at four steps of position p, outputs from o on.
HWY_INLINE void build_gradient_entries(float* HWY_RESTRICT table, const GroupGradient& x, std::size_t p,
                                       std::size_t o, std::size_t outputs) {
  for (std::size_t v = 0; v < kColumns<Blocks>; v += kLanes) {
    const std::size_t lanes = v >= outputs ? 0 : HWY_MIN(kLanes, outputs - v);
    const auto term = [&](std::size_t k) {
      if (k >= x.steps || lanes == 0) return hn::Zero(F32());
      return load_up_to(x.dy + k * x.y_step + p * x.y_row + o + v, lanes);
    };
    store_subset_sums<Blocks>(table + v, term(0), term(1), term(2), term(3));
  }
}

/// Whether all of kRows bytes are 0.
template <std::size_t kRows>
HWY_INLINE bool all_silent(const std::uint8_t* subset) {
  std::uint64_t low = 0, high = 0;
  std::memcpy(&low, subset, HWY_MIN(kRows, std::size_t{8}));
  if constexpr (kRows > 8) std::memcpy(&high, subset + 8, kRows - 8);
  return (low | high) == 0;
}

/// Adds positions [first, last) to the sums of kRows weights of one tap from `channel` on.
template <std::size_t kRows>
HWY_INLINE void add_positions(float* HWY_RESTRICT sums, std::size_t sum_row, const float* HWY_RESTRICT table,
                              const GroupGradient& x, std::size_t tap, std::size_t channel, std::size_t first,
                              std::size_t last) {
  const F32 d;
  constexpr std::size_t kC = kColumns<Blocks>;
  VF sum[kRows][Blocks::kVectors];
  unrolled<kRows>([&](auto r) {
    unrolled<Blocks::kVectors>([&](auto v) { sum[r][v] = hn::Load(d, sums + r * sum_row + v * kLanes); });
  });
  for (std::size_t p = first; p < last; ++p, table += 16 * kC) {
    const std::int32_t at = x.taps.index[p * x.taps.taps + tap];
    if (at == kOutside) continue;
    const std::uint8_t* HWY_RESTRICT subset = x.subset + static_cast<std::size_t>(at) * x.in + channel;
    if (all_silent<kRows>(subset)) continue;
    unrolled<kRows>([&](auto r) {
      const float* HWY_RESTRICT found = table + subset[r] * kC / 16;
      unrolled<Blocks::kVectors>(
          [&](auto v) { sum[r][v] = hn::Add(sum[r][v], hn::Load(d, found + v * kLanes)); });
    });
  }
  unrolled<kRows>([&](auto r) {
    unrolled<Blocks::kVectors>([&](auto v) { hn::Store(sum[r][v], d, sums + r * sum_row + v * kLanes); });
  });
}

template <std::size_t kMost = Blocks::kRows>
HWY_INLINE void add_positions_of(std::size_t rows, float* sums, std::size_t sum_row, const float* table,
                                 const GroupGradient& x, std::size_t tap, std::size_t channel,
                                 std::size_t first, std::size_t last) {
  if constexpr (kMost > 1) {
    if (rows < kMost) {
      return add_positions_of<kMost - 1>(rows, sums, sum_row, table, x, tap, channel, first, last);
    }
  }
  add_positions<kMost>(sums, sum_row, table, x, tap, channel, first, last);
}

void gradient(float* sums, std::size_t sum_row, const GroupGradient& x, std::size_t begin, std::size_t end,
              std::size_t columns, float* tables) {
  constexpr std::size_t kC = kColumns<Blocks>, kPositions = Blocks::kChunks * kGroupSlots;
  static_assert(kPositions * 16 * kC <= kGroupGradientTables);
  for (std::size_t first = 0; first < x.taps.positions; first += kPositions) {
    const std::size_t last = HWY_MIN(x.taps.positions, first + kPositions);
    for (std::size_t o = 0; o < columns; o += kC) {
      for (std::size_t p = first; p < last; ++p) {
        build_gradient_entries(tables + (p - first) * 16 * kC, x, p, o, columns - o);
      }
      for (std::size_t j = begin; j < end;) {
        const std::size_t left = HWY_MIN(end, (j / x.in + 1) * x.in) - j;  // rows of this tap
        const std::size_t parts = (left + Blocks::kRows - 1) / Blocks::kRows, rows = left / parts;
        add_positions_of(rows, sums + (j - begin) * sum_row + o, sum_row, tables, x, j / x.in, j % x.in,
                         first, last);
        j += rows;
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(forward_by_weights);
HWY_EXPORT(forward_by_table);
HWY_EXPORT(make_table);
HWY_EXPORT(gradient);

void group_forward(float* y, std::size_t y_row, const GroupRows& x, const GroupWeights& w, const float* bias,
                   std::size_t outputs, float* scratch) {
  HWY_DYNAMIC_DISPATCH(forward_by_weights)(y, y_row, x, w, bias, outputs, scratch);
}

void group_forward(float* y, std::size_t y_row, const GroupRows& x, const float* table, std::size_t slots,
                   const float* bias, std::size_t outputs, float* sums) {
  HWY_DYNAMIC_DISPATCH(forward_by_table)(y, y_row, x, table, slots, bias, outputs, sums);
}

void group_gradient(float* sums, std::size_t sum_row, const GroupGradient& x, std::size_t begin,
                    std::size_t end, std::size_t columns, float* tables) {
  HWY_DYNAMIC_DISPATCH(gradient)(sums, sum_row, x, begin, end, columns, tables);
}

std::size_t count_groups(const std::uint64_t* words, std::size_t count) {
  std::size_t groups = 0;
  for (std::size_t i = 0; i < count; ++i) {
    groups += static_cast<std::size_t>(std::popcount(groups_of(words[i])));
  }
  return groups;
}

void group_table(float* table, const GroupWeights& w, std::size_t outputs, bool single) {
  HWY_DYNAMIC_DISPATCH(make_table)(table, w, outputs, single);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

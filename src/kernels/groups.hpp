#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/taps.hpp"

namespace volley::kernels {

// Sums over spikes of one output, forward, in groups of four inputs (numerics::kGroup): the terms of a group
// are summed by themselves, then the groups, ascending. The four spikes of a row name one of the group's 16
// subset sums, which stand in a table; the lanes are outputs. Twins: linear_forward_by_fours of
// spec/linear.hpp and conv2d_forward_by_fours of spec/conv.hpp.
//
// A row is one step of one sample, and of one position of a convolution. Rows are taken in blocks. A group
// without a spike in a block adds +0 to its sums, which is no change: a sum begins with bias + 0 and is never
// -0. So neither the blocks nor the groups that are left out show in a result.

inline constexpr std::size_t kGroupRows = 12;  // rows of a block, at the most
inline constexpr std::size_t kGroupSlots =
    12;  // slots of a chunk, the unit in which tables stay in the cache

/// The group in `slot` of the tables has a spike in the block; row r of the block has subset[r] / 16, bit k
/// of which says whether input k of the group fired. Rows that the block does not have have 0.
struct GroupEntry {
  std::uint8_t subset[kGroupRows];
  std::uint32_t slot;
};

/// The rows of a pass, or of a part of it. Block b has rows [first_row[b], first_row[b + 1]) and the entries
/// from start[b] on, ascending; those of chunks up to c end before end[b * chunks + c], counted from
/// start[b].
struct GroupRows {
  const GroupEntry* entries;
  const std::size_t* start;
  const std::uint32_t* end;
  const std::uint32_t* first_row;
  std::size_t blocks;
  std::size_t chunks;
  bool single;  // whether each block is one row, as is best for few spikes that are spread out
};

/// The weights (outputs, in) as tables want them. Slot s is group g = group[s] of the inputs, or s where
/// `group` is null: its terms are weight[o * in + 4 g + k], k < 4, of which inputs beyond `in` have none.
struct GroupWeights {
  const float* weight;
  std::size_t in;
  const std::uint32_t* group;
  std::size_t slots;
};

/// Outputs of one call, at the most. They are a multiple of what the vectors of any target hold.
inline constexpr std::size_t kGroupOutputs = 128;

/// Floats of scratch for `rows` rows: the tables of the slots that are in the cache at once, and sums.
inline constexpr std::size_t kGroupTables = 1u << 16;
constexpr std::size_t group_scratch_size(std::size_t rows) { return kGroupTables + rows * kGroupOutputs; }

/// y (rows, outputs), rows of y_row floats, = bias + W x for outputs <= kGroupOutputs; bias (outputs) or
/// null. `scratch`, group_scratch_size(rows) floats, is 64-byte aligned.
void group_forward(float* y, std::size_t y_row, const GroupRows& x, const GroupWeights& w, const float* bias,
                   std::size_t outputs, float* scratch);

/// The same with tables that group_table made for all slots: where one part of a pass comes after another, as
/// a convolution's samples. `sums` has rows * kGroupOutputs floats.
void group_forward(float* y, std::size_t y_row, const GroupRows& x, const float* table, std::size_t slots,
                   const float* bias, std::size_t outputs, float* sums);

/// The tables of outputs <= kGroupOutputs outputs, for x.single or not: group_table_size(slots) floats.
constexpr std::size_t group_table_size(std::size_t slots) { return slots * 16 * kGroupOutputs; }
void group_table(float* table, const GroupWeights& w, std::size_t outputs, bool single);

// Weight gradients of spikes go the same way: the four terms of a group are dy at four steps of one position,
// a row is a weight, and the lanes are outputs. Twins: linear_weight_gradient_by_fours of
// spec/linear.hpp and conv2d_weight_gradient_by_fours of spec/conv.hpp.

/// Four steps of some positions, `steps` <= 4 of which are there. dy begins at their first output, with y_row
/// floats to the next position and y_step to the next step. Bit k of subset[position * in + channel] / 16
/// says whether a channel fired at step k; taps.index says which position of it each position of dy sees.
struct GroupGradient {
  const std::uint8_t* subset;
  std::size_t in;
  const float* dy;
  std::size_t y_row, y_step, steps;
  Taps taps;
};
inline constexpr std::size_t kGroupGradientTables = 2 * kGroupSlots * 16 * 32;

/// sums (rows [begin, end) of (taps, in), sum_row) += the sums over the positions, ascending, for `columns`
/// outputs. sum_row, a multiple of 32, is at least `columns`; what is behind these is unspecified. `tables`
/// has kGroupGradientTables floats; both are 64-byte aligned.
void group_gradient(float* sums, std::size_t sum_row, const GroupGradient& x, std::size_t begin,
                    std::size_t end, std::size_t columns, float* tables);

/// Bit 4 k says whether any of bits 4 k to 4 k + 3 of the word is 1.
constexpr std::uint64_t groups_of(std::uint64_t word) {
  return (word | word >> 1 | word >> 2 | word >> 3) & 0x1111111111111111u;
}

/// Chunks of `slots` slots.
constexpr std::size_t group_chunks(std::size_t slots) { return (slots + kGroupSlots - 1) / kGroupSlots; }

/// How many groups of four bits of the words are not empty.
std::size_t count_groups(const std::uint64_t* words, std::size_t count);

/// Appends the entries of the groups with a spike in `words`, one word of each row, to `to`; returns where
/// they end. slot_of(k) is the slot of the word's group k.
template <class SlotOf>
GroupEntry* append_groups(GroupEntry* to, const std::uint64_t* words, std::size_t rows,
                          const SlotOf& slot_of) {
  std::uint64_t any = 0;
  for (std::size_t r = 0; r < rows; ++r) any |= words[r];
  for (std::uint64_t left = groups_of(any); left != 0; left &= left - 1) {
    const int bit = __builtin_ctzll(left);
    GroupEntry entry{{}, slot_of(static_cast<std::size_t>(bit) / 4)};
    for (std::size_t r = 0; r < rows; ++r) {
      entry.subset[r] = static_cast<std::uint8_t>((words[r] >> bit & 15) << 4);
    }
    *to++ = entry;
  }
  return to;
}

/// end[c] for the entries [begin, last) of a block.
inline void end_chunks(std::uint32_t* end, std::size_t chunks, const GroupEntry* begin,
                       const GroupEntry* last) {
  const GroupEntry* entry = begin;
  for (std::size_t c = 0; c < chunks; ++c) {
    while (entry != last && entry->slot < (c + 1) * kGroupSlots) ++entry;
    end[c] = static_cast<std::uint32_t>(entry - begin);
  }
}

}  // namespace volley::kernels

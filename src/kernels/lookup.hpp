#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/taps.hpp"

namespace volley::kernels {

// Sums over spikes by look-up. Four terms have 16 subset sums, and four bits, a nibble, name one of these: so
// four terms cost one look-up and one addition, however many of them are there. Lanes are rows, each with
// bits of its own; the table of 16 belongs to an output, and a permutation looks up in it for all lanes at
// once. It serves weight gradients, whose four terms are steps; the twins are the functions
// ..._weight_gradient_by_fours of reference/linear.hpp and reference/conv.hpp.

inline constexpr std::size_t kLookupOutputs = 8;  // that a table covers
inline constexpr std::size_t kLookupRows = 16;    // rows are read and written in multiples of this
inline constexpr std::size_t kWordNibbles = 8;

constexpr std::size_t lookup_stride(std::size_t rows) {
  return (rows + kLookupRows - 1) / kLookupRows * kLookupRows + kLookupRows;
}
constexpr std::size_t lookup_table_size(std::size_t groups) { return groups * kLookupOutputs * 16; }

/// The bits of many rows, word by word: word w of row r is data[w * stride + r], stride >=
/// lookup_stride(rows). Of the last of every `period` words only the lowest `last` nibbles count.
struct NibbleWords {
  const std::uint32_t* data;
  std::size_t stride;
  std::size_t rows;
  std::size_t words;
  std::size_t period;
  std::size_t last;
};

/// Term k of group g of output o is values[o * output + g * group + k * term].
struct LookupTerms {
  const float* values;
  std::size_t output, group, term;
};

/// table (groups, kLookupOutputs, 16): entry m of a group is the sum of those of its `terms` <= 4 terms whose
/// bit is in m, ascending. From output `outputs` on all is 0. 64-byte aligned.
void lookup_table(float* table, const LookupTerms& values, std::size_t groups, std::size_t terms,
                  std::size_t outputs);

/// sums (kLookupOutputs, sum_row) += for each row what its nibbles name in the table, group by group,
/// ascending. Rows are written up to the next multiple of kLookupRows.
void lookup_add(float* sums, std::size_t sum_row, const float* table, const NibbleWords& bits);

/// Words of which each row (tap, channel) in [begin, end) has the nibbles of 8 output positions: word w has
/// positions first + 8 w on, of [first, last); outside of the picture a nibble is 0. nibbles (positions, in)
/// has kLookupRows readable bytes behind its end; words (ceil((last - first) / 8), stride).
void gather_nibbles(std::uint32_t* words, std::size_t stride, const std::uint8_t* nibbles, std::size_t in,
                    const Taps& taps, std::size_t first, std::size_t last, std::size_t begin,
                    std::size_t end);

}  // namespace volley::kernels

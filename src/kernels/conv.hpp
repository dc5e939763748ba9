#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/lookup.hpp"
#include "kernels/taps.hpp"

namespace volley::kernels {

// Convolutions of pictures that lie channels-last; twins in reference/conv.hpp, derivation in
// docs/math/conv.md. One call works on one group of channels; pointers to values and weights are to its
// first.

/// What an output looks at. A picture has rows of `x_row` floats, or bits from `x_bit` on of `x_words` words,
/// at each position; an output picture has rows of `y_row` floats.
struct ConvShape {
  Taps taps;
  std::size_t in;   // channels of the group
  std::size_t out;  // channels of the group
  std::size_t x_row;
  std::size_t y_row;
  std::size_t x_positions;
};

/// Spikes of `positions` positions, `words` words each, of which the channels from `bit` on are asked for.
struct PictureBits {
  const std::uint64_t* data;
  std::size_t words;
  std::size_t bit;
};

/// y = bias + the sum over taps and channels of weight x, for `pictures` pictures; weight (taps, in, out),
/// bias (out) or null. `zeros` has `in` zeros: what a tap outside of the picture reads. Serves y from x and
/// dx from dy.
void conv_dense(float* y, const float* x, const float* weight, const float* bias, const float* zeros,
                const ConvShape& shape, std::size_t pictures);

/// The same from spikes: the weight rows of the channels that fired are added. The same sums in the same
/// order, so the same bits. `list` has room for conv_list_size(shape) numbers.
void conv_spikes(float* y, const PictureBits& x, const float* weight, const float* bias,
                 const ConvShape& shape, std::size_t pictures, std::uint32_t* list);
inline constexpr std::size_t kListSlack = 16;  // behind a list, for a vector that is read or written whole
constexpr std::size_t conv_list_size(const ConvShape& s) {
  return s.x_positions + 1 + s.x_positions * s.in + s.taps.taps * s.in + 2 * kListSlack;
}

/// The same by look-up, for many spikes: each four channels of a tap are summed by themselves. Twin:
/// conv2d_forward_by_fours. `sums` receives y turned, for kLookupOutputs output channels: sums
/// (kLookupOutputs, stride) of `bits`, as conv_words writes them; `table` as conv_table writes it.
///
/// conv_table: the tables of kLookupOutputs output channels from `out` on, (conv_groups, kLookupOutputs, 16),
/// from weight (out, in, taps).
constexpr std::size_t conv_groups(std::size_t taps, std::size_t in) { return taps * ((in + 3) / 4); }
void conv_table(float* table, const float* weight, std::size_t taps, std::size_t in, std::size_t outputs);

/// The spikes that the rows (steps, positions) of one sample see, 32 channels of one tap to a word. The steps
/// of x are step_words apart. `words` has room for conv_words_size numbers, `channels` for
/// conv_channels_size.
constexpr std::size_t conv_tap_words(std::size_t in) { return (in + 31) / 32; }
constexpr std::size_t conv_words_size(const ConvShape& s, std::size_t steps) {
  return s.taps.taps * conv_tap_words(s.in) * lookup_stride(steps * s.taps.positions);
}
constexpr std::size_t conv_channels_size(const ConvShape& s) { return s.x_positions + 1; }
NibbleWords conv_words(std::uint32_t* words, const PictureBits& x, std::size_t step_words, std::size_t steps,
                       const ConvShape& shape, std::uint32_t* channels);

/// Output channels that conv_weight_gradient takes at a time, whatever the target.
inline constexpr std::size_t kConvColumns = 64;

/// sum (rows [begin, end) of (taps, in), kConvColumns) += the sum over the positions of one picture of x dy;
/// dy from the first of at most kConvColumns `columns` on.
void conv_weight_gradient(float* sum, const float* x, const float* dy, const ConvShape& shape,
                          std::size_t begin, std::size_t end, std::size_t columns);

/// The same for spikes, by look-up, four steps at a time. Twin: conv2d_weight_gradient_by_fours. `steps` <= 4
/// of them are there, y_step floats apart. The sums lie turned, (columns, sum_row), sum_row >=
/// lookup_stride(end - begin); `nibbles` has kLookupRows readable bytes behind it.
inline constexpr std::size_t kSpikeColumns = 64;     // output channels that one call takes at the most
inline constexpr std::size_t kTablePositions = 128;  // whose tables are in the cache at once
struct SpikeGradientScratch {
  float* table;          // lookup_table_size(kTablePositions), 64-byte aligned
  std::uint32_t* words;  // kTablePositions / kWordNibbles x lookup_stride(end - begin)
};
void conv_weight_gradient_spikes(float* sum, std::size_t sum_row, const std::uint8_t* nibbles,
                                 const float* dy, std::size_t y_step, std::size_t steps,
                                 const ConvShape& shape, std::size_t begin, std::size_t end,
                                 std::size_t columns, const SpikeGradientScratch& scratch);
/// Its input, nibbles (positions, in): bit t says whether a channel fired at step t. The steps are step_words
/// apart.
void conv_nibbles(std::uint8_t* nibbles, const PictureBits& spikes, std::size_t step_words, std::size_t steps,
                  std::size_t positions, std::size_t in);

/// Adds the sums to dweight (columns, in, taps), the gradient of its output channels: that of row j, begin <=
/// j < end, and column o is sum[(j - begin) * row + o * column].
void conv_add_gradient(float* dweight, const float* sum, std::size_t row, std::size_t column,
                       std::size_t taps, std::size_t in, std::size_t begin, std::size_t end,
                       std::size_t columns);

/// The weights (groups, out, in, taps) as the kernels read them: (groups, taps, in, out) for y, (groups,
/// taps, out, in) for dx.
void conv_weight_forward(float* to, const float* weight, std::size_t groups, std::size_t taps, std::size_t in,
                         std::size_t out);
void conv_weight_backward(float* to, const float* weight, std::size_t groups, std::size_t taps,
                          std::size_t in, std::size_t out);

}  // namespace volley::kernels

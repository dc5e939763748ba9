#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/groups.hpp"
#include "kernels/taps.hpp"

namespace volley::kernels {

// Convolutions of pictures that lie channels-last; twins in spec/conv.hpp, derivation in
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

// y from spikes goes by groups of four channels of one tap, groups.hpp; slot `tap` ceil(in / 4) + k is group
// k of a tap. Twin: conv2d_forward_by_fours.

/// The spikes of one sample, the channels of this group from bit 0 on: channels (steps, x_positions + 1,
/// ceil(in / 64)), of which position 0 of each step is empty, what a tap outside of the picture sees. The
/// steps of x are step_words apart.
constexpr std::size_t conv_channels_size(const ConvShape& s, std::size_t steps) {
  return steps * (s.x_positions + 1) * ((s.in + 63) / 64);
}
void conv_channels(std::uint64_t* channels, const PictureBits& x, std::size_t step_words, std::size_t steps,
                   const ConvShape& shape);

/// What the rows [first, last) of (steps, positions) see, in blocks of kGroupRows rows or of one. `lists` has
/// room for these blocks.
struct GroupScratch {
  GroupEntry* entries;       // (blocks, slots)
  std::size_t* start;        // (blocks)
  std::uint32_t* end;        // (blocks, group_chunks(slots))
  std::uint32_t* first_row;  // (blocks + 1)
};
GroupRows conv_groups(const GroupScratch& lists, const std::uint64_t* channels, const ConvShape& shape,
                      std::size_t first, std::size_t last, bool single);

/// The weights (out, in, taps) as group_table takes them: (out, taps, in), in rounded up to fours with zeros.
void conv_weight_groups(float* to, const float* weight, std::size_t out, std::size_t taps, std::size_t in);

/// Output channels that conv_weight_gradient takes at a time, whatever the target.
inline constexpr std::size_t kConvColumns = 64;

/// sum (rows [begin, end) of (taps, in), kConvColumns) += the sum over the positions of one picture of x dy;
/// dy from the first of at most kConvColumns `columns` on.
void conv_weight_gradient(float* sum, const float* x, const float* dy, const ConvShape& shape,
                          std::size_t begin, std::size_t end, std::size_t columns);

/// The spikes of `positions` positions as group_gradient takes them, (positions, in): bit t of a byte / 16
/// says whether a channel fired at step t of `steps` <= 4. The steps are step_words apart.
void conv_subsets(std::uint8_t* subset, const PictureBits& spikes, std::size_t step_words, std::size_t steps,
                  std::size_t positions, std::size_t in);

/// Adds the sums (rows [begin, end) of (taps, in), kConvColumns) to dweight (columns, in, taps), the gradient
/// of its output channels.
void conv_add_gradient(float* dweight, const float* sum, std::size_t taps, std::size_t in, std::size_t begin,
                       std::size_t end, std::size_t columns);

/// The weights (groups, out, in, taps) as the kernels read them: (groups, taps, in, out) for y, (groups,
/// taps, out, in) for dx.
void conv_weight_forward(float* to, const float* weight, std::size_t groups, std::size_t taps, std::size_t in,
                         std::size_t out);
void conv_weight_backward(float* to, const float* weight, std::size_t groups, std::size_t taps,
                          std::size_t in, std::size_t out);

}  // namespace volley::kernels

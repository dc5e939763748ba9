#include "kernels/conv.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "kernels/bits.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

// Vectors of sums side by side: as many as the registers hold, beside what they are made from.
constexpr std::size_t kRows = 6;
constexpr std::size_t kPanel = kLanes == 16 ? 4 : 2;

// ---- dense
// -------------------------------------------------------------------------------------------------

struct Dense {
  float* y;
  const float* x;
  const float* weight;
  const float* bias;
  const float* zeros;
  const ConvShape* shape;
};

/// kCount positions from p on, output channels from o on.
template <std::size_t kCount, std::size_t kVectors, bool kFull>
HWY_INLINE void dense_tile(const Dense& k, std::size_t p, std::size_t o, const Row<kVectors, kFull>& row) {
  const F32 d;
  const ConvShape& s = *k.shape;
  VF sum[kCount][kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    sum[0][v] = k.bias != nullptr ? row.load(k.bias + o, v) : hn::Zero(d);
    for (std::size_t r = 1; r < kCount; ++r) sum[r][v] = sum[0][v];
  }
  const std::int32_t* index = s.taps.index + p * s.taps.taps;
  for (std::size_t tap = 0; tap < s.taps.taps; ++tap) {
    const float* a[kCount];
    bool any = false;
    for (std::size_t r = 0; r < kCount; ++r) {
      const std::int32_t at = index[r * s.taps.taps + tap];
      any = any || at != kOutside;
      a[r] = at != kOutside ? k.x + static_cast<std::size_t>(at) * s.x_row : k.zeros;
    }
    if (!any) continue;
    const float* w = k.weight + tap * s.in * s.out + o;
    for (std::size_t i = 0; i < s.in; ++i, w += s.out) {
      VF b[kVectors];
      for (std::size_t v = 0; v < kVectors; ++v) b[v] = row.load(w, v);
      for (std::size_t r = 0; r < kCount; ++r) {
        const VF value = hn::Set(d, a[r][i]);
        for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(value, b[v], sum[r][v]);
      }
    }
  }
  for (std::size_t r = 0; r < kCount; ++r) {
    float* y = k.y + (p + r) * s.y_row + o;
    for (std::size_t v = 0; v < kVectors; ++v) row.store(sum[r][v], y, v);
  }
}

void conv_dense(float* y, const float* x, const float* weight, const float* bias, const float* zeros,
                const ConvShape& s, std::size_t pictures) {
  // A panel of outputs at a time, so that its weights stay in the cache for all positions.
  for_columns<kPanel>(s.out, [&](std::size_t o, const auto& row) {
    for (std::size_t n = 0; n < pictures; ++n) {
      const Dense k{
          y + n * s.taps.positions * s.y_row, x + n * s.x_positions * s.x_row, weight, bias, zeros, &s};
      std::size_t p = 0;
      for (; p + kRows <= s.taps.positions; p += kRows) dense_tile<kRows>(k, p, o, row);
      for (; p + 2 <= s.taps.positions; p += 2) dense_tile<2>(k, p, o, row);
      for (; p < s.taps.positions; ++p) dense_tile<1>(k, p, o, row);
    }
  });
}

// ---- weight gradient
// ---------------------------------------------------------------------------------------

/// Calls block(count, j, tap, channel), `count` a constant, for blocks of rows (tap, channel) that cover
/// [begin, end); a block has rows of one tap, kMost of them as long as they fit, then fewer.
template <std::size_t kMost, class Block>
HWY_INLINE void for_row_blocks(std::size_t begin, std::size_t end, std::size_t in, const Block& block) {
  for (std::size_t j = begin; j < end;) {
    const std::size_t tap = j / in;
    const std::size_t left = HWY_MIN(end, (tap + 1) * in) - j;
    if (left >= kMost) {
      block(std::integral_constant<std::size_t, kMost>(), j, tap, j % in);
      j += kMost;
    } else if (left >= 4) {
      block(std::integral_constant<std::size_t, 4>(), j, tap, j % in);
      j += 4;
    } else {
      block(std::integral_constant<std::size_t, 1>(), j, tap, j % in);
      ++j;
    }
  }
}

void conv_weight_gradient(float* sum, const float* x, const float* dy, const ConvShape& s, std::size_t begin,
                          std::size_t end, std::size_t columns) {
  const F32 d;
  for_columns<kPanel>(
      columns, [&]<std::size_t kVectors, bool kFull>(std::size_t o, const Row<kVectors, kFull>& row) {
        for_row_blocks<kRows>(begin, end, s.in,
                              [&](auto count, std::size_t j, std::size_t tap, std::size_t channel) {
                                float* total = sum + (j - begin) * kConvColumns + o;
                                VF sums[count][kVectors];
                                for (std::size_t r = 0; r < count; ++r) {
                                  for (std::size_t v = 0; v < kVectors; ++v)
                                    sums[r][v] = hn::LoadU(d, total + r * kConvColumns + v * kLanes);
                                }
                                for (std::size_t p = 0; p < s.taps.positions; ++p) {
                                  const std::int32_t at = s.taps.index[p * s.taps.taps + tap];
                                  if (at == kOutside) continue;
                                  const float* a = x + static_cast<std::size_t>(at) * s.x_row + channel;
                                  VF b[kVectors];
                                  for (std::size_t v = 0; v < kVectors; ++v)
                                    b[v] = row.load(dy + p * s.y_row + o, v);
                                  for (std::size_t r = 0; r < count; ++r) {
                                    const VF value = hn::Set(d, a[r]);
                                    for (std::size_t v = 0; v < kVectors; ++v)
                                      sums[r][v] = hn::MulAdd(value, b[v], sums[r][v]);
                                  }
                                }
                                for (std::size_t r = 0; r < count; ++r) {
                                  for (std::size_t v = 0; v < kVectors; ++v)
                                    hn::StoreU(sums[r][v], d, total + r * kConvColumns + v * kLanes);
                                }
                              });
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(conv_dense);
HWY_EXPORT(conv_weight_gradient);

void conv_dense(float* y, const float* x, const float* weight, const float* bias, const float* zeros,
                const ConvShape& shape, std::size_t pictures) {
  HWY_DYNAMIC_DISPATCH(conv_dense)(y, x, weight, bias, zeros, shape, pictures);
}

void conv_channels(std::uint64_t* channels, const PictureBits& x, std::size_t step_words, std::size_t steps,
                   const ConvShape& s) {
  const std::size_t words = (s.in + 63) / 64;
  for (std::size_t t = 0; t < steps; ++t) {
    channels = std::fill_n(channels, words, std::uint64_t{0});
    for (std::size_t q = 0; q < s.x_positions; ++q) {
      const std::uint64_t* at = x.data + t * step_words + q * x.words;
      for (std::size_t w = 0; w < words; ++w) {
        *channels++ = bits_at(at, x.bit + 64 * w, std::min<std::size_t>(64, s.in - 64 * w));
      }
    }
  }
}

GroupRows conv_groups(const GroupScratch& lists, const std::uint64_t* channels, const ConvShape& s,
                      std::size_t first, std::size_t last, bool single) {
  const std::size_t words = (s.in + 63) / 64, groups = (s.in + 3) / 4, P = s.taps.positions;
  const std::size_t chunks = group_chunks(s.taps.taps * groups), most = single ? 1 : kGroupRows;
  std::size_t block = 0, row = first;
  GroupEntry* to = lists.entries;
  for (; row < last; ++block) {
    const std::size_t rows = std::min(most, last - row);
    const std::uint64_t* step[kGroupRows];
    const std::int32_t* index[kGroupRows];
    for (std::size_t r = 0; r < rows; ++r) {
      step[r] = channels + ((row + r) / P * (s.x_positions + 1) + 1) * words;
      index[r] = s.taps.index + (row + r) % P * s.taps.taps;
    }
    lists.first_row[block] = static_cast<std::uint32_t>(row - first);
    lists.start[block] = static_cast<std::size_t>(to - lists.entries);
    const GroupEntry* begin = to;
    for (std::size_t tap = 0; tap < s.taps.taps; ++tap) {
      for (std::size_t w = 0; w < words; ++w) {
        std::uint64_t word[kGroupRows];
        for (std::size_t r = 0; r < rows; ++r) {
          word[r] =
              step[r][(index[r][tap]) * static_cast<std::ptrdiff_t>(words) + static_cast<std::ptrdiff_t>(w)];
        }
        to = append_groups(to, word, rows, [&](std::size_t k) {
          return static_cast<std::uint32_t>(tap * groups + 16 * w + k);
        });
      }
    }
    end_chunks(lists.end + block * chunks, chunks, begin, to);
    row += rows;
  }
  lists.first_row[block] = static_cast<std::uint32_t>(row - first);
  return {lists.entries, lists.start, lists.end, lists.first_row, block, chunks, single};
}

void conv_weight_groups(float* to, const float* weight, std::size_t out, std::size_t taps, std::size_t in) {
  const std::size_t padding = (4 - in % 4) % 4;
  for (std::size_t o = 0; o < out; ++o, weight += in * taps) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      for (std::size_t i = 0; i < in; ++i) *to++ = weight[i * taps + tap];
      to = std::fill_n(to, padding, 0.0f);
    }
  }
}

void conv_weight_gradient(float* sum, const float* x, const float* dy, const ConvShape& shape,
                          std::size_t begin, std::size_t end, std::size_t columns) {
  HWY_DYNAMIC_DISPATCH(conv_weight_gradient)(sum, x, dy, shape, begin, end, columns);
}

void conv_subsets(std::uint8_t* subset, const PictureBits& spikes, std::size_t step_words, std::size_t steps,
                  std::size_t positions, std::size_t in) {
  static_assert(std::endian::native == std::endian::little, "bytes are spread eight at a time");
  for (std::size_t p = 0; p < positions; ++p, subset += in) {
    const std::uint64_t* words = spikes.data + p * spikes.words;
    for (std::size_t i = 0; i < in; i += 8) {
      const std::size_t count = std::min<std::size_t>(8, in - i);
      std::uint64_t eight = 0;  // channels i to i + 7, a byte each
      for (std::size_t t = 0; t < steps; ++t) {
        const std::uint64_t bits = bits_at(words + t * step_words, spikes.bit + i, count);
        constexpr std::uint64_t kOnes = 0x0101010101010101;
        const std::uint64_t spread = bits * kOnes & 0x8040201008040201;  // bit k alone in byte k
        eight |= ((spread + 0x7f * kOnes) >> 7 & kOnes) << (4 + t);
      }
      std::memcpy(subset + i, &eight, count);
    }
  }
}

void conv_add_gradient(float* dweight, const float* sum, std::size_t taps, std::size_t in, std::size_t begin,
                       std::size_t end, std::size_t columns) {
  constexpr std::size_t kTile = 16;  // rows of the sum that stay in the cache for all columns
  for (std::size_t j = begin; j < end;) {
    const std::size_t tap = j / in;
    const std::size_t i = j % in;
    const std::size_t count = std::min({kTile, end - j, in - i});
    for (std::size_t o = 0; o < columns; ++o) {
      float* to = dweight + (o * in + i) * taps + tap;
      const float* from = sum + (j - begin) * kConvColumns + o;
      for (std::size_t k = 0; k < count; ++k) to[k * taps] += from[k * kConvColumns];
    }
    j += count;
  }
}

void conv_weight_forward(float* to, const float* weight, std::size_t groups, std::size_t taps, std::size_t in,
                         std::size_t out) {
  for (std::size_t g = 0; g < groups; ++g, weight += out * in * taps) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      for (std::size_t i = 0; i < in; ++i) {
        for (std::size_t o = 0; o < out; ++o) *to++ = weight[(o * in + i) * taps + tap];
      }
    }
  }
}

void conv_weight_backward(float* to, const float* weight, std::size_t groups, std::size_t taps,
                          std::size_t in, std::size_t out) {
  for (std::size_t g = 0; g < groups; ++g, weight += out * in * taps) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      for (std::size_t j = 0; j < out * in; ++j) *to++ = weight[j * taps + tap];
    }
  }
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

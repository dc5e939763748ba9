#include "kernels/winograd.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

// Vectors of sums side by side: as many as the registers hold, beside what they are made from.
constexpr std::size_t kRows = 6;
constexpr std::size_t kPanel = kLanes == 16 ? 4 : 2;

/// Tile `tile` of all tiles of all pictures: its picture and its upper left output.
struct Place {
  std::size_t picture, row, column;
};
HWY_INLINE Place place_of(std::size_t tile, const WinogradShape& s) {
  const std::size_t across = (s.y.w + 1) / 2, in_picture = tile % s.tiles();
  return {tile / s.tiles(), in_picture / across * 2, in_picture % across * 2};
}

/// (C8) a row or a column of four values.
HWY_INLINE void turn_in(VF& a, VF& b, VF& c, VF& d) {
  const VF b0 = b;
  a = hn::Sub(a, c);
  d = hn::Sub(b0, d);
  b = hn::Add(b0, c);
  c = hn::Sub(c, b0);
}

/// v (16, kWinogradTiles, row): what a tile reads, transformed.
HWY_INLINE void transform_in(float* v, std::size_t row, const float* x, const float* zeros,
                             const Place& place, const WinogradShape& s) {
  const F32 d;
  const float* from[kWinogradPlaces];
  for (std::size_t k = 0; k < kWinogradPlaces; ++k) {
    const std::size_t r = place.row + k / 4, c = place.column + k % 4;
    const bool inside =
        r >= s.before.h && r - s.before.h < s.x.h && c >= s.before.w && c - s.before.w < s.x.w;
    const std::size_t at = (place.picture * s.x.h + r - s.before.h) * s.x.w + c - s.before.w;
    from[k] = inside ? x + at * s.x_row : zeros;
  }
  for (std::size_t i = 0; i < s.in; i += kLanes) {
    const std::size_t lanes = HWY_MIN(kLanes, s.in - i);
    VF t[kWinogradPlaces];
    if (lanes == kLanes) {
      for (std::size_t k = 0; k < kWinogradPlaces; ++k) t[k] = hn::LoadU(d, from[k] + i);
    } else {
      for (std::size_t k = 0; k < kWinogradPlaces; ++k) t[k] = load_first(from[k] + i, lanes);
    }
    for (std::size_t c = 0; c < 4; ++c) turn_in(t[c], t[4 + c], t[8 + c], t[12 + c]);
    for (std::size_t r = 0; r < 16; r += 4) turn_in(t[r], t[r + 1], t[r + 2], t[r + 3]);
    for (std::size_t k = 0; k < kWinogradPlaces; ++k) hn::Store(t[k], d, v + k * kWinogradTiles * row + i);
  }
}

/// (C9) the other way: m (16, kWinogradTiles, row) gives the 2 x 2 outputs of a tile.
HWY_INLINE void transform_out(float* y, const float* m, std::size_t row, const Place& place,
                              const WinogradShape& s) {
  const F32 d;
  for (std::size_t o = 0; o < s.out; o += kLanes) {
    const std::size_t lanes = HWY_MIN(kLanes, s.out - o);
    VF t[kWinogradPlaces];
    for (std::size_t k = 0; k < kWinogradPlaces; ++k) t[k] = hn::Load(d, m + k * kWinogradTiles * row + o);
    for (std::size_t c = 0; c < 4; ++c) {
      const VF b = t[4 + c], e = t[8 + c];
      t[c] = hn::Add(hn::Add(t[c], b), e);
      t[4 + c] = hn::Sub(hn::Sub(b, e), t[12 + c]);
    }
    for (std::size_t r = 0; r < 2; ++r) {
      if (place.row + r >= s.y.h) continue;
      const VF* q = t + 4 * r;
      float* to = y + ((place.picture * s.y.h + place.row + r) * s.y.w + place.column) * s.y_row + o;
      store_first(hn::Add(hn::Add(q[0], q[1]), q[2]), to, lanes);
      if (place.column + 1 < s.y.w) store_first(hn::Sub(hn::Sub(q[1], q[2]), q[3]), to + s.y_row, lanes);
    }
  }
}

/// m (tiles, m_row) = v (tiles, v_row) weights (in, out): kCount rows, columns from o on.
template <std::size_t kCount, std::size_t kVectors, bool kFull>
HWY_INLINE void multiply_tile(float* m, std::size_t m_row, const float* v, std::size_t v_row,
                              const float* weights, std::size_t in, std::size_t out,
                              const Row<kVectors, kFull>& row) {
  const F32 d;
  VF sum[kCount][kVectors];
  for (std::size_t r = 0; r < kCount; ++r) {
    for (std::size_t p = 0; p < kVectors; ++p) sum[r][p] = hn::Zero(d);
  }
  for (std::size_t i = 0; i < in; ++i, weights += out) {
    VF b[kVectors];
    for (std::size_t p = 0; p < kVectors; ++p) b[p] = row.load(weights, p);
    for (std::size_t r = 0; r < kCount; ++r) {
      const VF value = hn::Set(d, v[r * v_row + i]);
      for (std::size_t p = 0; p < kVectors; ++p) sum[r][p] = hn::MulAdd(value, b[p], sum[r][p]);
    }
  }
  for (std::size_t r = 0; r < kCount; ++r) {
    for (std::size_t p = 0; p < kVectors; ++p) hn::Store(sum[r][p], d, m + r * m_row + p * kLanes);
  }
}

void winograd(float* y, const float* x, const float* weights, const float* zeros, const WinogradShape& s,
              std::size_t pictures, float* scratch) {
  const std::size_t v_row = winograd_row(s.in), m_row = winograd_row(s.out);
  float* v = scratch;
  float* m = scratch + kWinogradPlaces * kWinogradTiles * v_row;
  const std::size_t all = pictures * s.tiles();
  for (std::size_t first = 0; first < all; first += kWinogradTiles) {
    const std::size_t tiles = HWY_MIN(kWinogradTiles, all - first);
    for (std::size_t t = 0; t < tiles; ++t) {
      transform_in(v + t * v_row, v_row, x, zeros, place_of(first + t, s), s);
    }
    for (std::size_t k = 0; k < kWinogradPlaces; ++k) {
      const float* from = v + k * kWinogradTiles * v_row;
      float* to = m + k * kWinogradTiles * m_row;
      for_columns<kPanel>(s.out, [&](std::size_t o, const auto& row) {
        const float* w = weights + k * s.in * s.out + o;
        std::size_t t = 0;
        for (; t + kRows <= tiles; t += kRows) {
          multiply_tile<kRows>(to + t * m_row + o, m_row, from + t * v_row, v_row, w, s.in, s.out, row);
        }
        for (; t < tiles; ++t) {
          multiply_tile<1>(to + t * m_row + o, m_row, from + t * v_row, v_row, w, s.in, s.out, row);
        }
      });
    }
    for (std::size_t t = 0; t < tiles; ++t) {
      transform_out(y, m + t * m_row, m_row, place_of(first + t, s), s);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(winograd);

namespace {

/// (C7) The taps g (3, 3) between two channels, transformed: u (4, 4).
void transform_taps(float* u, const float* g) {
  const auto spread = [](float* to, const float* from, std::size_t to_step, std::size_t from_step) {
    const float a = from[0], b = from[from_step], c = from[2 * from_step];
    to[0] = a;
    to[to_step] = (a + b + c) / 2;
    to[2 * to_step] = (a - b + c) / 2;
    to[3 * to_step] = c;
  };
  float rows[12];  // (4, 3)
  for (std::size_t c = 0; c < 3; ++c) spread(rows + c, g + c, 3, 3);
  for (std::size_t r = 0; r < 4; ++r) spread(u + 4 * r, rows + 3 * r, 1, 1);
}

}  // namespace

void winograd(float* y, const float* x, const float* weights, const float* zeros, const WinogradShape& shape,
              std::size_t pictures, float* scratch) {
  HWY_DYNAMIC_DISPATCH(winograd)(y, x, weights, zeros, shape, pictures, scratch);
}

void winograd_weights_backward(float* to, const float* weight, std::size_t in, std::size_t out) {
  for (std::size_t j = 0; j < in * out; ++j) {
    float taps[9], places[kWinogradPlaces];
    for (std::size_t k = 0; k < 9; ++k) taps[k] = weight[j * 9 + 8 - k];  // turned
    transform_taps(places, taps);
    for (std::size_t k = 0; k < kWinogradPlaces; ++k) to[k * in * out + j] = places[k];
  }
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

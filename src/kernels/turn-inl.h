// Matrices turned, block by block. Included once per target.
#if defined(VOLLEY_KERNELS_TURN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_TURN_INL_H_
#undef VOLLEY_KERNELS_TURN_INL_H_
#else
#define VOLLEY_KERNELS_TURN_INL_H_
#endif

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// 4 x 4 values turned: out[c * out_row + r] = in[r * in_row + c].
HWY_INLINE void turn_block(float* HWY_RESTRICT out, std::size_t out_row, const float* HWY_RESTRICT in,
                           std::size_t in_row) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> pairs;
  const auto a = hn::LoadU(d, in), b = hn::LoadU(d, in + in_row);
  const auto c = hn::LoadU(d, in + 2 * in_row), e = hn::LoadU(d, in + 3 * in_row);
  const auto ab0 = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ab2 = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ce0 = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto ce2 = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab0, ce0)), d, out);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab0, ce0)), d, out + out_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab2, ce2)), d, out + 2 * out_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab2, ce2)), d, out + 3 * out_row);
}

/// out (columns, out_row) from in (rows, in_row), for sizes that fill a cache line or less.
HWY_INLINE void turn_tile(float* HWY_RESTRICT out, std::size_t out_row, const float* HWY_RESTRICT in,
                          std::size_t in_row, std::size_t rows, std::size_t columns) {
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    std::size_t c = 0;
    for (; c + 4 <= columns; c += 4) turn_block(out + c * out_row + r, out_row, in + r * in_row + c, in_row);
    for (; c < columns; ++c) {
      for (std::size_t i = r; i < r + 4; ++i) out[c * out_row + i] = in[i * in_row + c];
    }
  }
  for (; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) out[c * out_row + r] = in[r * in_row + c];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

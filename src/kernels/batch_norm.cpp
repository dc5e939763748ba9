#include "kernels/batch_norm.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

using F64 = hn::ScalableTag<double>;
using VD = hn::Vec<F64>;

// Rows that are summed before the next channels are: their part of x and y stays in the cache.
constexpr std::size_t kRows = 128;

/// The lanes of v as two vectors of doubles.
HWY_INLINE VD lower_doubles(VF v) { return hn::PromoteTo(F64(), hn::LowerHalf(v)); }
HWY_INLINE VD upper_doubles(VF v) {
  const hn::Half<F32> half;
  return hn::PromoteTo(F64(), hn::UpperHalf(half, v));
}

/// Adds `rows` rows to the sums of kCount vectors of channels, the last of them of `lanes` channels. The sums
/// are read and written whole: sum and dot have room for kCount vectors.
/// A product of two floats is exact in double, so that the sums are the same with and without a fused
/// multiply-add.
template <std::size_t kCount>
HWY_INLINE void add_rows(double* HWY_RESTRICT sum, double* HWY_RESTRICT dot, const float* x, const float* y,
                         std::size_t rows, std::size_t C, std::size_t lanes) {
  const F64 d;
  constexpr std::size_t kHalf = kLanes / 2;
  VD sums[2 * kCount];
  VD dots[2 * kCount];
  for (std::size_t i = 0; i < 2 * kCount; ++i) {
    sums[i] = hn::LoadU(d, sum + i * kHalf);
    dots[i] = hn::LoadU(d, dot + i * kHalf);
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::size_t here = i + 1 < kCount ? kLanes : lanes;
      const VF a = load_up_to(x + r * C + i * kLanes, here);
      const VF b = load_up_to(y + r * C + i * kLanes, here);
      const VD low = lower_doubles(b);
      const VD high = upper_doubles(b);
      sums[2 * i] = hn::Add(sums[2 * i], low);
      sums[2 * i + 1] = hn::Add(sums[2 * i + 1], high);
      dots[2 * i] = hn::MulAdd(lower_doubles(a), low, dots[2 * i]);
      dots[2 * i + 1] = hn::MulAdd(upper_doubles(a), high, dots[2 * i + 1]);
    }
  }
  for (std::size_t i = 0; i < 2 * kCount; ++i) {
    hn::StoreU(sums[i], d, sum + i * kHalf);
    hn::StoreU(dots[i], d, dot + i * kHalf);
  }
}

void channel_sums(double* sum, double* dot, const float* x, const float* y, std::size_t rows, std::size_t C) {
  std::memset(sum, 0, C * sizeof *sum);
  std::memset(dot, 0, C * sizeof *dot);
  for (std::size_t r = 0; r < rows; r += kRows) {
    const std::size_t count = HWY_MIN(kRows, rows - r);
    const float* xr = x + r * C;
    const float* yr = y + r * C;
    std::size_t c = 0;
    for (; c + 2 * kLanes <= C; c += 2 * kLanes) {
      add_rows<2>(sum + c, dot + c, xr + c, yr + c, count, C, kLanes);
    }
    for (; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      double sums[kLanes] = {};
      double dots[kLanes] = {};
      std::memcpy(sums, sum + c, lanes * sizeof *sum);
      std::memcpy(dots, dot + c, lanes * sizeof *dot);
      add_rows<1>(sums, dots, xr + c, yr + c, count, C, lanes);
      std::memcpy(sum + c, sums, lanes * sizeof *sum);
      std::memcpy(dot + c, dots, lanes * sizeof *dot);
    }
  }
}

/// body(i, c, lanes) over rows (rows, C): i the place of a vector in it, c its first channel.
template <class Body>
HWY_INLINE void for_rows(std::size_t rows, std::size_t C, const Body& body) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::size_t c = 0;
    for (; c + kLanes <= C; c += kLanes) body(r * C + c, c, kLanes);
    if (c < C) body(r * C + c, c, C - c);
  }
}

void batch_norm_forward(float* y, const float* x, const float* scale, const float* offset, std::size_t rows,
                        std::size_t C) {
  for_rows(rows, C, [&](std::size_t i, std::size_t c, std::size_t lanes) {
    store_up_to(
        hn::MulAdd(load_up_to(x + i, lanes), load_up_to(scale + c, lanes), load_up_to(offset + c, lanes)),
        y + i, lanes);
  });
}

void batch_norm_backward(float* dx, const float* dy, const float* x, const float* scale, const float* slope,
                         const float* offset, std::size_t rows, std::size_t C) {
  for_rows(rows, C, [&](std::size_t i, std::size_t c, std::size_t lanes) {
    const VF rest =
        hn::MulAdd(load_up_to(x + i, lanes), load_up_to(slope + c, lanes), load_up_to(offset + c, lanes));
    store_up_to(hn::MulAdd(load_up_to(dy + i, lanes), load_up_to(scale + c, lanes), rest), dx + i, lanes);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(channel_sums);
HWY_EXPORT(batch_norm_forward);
HWY_EXPORT(batch_norm_backward);

void channel_sums(double* sum, double* dot, const float* x, const float* y, std::size_t rows, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(channel_sums)(sum, dot, x, y, rows, C);
}

void batch_norm_forward(float* y, const float* x, const float* scale, const float* offset, std::size_t rows,
                        std::size_t C) {
  HWY_DYNAMIC_DISPATCH(batch_norm_forward)(y, x, scale, offset, rows, C);
}

void batch_norm_backward(float* dx, const float* dy, const float* x, const float* scale, const float* slope,
                         const float* offset, std::size_t rows, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(batch_norm_backward)(dx, dy, x, scale, slope, offset, rows, C);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

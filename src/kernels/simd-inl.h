// Included once per target, like every -inl.h here; see lif.cpp for the four steps of a kernel unit.
#if defined(VOLLEY_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_SIMD_INL_H_
#undef VOLLEY_KERNELS_SIMD_INL_H_
#else
#define VOLLEY_KERNELS_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;
using MF = hn::Mask<F32>;

constexpr std::size_t kLanes = hn::MaxLanes(F32());

// Targets whose masked loads and stores do not touch the lanes that are off.
constexpr bool kHasMaskedAccess = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3;

/// The first n lanes from p, 0 in the others; reads nothing beyond p + n. n <= kLanes.
HWY_INLINE VF load_first(const float* HWY_RESTRICT p, std::size_t n) {
  const F32 d;
  if constexpr (kHasMaskedAccess) {
    return hn::MaskedLoad(hn::FirstN(d, n), d, p);
  } else {
    HWY_ALIGN float lanes[kLanes] = {};
    std::memcpy(lanes, p, n * sizeof(float));
    return hn::Load(d, lanes);
  }
}

/// The first n lanes to p; writes nothing beyond p + n. n <= kLanes.
HWY_INLINE void store_first(VF v, float* HWY_RESTRICT p, std::size_t n) {
  const F32 d;
  if constexpr (kHasMaskedAccess) {
    hn::BlendedStore(v, hn::FirstN(d, n), d, p);
  } else {
    HWY_ALIGN float lanes[kLanes];
    hn::Store(v, d, lanes);
    std::memcpy(p, lanes, n * sizeof(float));
  }
}

/// The same, the quicker where the vector is full.
HWY_INLINE VF load_up_to(const float* p, std::size_t n) {
  return n == kLanes ? hn::LoadU(F32(), p) : load_first(p, n);
}
HWY_INLINE void store_up_to(VF v, float* p, std::size_t n) {
  if (n == kLanes) {
    hn::StoreU(v, F32(), p);
  } else {
    store_first(v, p, n);
  }
}

/// Lanes of bit i of `bits`, for i below kLanes.
HWY_INLINE MF mask_from_bits(std::uint32_t bits) {
  const std::uint8_t bytes[8] = {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8)};
  return hn::LoadMaskBits(F32(), bytes);  // wants 8 readable bytes
}

/// Lane i is bit `first` + i of the bytes; `first` is a multiple of kLanes.
HWY_INLINE MF mask_at(const std::uint8_t* bytes, std::size_t first) {
  if constexpr (kLanes < 8) return mask_from_bits(static_cast<std::uint32_t>(bytes[first / 8] >> first % 8));
  std::uint8_t copy[8];
  std::memcpy(copy, bytes + first / 8, kLanes / 8);
  return hn::LoadMaskBits(F32(), copy);  // wants 8 readable bytes
}

/// Bit i is lane i of the mask.
HWY_INLINE std::uint32_t bits_from_mask(MF mask) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(F32(), mask, bytes);
  return static_cast<std::uint32_t>(bytes[0] | bytes[1] << 8);
}

/// Calls body(i) for each i below kCount, a constant in each: for sums that must stay in registers.
template <std::size_t kCount, class Body>
HWY_INLINE void unrolled(const Body& body) {
  [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
    (body(std::integral_constant<std::size_t, kIndex>()), ...);
  }
  (std::make_index_sequence<kCount>());
}

/// Vectors of a row of which the last may be short: `lanes` of it count.
template <std::size_t kVectors, bool kFull>
struct Row {
  std::size_t lanes;

  HWY_INLINE VF load(const float* p, std::size_t v) const {
    return kFull || v + 1 < kVectors ? hn::LoadU(F32(), p + v * kLanes) : load_first(p + v * kLanes, lanes);
  }
  HWY_INLINE void store(VF value, float* p, std::size_t v) const {
    if (kFull || v + 1 < kVectors) {
      hn::StoreU(value, F32(), p + v * kLanes);
    } else {
      store_first(value, p + v * kLanes, lanes);
    }
  }
};

/// Calls tile(first, row) for pieces of [0, columns): kVectors vectors as long as they fit, then one by one.
template <std::size_t kVectors, class Tile>
HWY_INLINE void for_columns(std::size_t columns, const Tile& tile) {
  std::size_t o = 0;
  for (; o + kVectors * kLanes <= columns; o += kVectors * kLanes) tile(o, Row<kVectors, true>{kLanes});
  for (; o + kLanes <= columns; o += kLanes) tile(o, Row<1, true>{kLanes});
  if (o < columns) tile(o, Row<1, false>{columns - o});
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

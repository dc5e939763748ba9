#if defined(VOLLEY_KERNELS_EXP_LOG_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_EXP_LOG_INL_H_
#undef VOLLEY_KERNELS_EXP_LOG_INL_H_
#else
#define VOLLEY_KERNELS_EXP_LOG_INL_H_
#endif

#include <limits>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// a b + c, rounded once.
HWY_INLINE VF fused(VF a, VF b, VF c) { return hn::MulAdd(a, b, c); }

/// exp_of, log_of and log1p_of in vectors, from the text of the scalar ones.
namespace elementary {
using Float = VF;
using I32 = hn::ScalableTag<std::int32_t>;
using Int = hn::Vec<I32>;
using Mask = MF;

HWY_INLINE Float number(float x) { return hn::Set(F32(), x); }
HWY_INLINE Int integer(int x) { return hn::Set(I32(), x); }
template <int kBits>
HWY_INLINE Int shift_left(Int x) {
  return hn::ShiftLeft<kBits>(x);
}
template <int kBits>
HWY_INLINE Int shift_right(Int x) {
  return hn::ShiftRight<kBits>(x);
}
HWY_INLINE Int to_bits(Float x) { return hn::BitCast(I32(), x); }
HWY_INLINE Float from_bits(Int x) { return hn::BitCast(F32(), x); }
HWY_INLINE Float to_float(Int x) { return hn::ConvertTo(F32(), x); }
HWY_INLINE Mask less(Float a, Float b) { return hn::Lt(a, b); }
HWY_INLINE Float select(Mask mask, Float yes, Float no) { return hn::IfThenElse(mask, yes, no); }

#define VOLLEY_INLINE HWY_INLINE
#include "core/exp_log.inc"
#undef VOLLEY_INLINE
}  // namespace elementary
using elementary::exp_of;
using elementary::log1p_of;
using elementary::log_of;

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

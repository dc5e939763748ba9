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

/// a b + c, rounded once, on every target: SSE4, which has no such instruction, goes by way of double.
#if HWY_TARGET == HWY_SSE4
HWY_INLINE hn::Vec<hn::ScalableTag<double>> product_sum(hn::Vec<hn::ScalableTag<double>> a,
                                                        hn::Vec<hn::ScalableTag<double>> b,
                                                        hn::Vec<hn::ScalableTag<double>> c) {
  const hn::ScalableTag<double> d;
  const hn::ScalableTag<std::int64_t> di;
  const auto product = hn::Mul(a, b);  // exact
  const auto sum = hn::Add(product, c);
  const auto of_c = hn::Sub(sum, product);
  const auto error = hn::Add(hn::Sub(product, hn::Sub(sum, of_c)), hn::Sub(c, of_c));
  // A sum that is not exact is made odd, towards the exact one, so that rounding it to float is rounding
  // once.
  const auto zero = hn::Zero(d);
  const auto inexact = hn::Or(hn::Lt(error, zero), hn::Gt(error, zero));
  const auto even = hn::Eq(hn::And(hn::BitCast(di, sum), hn::Set(di, 1)), hn::Zero(di));
  const auto away = hn::Or(hn::BroadcastSignBit(hn::BitCast(di, hn::Xor(error, sum))), hn::Set(di, 1));
  const auto change = hn::IfThenElseZero(hn::And(hn::RebindMask(di, inexact), even), away);
  return hn::BitCast(d, hn::Add(hn::BitCast(di, sum), change));
}
HWY_INLINE VF fused(VF a, VF b, VF c) {
  const F32 d;
  const hn::ScalableTag<double> dd;
  const hn::Half<F32> dh;
  const auto low =
      product_sum(hn::PromoteTo(dd, hn::LowerHalf(dh, a)), hn::PromoteTo(dd, hn::LowerHalf(dh, b)),
                  hn::PromoteTo(dd, hn::LowerHalf(dh, c)));
  const auto high =
      product_sum(hn::PromoteTo(dd, hn::UpperHalf(dh, a)), hn::PromoteTo(dd, hn::UpperHalf(dh, b)),
                  hn::PromoteTo(dd, hn::UpperHalf(dh, c)));
  return hn::Combine(d, hn::DemoteTo(dh, high), hn::DemoteTo(dh, low));
}
#else
HWY_INLINE VF fused(VF a, VF b, VF c) { return hn::MulAdd(a, b, c); }
#endif

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

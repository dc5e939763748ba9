// The derivatives of reference/surrogate.hpp, in vectors. To add a surrogate: a struct and its overload of
// derivative_of.
#if defined(VOLLEY_KERNELS_SURROGATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_SURROGATE_INL_H_
#undef VOLLEY_KERNELS_SURROGATE_INL_H_
#else
#define VOLLEY_KERNELS_SURROGATE_INL_H_
#endif

#include <numbers>

#include <hwy/contrib/math/math-inl.h>

#include <volley/surrogate.hpp>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// (S2)
struct ATanDerivative {
  VF half_alpha, slope;

  explicit ATanDerivative(const ATan& f)
      : half_alpha(hn::Set(F32(), f.alpha / 2)),
        slope(hn::Set(F32(), static_cast<float>(std::numbers::pi / 2 * static_cast<double>(f.alpha)))) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF u = hn::Mul(slope, x);
    return hn::Div(half_alpha, hn::MulAdd(u, u, hn::Set(F32(), 1.0f)));
  }
};

/// (S4)
struct SigmoidDerivative {
  VF alpha;

  explicit SigmoidDerivative(const Sigmoid& f) : alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    // With e = exp(-|alpha x|): alpha e / (1 + e)^2, which is even in x and cannot overflow.
    const F32 d;
    const VF e = hn::Exp(d, hn::Neg(hn::Abs(hn::Mul(alpha, x))));
    const VF q = hn::Add(e, hn::Set(d, 1.0f));
    return hn::Div(hn::Mul(alpha, e), hn::Mul(q, q));
  }
};

HWY_INLINE ATanDerivative derivative_of(const ATan& f) { return ATanDerivative(f); }
HWY_INLINE SigmoidDerivative derivative_of(const Sigmoid& f) { return SigmoidDerivative(f); }

/// Calls body with the surrogate's derivative, g(h - v_threshold).
template <class Body>
HWY_INLINE void with_derivative(const Surrogate& surrogate, const Body& body) {
  std::visit([&](const auto& f) { body(derivative_of(f)); }, surrogate);
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

// The derivatives of spec/surrogate.hpp, in vectors, to the bit. To add a surrogate: a struct and its
// overload of derivative_of.
#if defined(VOLLEY_KERNELS_SURROGATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_SURROGATE_INL_H_
#undef VOLLEY_KERNELS_SURROGATE_INL_H_
#else
#define VOLLEY_KERNELS_SURROGATE_INL_H_
#endif

#include <algorithm>
#include <limits>
#include <numbers>

#include <volley/surrogate.hpp>

#include "kernels/exp_log-inl.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// A constant that is computed in double; one beyond the largest float counts as that, so that 0 times it is
/// 0.
HWY_INLINE VF all(double value) {
  const double most = static_cast<double>(std::numeric_limits<float>::max());
  return hn::Set(F32(), static_cast<float>(std::clamp(value, -most, most)));
}
HWY_INLINE VF one() { return hn::Set(F32(), 1.0f); }
HWY_INLINE VF square(VF x) { return hn::Mul(x, x); }
/// g, but NaN where x is: for derivatives that do not compute with x.
HWY_INLINE VF nan_or(VF x, VF g) { return hn::IfThenElse(hn::IsNaN(x), x, g); }

/// The sigmoid at x, 1 minus it, and its derivative, each without cancellation and without overflow.
struct SigmoidAt {
  VF value, complement, slope;

  explicit SigmoidAt(VF x) {
    const VF e = exp_of(hn::Neg(hn::Abs(x)));
    const VF large = hn::Div(one(), hn::Add(e, one()));
    const VF small = hn::Mul(e, large);
    const MF negative = hn::Lt(x, hn::Zero(F32()));
    value = hn::IfThenElse(negative, small, large);
    complement = hn::IfThenElse(negative, large, small);
    slope = hn::Mul(small, large);
  }
};

/// (S2)
struct ATanDerivative {
  VF half_alpha, slope;

  explicit ATanDerivative(const ATan& f)
      : half_alpha(hn::Set(F32(), f.alpha / 2)),
        slope(all(std::numbers::pi / 2 * static_cast<double>(f.alpha))) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF u = hn::Mul(slope, x);
    return hn::Div(half_alpha, fused(u, u, one()));
  }
};

/// (S4)
struct SigmoidDerivative {
  VF alpha;

  explicit SigmoidDerivative(const Sigmoid& f) : alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    // With e = exp(-|alpha x|): alpha e / (1 + e)^2, which is even in x and cannot overflow.
    const VF e = exp_of(hn::Neg(hn::Abs(hn::Mul(alpha, x))));
    return hn::Div(hn::Mul(alpha, e), square(hn::Add(e, one())));
  }
};

/// (S6)
struct PiecewiseQuadraticDerivative {
  VF alpha;

  explicit PiecewiseQuadraticDerivative(const PiecewiseQuadratic& f) : alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF q = fused(hn::Neg(alpha), hn::Abs(x), one());
    return hn::IfThenZeroElse(hn::Lt(q, hn::Zero(F32())), hn::Mul(alpha, q));
  }
};

/// (S8)
struct PiecewiseExpDerivative {
  VF half_alpha, minus_alpha;

  explicit PiecewiseExpDerivative(const PiecewiseExp& f)
      : half_alpha(hn::Set(F32(), f.alpha / 2)), minus_alpha(hn::Set(F32(), -f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    return hn::Mul(half_alpha, exp_of(hn::Mul(minus_alpha, hn::Abs(x))));
  }
};

/// (S10)
struct SoftSignDerivative {
  VF half_alpha, alpha;

  explicit SoftSignDerivative(const SoftSign& f)
      : half_alpha(hn::Set(F32(), f.alpha / 2)), alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    return hn::Div(half_alpha, square(fused(alpha, hn::Abs(x), one())));
  }
};

/// (S12)
struct SuperSpikeDerivative {
  VF alpha;

  explicit SuperSpikeDerivative(const SuperSpike& f) : alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const { return hn::Div(alpha, square(hn::Add(hn::Abs(x), one()))); }
};

/// (S14)
struct ErfDerivative {
  VF height, alpha;

  explicit ErfDerivative(const Erf& f)
      : height(all(static_cast<double>(f.alpha) * std::numbers::inv_sqrtpi)),
        alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const { return hn::Mul(height, exp_of(hn::Neg(square(hn::Mul(alpha, x))))); }
};

/// (S16)
struct RectDerivative {
  VF alpha, half_width;

  explicit RectDerivative(const Rect& f)
      : alpha(hn::Set(F32(), f.alpha)), half_width(hn::Set(F32(), 1 / (2 * f.alpha))) {}

  HWY_INLINE VF operator()(VF x) const {
    return nan_or(x, hn::IfThenElseZero(hn::Lt(hn::Abs(x), half_width), alpha));
  }
};

/// (S18)
struct PiecewiseLeakyReLUDerivative {
  VF w, inside, outside;

  explicit PiecewiseLeakyReLUDerivative(const PiecewiseLeakyReLU& f)
      : w(hn::Set(F32(), f.w)), inside(hn::Set(F32(), 1 / (2 * f.w))), outside(hn::Set(F32(), f.c)) {}

  HWY_INLINE VF operator()(VF x) const {
    return nan_or(x, hn::IfThenElse(hn::Lt(hn::Abs(x), w), inside, outside));
  }
};

/// (S20)
struct LeakyKReLUDerivative {
  VF leak, k;

  explicit LeakyKReLUDerivative(const LeakyKReLU& f) : leak(hn::Set(F32(), f.leak)), k(hn::Set(F32(), f.k)) {}

  HWY_INLINE VF operator()(VF x) const {
    return nan_or(x, hn::IfThenElse(hn::Ge(x, hn::Zero(F32())), k, leak));
  }
};

/// (S22)
struct LogTailedReLUDerivative {
  VF alpha;

  explicit LogTailedReLUDerivative(const LogTailedReLU& f) : alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF above = hn::IfThenElse(hn::Le(x, one()), one(), hn::Div(one(), x));
    return hn::IfThenElse(hn::Le(x, hn::Zero(F32())), alpha, above);
  }
};

/// (S24)
struct S2NNDerivative {
  SigmoidDerivative below;
  VF beta;

  explicit S2NNDerivative(const S2NN& f) : below(Sigmoid{f.alpha}), beta(hn::Set(F32(), f.beta)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF above = hn::Div(beta, hn::Add(x, one()));
    return hn::IfThenElse(hn::Lt(x, hn::Zero(F32())), below(x), above);
  }
};

/// (S26)
struct QPseudoSpikeDerivative {
  VF minus_alpha, slope;

  explicit QPseudoSpikeDerivative(const QPseudoSpike& f)
      : minus_alpha(hn::Set(F32(), -f.alpha)), slope(all(2 / (static_cast<double>(f.alpha) - 1))) {}

  HWY_INLINE VF operator()(VF x) const {
    return exp_of(hn::Mul(minus_alpha, log1p_of(hn::Mul(slope, hn::Abs(x)))));
  }
};

/// (S28)
struct NonzeroSignLogAbsDerivative {
  VF alpha;

  explicit NonzeroSignLogAbsDerivative(const NonzeroSignLogAbs& f) : alpha(hn::Set(F32(), f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const { return hn::Div(alpha, fused(alpha, hn::Abs(x), one())); }
};

/// (S30)
struct StraightThroughDerivative {
  HWY_INLINE VF operator()(VF x) const { return nan_or(x, one()); }
};

HWY_INLINE ATanDerivative derivative_of(const ATan& f) { return ATanDerivative(f); }
HWY_INLINE SigmoidDerivative derivative_of(const Sigmoid& f) { return SigmoidDerivative(f); }
HWY_INLINE PiecewiseQuadraticDerivative derivative_of(const PiecewiseQuadratic& f) {
  return PiecewiseQuadraticDerivative(f);
}
HWY_INLINE PiecewiseExpDerivative derivative_of(const PiecewiseExp& f) { return PiecewiseExpDerivative(f); }
HWY_INLINE SoftSignDerivative derivative_of(const SoftSign& f) { return SoftSignDerivative(f); }
HWY_INLINE SuperSpikeDerivative derivative_of(const SuperSpike& f) { return SuperSpikeDerivative(f); }
HWY_INLINE ErfDerivative derivative_of(const Erf& f) { return ErfDerivative(f); }
HWY_INLINE RectDerivative derivative_of(const Rect& f) { return RectDerivative(f); }
HWY_INLINE PiecewiseLeakyReLUDerivative derivative_of(const PiecewiseLeakyReLU& f) {
  return PiecewiseLeakyReLUDerivative(f);
}
HWY_INLINE LeakyKReLUDerivative derivative_of(const LeakyKReLU& f) { return LeakyKReLUDerivative(f); }
HWY_INLINE LogTailedReLUDerivative derivative_of(const LogTailedReLU& f) {
  return LogTailedReLUDerivative(f);
}
HWY_INLINE S2NNDerivative derivative_of(const S2NN& f) { return S2NNDerivative(f); }
HWY_INLINE QPseudoSpikeDerivative derivative_of(const QPseudoSpike& f) { return QPseudoSpikeDerivative(f); }
HWY_INLINE NonzeroSignLogAbsDerivative derivative_of(const NonzeroSignLogAbs& f) {
  return NonzeroSignLogAbsDerivative(f);
}
HWY_INLINE StraightThroughDerivative derivative_of(const StraightThrough&) { return {}; }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

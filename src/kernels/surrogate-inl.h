// The derivatives of spec/surrogate.hpp, in vectors, to the bit. To add a surrogate: a struct and its
// overload of derivative_of.
#if defined(VOLLEY_KERNELS_SURROGATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_SURROGATE_INL_H_
#undef VOLLEY_KERNELS_SURROGATE_INL_H_
#else
#define VOLLEY_KERNELS_SURROGATE_INL_H_
#endif

#include "kernels/exp_log-inl.h"
#include "kernels/simd-inl.h"
#include "ops/surrogates.hpp"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE VF all(float value) { return hn::Set(F32(), value); }
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

  explicit ATanDerivative(const ops::ATan& f) : half_alpha(all(f.half_alpha)), slope(all(f.slope)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF u = hn::Mul(slope, x);
    return hn::Div(half_alpha, fused(u, u, one()));
  }
};

/// (S4)
struct SigmoidDerivative {
  VF alpha;

  explicit SigmoidDerivative(const ops::Sigmoid& f) : alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    // With e = exp(-|alpha x|): alpha e / (1 + e)^2, which is even in x and cannot overflow.
    const VF e = exp_of(hn::Neg(hn::Abs(hn::Mul(alpha, x))));
    return hn::Div(hn::Mul(alpha, e), square(hn::Add(e, one())));
  }
};

/// (S6)
struct PiecewiseQuadraticDerivative {
  VF alpha;

  explicit PiecewiseQuadraticDerivative(const ops::PiecewiseQuadratic& f) : alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF q = fused(hn::Neg(alpha), hn::Abs(x), one());
    return hn::IfThenZeroElse(hn::Lt(q, hn::Zero(F32())), hn::Mul(alpha, q));
  }
};

/// (S8)
struct PiecewiseExpDerivative {
  VF half_alpha, minus_alpha;

  explicit PiecewiseExpDerivative(const ops::PiecewiseExp& f)
      : half_alpha(all(f.half_alpha)), minus_alpha(all(f.minus_alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    return hn::Mul(half_alpha, exp_of(hn::Mul(minus_alpha, hn::Abs(x))));
  }
};

/// (S10)
struct SoftSignDerivative {
  VF half_alpha, alpha;

  explicit SoftSignDerivative(const ops::SoftSign& f) : half_alpha(all(f.half_alpha)), alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    return hn::Div(half_alpha, square(fused(alpha, hn::Abs(x), one())));
  }
};

/// (S12)
struct SuperSpikeDerivative {
  VF alpha;

  explicit SuperSpikeDerivative(const ops::SuperSpike& f) : alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const { return hn::Div(alpha, square(hn::Add(hn::Abs(x), one()))); }
};

/// (S14)
struct ErfDerivative {
  VF height, alpha;

  explicit ErfDerivative(const ops::Erf& f) : height(all(f.height)), alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const { return hn::Mul(height, exp_of(hn::Neg(square(hn::Mul(alpha, x))))); }
};

/// (S16)
struct RectDerivative {
  VF alpha, half_width;

  explicit RectDerivative(const ops::Rect& f) : alpha(all(f.alpha)), half_width(all(f.half_width)) {}

  HWY_INLINE VF operator()(VF x) const {
    return nan_or(x, hn::IfThenElseZero(hn::Lt(hn::Abs(x), half_width), alpha));
  }
};

/// (S18)
struct PiecewiseLeakyReLUDerivative {
  VF w, inside, outside;

  explicit PiecewiseLeakyReLUDerivative(const ops::PiecewiseLeakyReLU& f)
      : w(all(f.w)), inside(all(f.inside)), outside(all(f.outside)) {}

  HWY_INLINE VF operator()(VF x) const {
    return nan_or(x, hn::IfThenElse(hn::Lt(hn::Abs(x), w), inside, outside));
  }
};

/// (S20)
struct LeakyKReLUDerivative {
  VF leak, k;

  explicit LeakyKReLUDerivative(const ops::LeakyKReLU& f) : leak(all(f.leak)), k(all(f.k)) {}

  HWY_INLINE VF operator()(VF x) const {
    return nan_or(x, hn::IfThenElse(hn::Ge(x, hn::Zero(F32())), k, leak));
  }
};

/// (S22)
struct LogTailedReLUDerivative {
  VF alpha;

  explicit LogTailedReLUDerivative(const ops::LogTailedReLU& f) : alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF above = hn::IfThenElse(hn::Le(x, one()), one(), hn::Div(one(), x));
    return hn::IfThenElse(hn::Le(x, hn::Zero(F32())), alpha, above);
  }
};

/// (S24)
struct S2NNDerivative {
  SigmoidDerivative below;
  VF beta;

  explicit S2NNDerivative(const ops::S2NN& f) : below(ops::Sigmoid{f.alpha}), beta(all(f.beta)) {}

  HWY_INLINE VF operator()(VF x) const {
    const VF above = hn::Div(beta, hn::Add(x, one()));
    return hn::IfThenElse(hn::Lt(x, hn::Zero(F32())), below(x), above);
  }
};

/// (S26)
struct QPseudoSpikeDerivative {
  VF minus_alpha, slope;

  explicit QPseudoSpikeDerivative(const ops::QPseudoSpike& f)
      : minus_alpha(all(f.minus_alpha)), slope(all(f.slope)) {}

  HWY_INLINE VF operator()(VF x) const {
    return exp_of(hn::Mul(minus_alpha, log1p_of(hn::Mul(slope, hn::Abs(x)))));
  }
};

/// (S28)
struct NonzeroSignLogAbsDerivative {
  VF alpha;

  explicit NonzeroSignLogAbsDerivative(const ops::NonzeroSignLogAbs& f) : alpha(all(f.alpha)) {}

  HWY_INLINE VF operator()(VF x) const { return hn::Div(alpha, fused(alpha, hn::Abs(x), one())); }
};

/// (S30)
struct StraightThroughDerivative {
  HWY_INLINE VF operator()(VF x) const { return nan_or(x, one()); }
};

HWY_INLINE ATanDerivative derivative_of(const ops::ATan& f) { return ATanDerivative(f); }
HWY_INLINE SigmoidDerivative derivative_of(const ops::Sigmoid& f) { return SigmoidDerivative(f); }
HWY_INLINE PiecewiseQuadraticDerivative derivative_of(const ops::PiecewiseQuadratic& f) {
  return PiecewiseQuadraticDerivative(f);
}
HWY_INLINE PiecewiseExpDerivative derivative_of(const ops::PiecewiseExp& f) {
  return PiecewiseExpDerivative(f);
}
HWY_INLINE SoftSignDerivative derivative_of(const ops::SoftSign& f) { return SoftSignDerivative(f); }
HWY_INLINE SuperSpikeDerivative derivative_of(const ops::SuperSpike& f) { return SuperSpikeDerivative(f); }
HWY_INLINE ErfDerivative derivative_of(const ops::Erf& f) { return ErfDerivative(f); }
HWY_INLINE RectDerivative derivative_of(const ops::Rect& f) { return RectDerivative(f); }
HWY_INLINE PiecewiseLeakyReLUDerivative derivative_of(const ops::PiecewiseLeakyReLU& f) {
  return PiecewiseLeakyReLUDerivative(f);
}
HWY_INLINE LeakyKReLUDerivative derivative_of(const ops::LeakyKReLU& f) { return LeakyKReLUDerivative(f); }
HWY_INLINE LogTailedReLUDerivative derivative_of(const ops::LogTailedReLU& f) {
  return LogTailedReLUDerivative(f);
}
HWY_INLINE S2NNDerivative derivative_of(const ops::S2NN& f) { return S2NNDerivative(f); }
HWY_INLINE QPseudoSpikeDerivative derivative_of(const ops::QPseudoSpike& f) {
  return QPseudoSpikeDerivative(f);
}
HWY_INLINE NonzeroSignLogAbsDerivative derivative_of(const ops::NonzeroSignLogAbs& f) {
  return NonzeroSignLogAbsDerivative(f);
}
HWY_INLINE StraightThroughDerivative derivative_of(const ops::StraightThrough&) { return {}; }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

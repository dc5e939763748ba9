#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/glif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// A learned number, the sigmoid of a parameter, and its slope there.
struct GLIFNumber {
  VF value, slope;
};

struct GLIFNeuron : FiresAtThreshold {
  static constexpr std::size_t kParameters = 8;
  static constexpr bool kPerFeature = true;

  const NeuronParameters* parameters;
  bool strict;
  GLIFNumber alpha, beta, gamma, tau, threshold, linear_decay, v_subreset, conduct;
  VF leak, gain, lost, subtracted, kept;  // kept: of what leaks, after a spike

  GLIFNeuron(const GLIFOptions& o, const NeuronParameters& p)
      : FiresAtThreshold(
            {.v_threshold = 0, .fire_from = 0, .kappa = 0, .c = 0, .v_rest = 0, .detached = o.detach_reset}),
        parameters(&p),
        strict(!o.fires_at_threshold) {
    take(0, p.per_feature ? 1 : kLanes);
  }

  HWY_INLINE GLIFNeuron at(std::size_t f, std::size_t lanes) const {
    GLIFNeuron n = *this;
    if (parameters->per_feature) n.take(f, lanes);
    return n;
  }

  /// The numbers of the features from f on.
  HWY_INLINE void take(std::size_t f, std::size_t lanes) {
    const F32 d;
    const VF one = hn::Set(d, 1.0f);
    GLIFNumber* const all[] = {&alpha, &beta, &gamma, &tau, &threshold, &linear_decay, &v_subreset, &conduct};
    for (std::size_t k = 0; k < kParameters; ++k) {
      const VF raw = parameter_at(parameters->value[k], parameters->per_feature, f, lanes);
      all[k]->value = one / (one + hn::Exp(d, hn::Neg(raw)));  // (T1)
      all[k]->slope = all[k]->value * (one - all[k]->value);
    }
    leak = one - alpha.value * (one - tau.value);     // (T2)
    gain = one - beta.value * (one - conduct.value);  // (T3)
    lost = (one - alpha.value) * linear_decay.value;
    subtracted = (one - gamma.value) * v_subreset.value;
    kept = one - gamma.value;
    v_threshold = threshold.value;
  }

  HWY_INLINE MF fired(const VF* z) const {
    return strict ? hn::Gt(z[0], v_threshold) : hn::Ge(z[0], v_threshold);
  }
  HWY_INLINE void charge(VF* z, VF x) const { z[0] = z[0] + gain * x - lost; }  // (T4)
  HWY_INLINE void reset(VF* z, MF fired) const {                                // (T5)
    const VF leaked = leak * z[0];
    z[0] = hn::IfThenElse(fired, leaked * kept - subtracted, leaked);
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {
    const VF one = hn::Set(F32(), 1.0f);
    const VF dv = dz[0], leaked = leak * z[0];
    const VF dv_fired = hn::IfThenElseZero(fired, dv);
    const VF dv_kept = hn::IfThenElse(fired, dv * kept, dv);
    const VF du = g * (ds - through_spike * dv * (gamma.value * leaked + subtracted));  // (T6)
    const VF dleak = dv_kept * z[0];                                                    // (T8)
    dp[0] = dp[0] - dleak * (one - tau.value) * alpha.slope;
    dp[2] = dp[2] + dv_fired * (v_subreset.value - leaked) * gamma.slope;
    dp[3] = dp[3] + dleak * alpha.value * tau.slope;
    dp[4] = dp[4] - du * threshold.slope;  // (T7)
    dp[6] = dp[6] - dv_fired * kept * v_subreset.slope;
    dz[0] = dv_kept * leak + du;
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF* dp, const VF*, const VF*, VF x) const {  // (T9)
    const VF one = hn::Set(F32(), 1.0f);
    const VF dh = dz[0];
    dp[0] = dp[0] + dh * linear_decay.value * alpha.slope;
    dp[1] = dp[1] - dh * x * (one - conduct.value) * beta.slope;
    dp[5] = dp[5] - dh * (one - alpha.value) * linear_decay.slope;
    dp[7] = dp[7] + dh * x * beta.value * conduct.slope;
    return dh * gain;
  }
};

NeuronKernels<GLIFOptions> glif_kernels() { return kernels_of<GLIFNeuron, GLIFOptions>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(glif_kernels);
template <>
NeuronKernels<GLIFOptions> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(glif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

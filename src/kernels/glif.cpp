#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/glif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// Its numbers are the sigmoids of its parameters.
struct GLIFNeuron : FiresAtThreshold {
  static constexpr std::size_t kParameters = 8;
  static constexpr bool kPerFeature = true;

  const ops::GLIF* numbers;
  const NeuronParameters* parameters;
  bool strict;
  SigmoidAt alpha, beta, gamma, tau, threshold, linear_decay, v_subreset, conduct;  // (T1)
  VF leak, gain, lost, subtracted;

  GLIFNeuron(const ops::GLIF& o, const NeuronParameters& p)
      : GLIFNeuron(o, p, 0, p.per_feature ? 1 : kLanes) {}

  /// Of the features from f on.
  GLIFNeuron(const ops::GLIF& o, const NeuronParameters& p, std::size_t f, std::size_t lanes)
      : FiresAtThreshold(o.firing),
        numbers(&o),
        parameters(&p),
        strict(o.firing.strict),
        alpha(number(p, 0, f, lanes)),
        beta(number(p, 1, f, lanes)),
        gamma(number(p, 2, f, lanes)),
        tau(number(p, 3, f, lanes)),
        threshold(number(p, 4, f, lanes)),
        linear_decay(number(p, 5, f, lanes)),
        v_subreset(number(p, 6, f, lanes)),
        conduct(number(p, 7, f, lanes)),
        leak(one() - alpha.value * tau.complement),     // (T2)
        gain(one() - beta.value * conduct.complement),  // (T3)
        lost(alpha.complement * linear_decay.value),
        subtracted(gamma.complement * v_subreset.value) {
    v_threshold = threshold.value;
  }

  static SigmoidAt number(const NeuronParameters& p, std::size_t k, std::size_t f, std::size_t lanes) {
    return SigmoidAt(parameter_at(p.value[k], p.per_feature, f, lanes));
  }

  HWY_INLINE GLIFNeuron at(std::size_t f, std::size_t lanes) const {
    return parameters->per_feature ? GLIFNeuron(*numbers, *parameters, f, lanes) : *this;
  }

  HWY_INLINE MF fired(const VF* z) const {
    return strict ? hn::Gt(z[0], v_threshold) : hn::Ge(z[0], v_threshold);
  }
  HWY_INLINE VF kept(MF fired) const { return hn::IfThenElse(fired, gamma.complement, one()); }
  HWY_INLINE void charge(VF* z, VF x) const { z[0] = z[0] + gain * x - lost; }  // (T4)
  HWY_INLINE void reset(VF* z, MF fired) const {                                // (T5)
    z[0] = leak * z[0] * kept(fired) - hn::IfThenElseZero(fired, subtracted);
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {
    const VF dv = dz[0], leaked = leak * z[0];
    const VF by_reset = hn::And(attached, dv * (gamma.value * leaked + subtracted));
    const VF du = g * (ds - by_reset);         // (T6)
    const VF dleak = dv * kept(fired) * z[0];  // (T8)
    const VF s_dv = spike(fired) * dv;
    dp[0] = dp[0] - dleak * tau.complement * alpha.slope;
    dp[2] = dp[2] + s_dv * (v_subreset.value - leaked) * gamma.slope;
    dp[3] = dp[3] + dleak * alpha.value * tau.slope;
    dp[4] = dp[4] - du * threshold.slope;  // (T7)
    dp[6] = dp[6] - s_dv * gamma.complement * v_subreset.slope;
    dz[0] = dv * kept(fired) * leak + du;
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF* dp, const VF*, const VF*, VF x) const {  // (T9)
    const VF dh = dz[0];
    dp[0] = dp[0] + dh * linear_decay.value * alpha.slope;
    dp[1] = dp[1] - dh * x * conduct.complement * beta.slope;
    dp[5] = dp[5] - dh * alpha.complement * linear_decay.slope;
    dp[7] = dp[7] + dh * x * beta.value * conduct.slope;
    return dh * gain;
  }
};

NeuronKernels<ops::GLIF> glif_kernels() { return kernels_of<GLIFNeuron, ops::GLIF>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(glif_kernels);
template <>
NeuronKernels<ops::GLIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(glif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

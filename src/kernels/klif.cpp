#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/klif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/leaky_charge-inl.h"
#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

struct KLIFNeuron : FiresAtThreshold {
  static constexpr std::size_t kParameters = 1;

  VF k, back;
  LeakyCharge leaky;
  bool soft, scale_reset;

  KLIFNeuron(const ops::KLIF& o, const NeuronParameters& p)
      : FiresAtThreshold(o.firing),
        k(hn::Set(F32(), *p.value[0])),
        back(o.scale_reset ? one() / k : one()),
        leaky(o.leak),
        soft(!o.firing.hard()),
        scale_reset(o.scale_reset) {}

  HWY_INLINE VF charged(VF v, VF x) const { return leaky(v, x, v_rest); }  // (K1)
  HWY_INLINE void charge(VF* z, VF x) const {                              // (K2): NaN is not below 0
    const VF scaled = k * charged(z[0], x);
    z[0] = hn::IfThenZeroElse(hn::Lt(scaled, hn::Zero(F32())), scaled);
  }

  HWY_INLINE void reset(VF* z, MF fired) const {  // (K3)
    z[0] = hn::IfThenElse(fired, soft ? (z[0] + c) * back : kappa * z[0] * back + c, z[0] * back);
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {
    const VF dv = dz[0];
    const VF by_reset = hn::And(attached, dv * (soft ? c * back : c - z[0] * back));  // (K4)
    const VF kept = soft ? z[0] + spike(fired) * c : silence(fired) * z[0];
    if (scale_reset) dp[0] = dp[0] - dv * kept * (back * back);  // (K5)
    dz[0] = (soft ? dv : dv * silence(fired)) * back + g * (ds + by_reset);
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF* dp, const VF* before, const VF* z, VF x) const {
    const VF open = hn::IfThenZeroElse(hn::Le(z[0], hn::Zero(F32())), dz[0]);
    dp[0] = dp[0] + open * charged(before[0], x);  // (K6)
    const VF dh = open * k;                        // (K7)
    dz[0] = dh * leaky.dh_dv;
    return dh * leaky.dh_dx;
  }
};

NeuronKernels<ops::KLIF> klif_kernels() { return kernels_of<KLIFNeuron, ops::KLIF>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(klif_kernels);
template <>
NeuronKernels<ops::KLIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(klif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

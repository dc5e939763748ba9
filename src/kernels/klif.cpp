#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/klif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

struct KLIFNeuron : FiresAtThreshold {
  static constexpr std::size_t kParameters = 1;

  VF k, inv_tau, dh_dx, dh_dv, back, dback_dk;
  bool soft;

  KLIFNeuron(const KLIFOptions& o, const NeuronParameters& p)
      : FiresAtThreshold(reset_of(o)),
        k(hn::Set(F32(), *p.value[0])),
        inv_tau(all(1 / static_cast<double>(o.tau))),
        dh_dx(all(o.decay_input ? 1 / static_cast<double>(o.tau) : 1)),
        dh_dv(all(1 - 1 / static_cast<double>(o.tau))),
        back(all(o.scale_reset ? 1 / static_cast<double>(*p.value[0]) : 1)),
        dback_dk(o.scale_reset ? hn::Neg(back * back) : hn::Zero(F32())),
        soft(!o.v_reset.has_value()) {}

  HWY_INLINE VF charged(VF v, VF x) const { return v - (v - v_rest) * inv_tau + x * dh_dx; }  // (K1)
  HWY_INLINE void charge(VF* z, VF x) const {
    z[0] = hn::Max(hn::Zero(F32()), k * charged(z[0], x));  // (K2)
  }

  HWY_INLINE void reset(VF* z, MF fired) const {  // (K3)
    z[0] = hn::IfThenElse(fired, soft ? (z[0] + c) * back : c, z[0] * back);
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {
    const VF dv = dz[0];
    const VF by_spike = soft ? c * back : c - z[0] * back;  // (K4)
    const VF kept = soft ? z[0] + hn::IfThenElseZero(fired, c) : hn::IfThenZeroElse(fired, z[0]);
    dp[0] = dp[0] + dv * kept * dback_dk;  // (K5)
    dz[0] = (soft ? dv : hn::IfThenZeroElse(fired, dv)) * back + g * (ds + through_spike * dv * by_spike);
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF* dp, const VF* before, const VF* z, VF x) const {
    const VF open = hn::IfThenElseZero(hn::Gt(z[0], hn::Zero(F32())), dz[0]);
    dp[0] = dp[0] + open * charged(before[0], x);  // (K6)
    const VF dh = open * k;                        // (K7)
    dz[0] = dh * dh_dv;
    return dh * dh_dx;
  }
};

NeuronKernels<KLIFOptions> klif_kernels() { return kernels_of<KLIFNeuron, KLIFOptions>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(klif_kernels);
template <>
NeuronKernels<KLIFOptions> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(klif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

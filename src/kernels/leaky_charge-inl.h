// How the potential leaks and takes up a current: LIF and what charges as it does.
#if defined(VOLLEY_KERNELS_LEAKY_CHARGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_LEAKY_CHARGE_INL_H_
#undef VOLLEY_KERNELS_LEAKY_CHARGE_INL_H_
#else
#define VOLLEY_KERNELS_LEAKY_CHARGE_INL_H_
#endif

#include "kernels/exp_log-inl.h"
#include "kernels/simd-inl.h"
#include "ops/neurons.hpp"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// (L1), (L2): h of v and x. `leaks` masks the leak.
template <bool kDecayInput>
HWY_INLINE VF leaky_charge(VF v, VF x, VF rest, VF inv_tau, VF leaks) {
  const VF leak = hn::Sub(v, rest);
  if constexpr (kDecayInput) return fused(hn::Sub(x, leak), inv_tau, v);
  return hn::Add(fused(hn::Neg(hn::And(leaks, leak)), inv_tau, v), x);
}
/// (L14), and (L2) where gain is 1.
HWY_INLINE VF leaky_charge_with(VF gain, VF v, VF x, VF rest, VF inv_tau) {
  return fused(x, gain, fused(hn::Neg(hn::Sub(v, rest)), inv_tau, v));
}

/// The charge of a neuron that asks for its form at each step.
struct LeakyCharge {
  VF inv_tau, dh_dx, dh_dv;
  bool decayed;

  explicit LeakyCharge(const ops::Leak& leak)
      : inv_tau(hn::Set(F32(), leak.inv_tau)),
        dh_dx(hn::Set(F32(), leak.dh_dx)),
        dh_dv(hn::Set(F32(), leak.dh_dv)),
        decayed(leak.taken == ops::Leak::Taken::decayed) {}

  HWY_INLINE VF operator()(VF v, VF x, VF rest) const {
    return decayed ? leaky_charge<true>(v, x, rest, inv_tau, v)
                   : leaky_charge_with(dh_dx, v, x, rest, inv_tau);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

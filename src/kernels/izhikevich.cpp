#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/izhikevich.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// z is (v, w), w the recovery.
struct IzhikevichNeuron : FiresAtThreshold {
  static constexpr std::size_t kStates = 2;

  VF inv_tau, a0_by_tau, v_q, v_c, rest_and_c, w_rest, inv_tau_w, a, b, is_hard;

  explicit IzhikevichNeuron(const IzhikevichOptions& o)
      : FiresAtThreshold(reset_of(o)),
        inv_tau(all(1 / static_cast<double>(o.tau))),
        a0_by_tau(all(static_cast<double>(o.a0) / static_cast<double>(o.tau))),
        v_q(hn::Set(F32(), o.v_rest)),
        v_c(hn::Set(F32(), o.v_c)),
        rest_and_c(all(static_cast<double>(o.v_rest) + static_cast<double>(o.v_c))),
        w_rest(hn::Set(F32(), o.w_rest)),
        inv_tau_w(all(1 / static_cast<double>(o.tau_w))),
        a(hn::Set(F32(), o.a)),
        b(hn::Set(F32(), o.b)),
        is_hard(all(o.v_reset.has_value() ? 1 : 0)) {}

  HWY_INLINE void start(VF* z) const {
    z[0] = v_rest;
    z[1] = w_rest;
  }

  HWY_INLINE void charge(VF* z, VF x) const {
    const VF v = z[0], w = z[1];
    z[0] = v + (x - w) * inv_tau + a0_by_tau * (v - v_q) * (v - v_c);  // (I1)
    z[1] = w + (a * (z[0] - v_q) - w) * inv_tau_w;                     // (I2)
  }

  HWY_INLINE void reset(VF* z, MF fired) const {
    FiresAtThreshold::reset(z, fired);
    z[1] = z[1] + hn::IfThenElseZero(fired, b);  // (I3)
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF*, const VF* z, MF fired, VF g, VF ds) const {
    const VF one = hn::Set(F32(), 1.0f);
    const VF kept = hn::IfThenElse(fired, kappa, one);
    // (I4): s v_reset and b s see the spike even where the reset is detached.
    const VF always = is_hard * c;
    const VF detachable = (kappa - one) * z[0] + (c - always);
    const VF ds_all = ds + dz[0] * (always + through_spike * detachable) + dz[1] * b;
    dz[0] = dz[0] * kept + g * ds_all;
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF* before, const VF*, VF) const {
    const VF v = before[0];
    const VF dh = dz[0] + dz[1] * a * inv_tau_w;
    const VF dx = dh * inv_tau;
    dz[0] = dh + dh * (a0_by_tau * (v + v - rest_and_c));  // (I5)
    dz[1] = dz[1] - dz[1] * inv_tau_w - dx;                // (I6)
    return dx;
  }
};

NeuronKernels<IzhikevichOptions> izhikevich_kernels() {
  return kernels_of<IzhikevichNeuron, IzhikevichOptions>();
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(izhikevich_kernels);
template <>
NeuronKernels<IzhikevichOptions> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(izhikevich_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

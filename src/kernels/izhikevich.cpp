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

  VF inv_tau, a0, v_q, v_c, w_rest, inv_tau_w, dw_dw, a, a_by_tau_w, b;

  explicit IzhikevichNeuron(const ops::Izhikevich& o)
      : FiresAtThreshold(o.firing),
        inv_tau(hn::Set(F32(), o.inv_tau)),
        a0(hn::Set(F32(), o.a0)),
        v_q(hn::Set(F32(), o.v_rest)),
        v_c(hn::Set(F32(), o.v_c)),
        w_rest(hn::Set(F32(), o.w_rest)),
        inv_tau_w(hn::Set(F32(), o.inv_tau_w)),
        dw_dw(hn::Set(F32(), o.dw_dw)),
        a(hn::Set(F32(), o.a)),
        a_by_tau_w(a * inv_tau_w),
        b(hn::Set(F32(), o.b)) {}

  HWY_INLINE void start(VF* z) const {
    FiresAtThreshold::start(z);
    z[1] = w_rest;
  }

  HWY_INLINE void charge(VF* z, VF x) const {
    const VF v = z[0], w = z[1];
    z[0] = v + (x + a0 * (v - v_q) * (v - v_c) - w) * inv_tau;  // (I1)
    z[1] = w + (a * (z[0] - v_q) - w) * inv_tau_w;              // (I2)
  }

  HWY_INLINE void reset(VF* z, MF fired) const {
    FiresAtThreshold::reset(z, fired);
    z[1] = z[1] + hn::IfThenElseZero(fired, b);  // (I3)
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {
    FiresAtThreshold::fire_adjoint(dz, dp, z, fired, g, ds + dz[1] * b);  // (I4)
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF* before, const VF*, VF) const {
    const VF v = before[0];
    const VF dh = dz[0] + dz[1] * a_by_tau_w;
    const VF dx = dh * inv_tau;
    dz[0] = dh + dx * (a0 * (v + v - v_q - v_c));  // (I5)
    dz[1] = dz[1] * dw_dw - dx;                    // (I6)
    return dx;
  }

  HWY_INLINE void hold(VF* z, VF) const { z[1] = z[1] + (a * (z[0] - v_q) - z[1]) * inv_tau_w; }  // (L19)
  HWY_INLINE VF hold_adjoint(VF* dz) const {
    dz[0] = dz[0] + dz[1] * a_by_tau_w;
    dz[1] = dz[1] * dw_dw;
    return hn::Zero(F32());
  }
};

NeuronKernels<ops::Izhikevich> izhikevich_kernels() {
  return kernels_of<IzhikevichNeuron, ops::Izhikevich>();
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(izhikevich_kernels);
template <>
NeuronKernels<ops::Izhikevich> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(izhikevich_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

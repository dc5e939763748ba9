// QIF and EIF: neurons whose charge is not linear in v.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/qif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

struct QIFNeuron : FiresAtThreshold {
  VF inv_tau, a0, v_q, v_c;

  explicit QIFNeuron(const ops::QIF& o)
      : FiresAtThreshold(o.firing),
        inv_tau(hn::Set(F32(), o.inv_tau)),
        a0(hn::Set(F32(), o.a0)),
        v_q(hn::Set(F32(), o.v_rest)),
        v_c(hn::Set(F32(), o.v_c)) {}

  HWY_INLINE void charge(VF* z, VF x) const {
    const VF v = z[0];
    z[0] = v + (x + a0 * (v - v_q) * (v - v_c)) * inv_tau;  // (Q1)
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF* before, const VF*, VF) const {
    const VF dx = dz[0] * inv_tau;
    const VF v = before[0];
    dz[0] = dz[0] + dx * (a0 * (v + v - v_q - v_c));  // (Q2)
    return dx;
  }
};

struct EIFNeuron : FiresAtThreshold {
  VF inv_tau, v_r, delta_T, inv_delta_T, theta_rh;

  explicit EIFNeuron(const ops::EIF& o)
      : FiresAtThreshold(o.firing),
        inv_tau(hn::Set(F32(), o.inv_tau)),
        v_r(hn::Set(F32(), o.v_rest)),
        delta_T(hn::Set(F32(), o.delta_T)),
        inv_delta_T(hn::Set(F32(), o.inv_delta_T)),
        theta_rh(hn::Set(F32(), o.theta_rh)) {}

  HWY_INLINE VF rise(VF v) const { return exp_of((v - theta_rh) * inv_delta_T); }

  HWY_INLINE void charge(VF* z, VF x) const {
    const VF v = z[0];
    z[0] = v + (x + v_r - v + delta_T * rise(v)) * inv_tau;  // (Q3)
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF* before, const VF*, VF) const {
    const VF dx = dz[0] * inv_tau;
    dz[0] = dz[0] + dx * (rise(before[0]) - one());  // (Q4)
    return dx;
  }
};

NeuronKernels<ops::QIF> qif_kernels() { return kernels_of<QIFNeuron, ops::QIF>(); }
NeuronKernels<ops::EIF> eif_kernels() { return kernels_of<EIFNeuron, ops::EIF>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(qif_kernels);
template <>
NeuronKernels<ops::QIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(qif_kernels)();
}

HWY_EXPORT(eif_kernels);
template <>
NeuronKernels<ops::EIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(eif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

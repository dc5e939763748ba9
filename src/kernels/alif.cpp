#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/alif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/leaky_charge-inl.h"
#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// z is (v, a), a the adaptation of the threshold.
struct ALIFNeuron : FiresAtThreshold {
  static constexpr std::size_t kStates = 2;

  LeakyCharge charged;
  VF inv_tau_a, da_da, beta;
  bool soft, strict;

  explicit ALIFNeuron(const ops::ALIF& o)
      : FiresAtThreshold(o.firing),
        charged(o.leak),
        inv_tau_a(hn::Set(F32(), o.inv_tau_a)),
        da_da(hn::Set(F32(), o.da_da)),
        beta(hn::Set(F32(), o.beta)),
        soft(!o.firing.hard()),
        strict(o.firing.strict) {}

  HWY_INLINE VF theta(const VF* z) const { return v_threshold + beta * z[1]; }  // (D1)
  HWY_INLINE VF above(const VF* z) const { return z[0] - theta(z); }
  HWY_INLINE MF fired(const VF* z) const {
    const VF zero = hn::Zero(F32());
    return strict ? hn::Gt(above(z), zero) : hn::Ge(above(z), zero);
  }

  HWY_INLINE void start(VF* z) const {
    FiresAtThreshold::start(z);
    z[1] = hn::Zero(F32());
  }

  HWY_INLINE void charge(VF* z, VF x) const { z[0] = charged(z[0], x, v_rest); }

  HWY_INLINE void reset(VF* z, MF fired) const {
    z[0] = soft ? z[0] - spike(fired) * theta(z) : z[0] * silence(fired) + spike(fired) * c;  // (D2)
    z[1] = z[1] + (spike(fired) - z[1]) * inv_tau_a;                                          // (D3)
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF*, const VF* z, MF fired, VF g, VF ds) const {
    const VF by_reset = hn::And(attached, dz[0] * (soft ? hn::Neg(theta(z)) : c - z[0]));
    const VF du = g * (ds + by_reset + dz[1] * inv_tau_a);  // (D4)
    const VF by_theta = soft ? beta * (spike(fired) * dz[0]) : hn::Zero(F32());
    dz[0] = (soft ? dz[0] : dz[0] * silence(fired)) + du;  // (D5)
    dz[1] = dz[1] * da_da - by_theta - beta * du;          // (D6)
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF*, const VF*, VF) const {
    const VF dx = dz[0] * charged.dh_dx;
    dz[0] = dz[0] * charged.dh_dv;
    return dx;
  }

  HWY_INLINE void hold(VF* z, VF) const { z[1] = z[1] - z[1] * inv_tau_a; }  // (L18)
  HWY_INLINE VF hold_adjoint(VF* dz) const {
    dz[1] = dz[1] * da_da;
    return hn::Zero(F32());
  }
};

NeuronKernels<ops::ALIF> alif_kernels() { return kernels_of<ALIFNeuron, ops::ALIF>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(alif_kernels);
template <>
NeuronKernels<ops::ALIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(alif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

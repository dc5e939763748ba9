#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cuba_lif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// z is (v, c), c the synaptic current.
struct CUBALIFNeuron : FiresAtThreshold {
  static constexpr std::size_t kStates = 2;

  VF c_decay, v_decay;

  explicit CUBALIFNeuron(const ops::CUBALIF& o)
      : FiresAtThreshold(o.firing), c_decay(hn::Set(F32(), o.c_decay)), v_decay(hn::Set(F32(), o.v_decay)) {}

  HWY_INLINE void start(VF* z) const {
    FiresAtThreshold::start(z);
    z[1] = hn::Zero(F32());
  }

  HWY_INLINE void charge(VF* z, VF x) const {
    z[1] = z[1] * c_decay + x;     // (U1)
    z[0] = z[0] * v_decay + z[1];  // (U2)
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF*, const VF*, VF) const {
    const VF dx = dz[1] + dz[0];  // (U3)
    dz[0] = dz[0] * v_decay;      // (U4)
    dz[1] = dx * c_decay;         // (U5)
    return dx;
  }

  HWY_INLINE void hold(VF* z, VF x) const { z[1] = z[1] * c_decay + x; }  // (L17)
  HWY_INLINE VF hold_adjoint(VF* dz) const {
    const VF dx = dz[1];
    dz[1] = dx * c_decay;
    return dx;
  }
};

NeuronKernels<ops::CUBALIF> cuba_lif_kernels() { return kernels_of<CUBALIFNeuron, ops::CUBALIF>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(cuba_lif_kernels);
template <>
NeuronKernels<ops::CUBALIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(cuba_lif_kernels)();
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

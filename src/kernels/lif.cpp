// A kernel unit has four parts: (1) this file's name, for the inclusion once per target; (2) the kernels,
// inside HWY_NAMESPACE; (3) under HWY_ONCE, the table of their versions; (4) plain functions that pick one as
// the program runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

template <bool kDecayInput>
struct LIFNeuron {
  NeuronReset reset;
  float dh_dx, dh_dv;
  VF inv_tau, v_rest;

  explicit LIFNeuron(const LIFKernel& k)
      : reset(k.reset),
        dh_dx(k.dh_dx),
        dh_dv(k.dh_dv),
        inv_tau(hn::Set(F32(), k.inv_tau)),
        v_rest(hn::Set(F32(), k.reset.v_rest)) {}

  HWY_INLINE VF charge(VF v, VF x) const {
    const VF leak = hn::Sub(v, v_rest);
    if constexpr (kDecayInput) return hn::MulAdd(hn::Sub(x, leak), inv_tau, v);  // (L1)
    return hn::Add(hn::NegMulAdd(leak, inv_tau, v), x);                          // (L2)
  }
};

/// Calls body with the neuron in its compile-time form.
template <class Body>
HWY_INLINE void with_lif(const LIFKernel& k, const Body& body) {
  if (k.decay_input) {
    body(LIFNeuron<true>(k));
  } else {
    body(LIFNeuron<false>(k));
  }
}

void lif_forward(std::uint64_t* s, const float* x, const LIFKernel& k, const NeuronShape& shape) {
  with_lif(k, [&](const auto& neuron) { neuron_forward(s, x, neuron, shape); });
}

void lif_backward(float* dx, const float* ds, const float* x, const LIFKernel& k, const Surrogate& surrogate,
                  const NeuronShape& shape, float* scratch) {
  with_lif(k, [&](const auto& neuron) {
    with_derivative(surrogate, [&](const auto& g) { neuron_backward(dx, ds, x, neuron, g, shape, scratch); });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(lif_forward);
HWY_EXPORT(lif_backward);

void lif_forward(std::uint64_t* s, const float* x, const LIFKernel& neuron, const NeuronShape& shape) {
  HWY_DYNAMIC_DISPATCH(lif_forward)(s, x, neuron, shape);
}

void lif_backward(float* dx, const float* ds, const float* x, const LIFKernel& neuron,
                  const Surrogate& surrogate, const NeuronShape& shape, float* scratch) {
  HWY_DYNAMIC_DISPATCH(lif_backward)(dx, ds, x, neuron, surrogate, shape, scratch);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

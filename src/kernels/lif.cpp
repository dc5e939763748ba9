// IF, LIF and PLIF. A kernel unit has four parts: (1) this file's name, for the inclusion once per target;
// (2) the kernels, inside HWY_NAMESPACE; (3) under HWY_ONCE, the table of their versions; (4) plain functions
// that pick one as the program runs.
#include <numeric>

#include "kernels/block_tree.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lif.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/leaky_charge-inl.h"
#include "kernels/neuron-inl.h"
#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

using Taken = ops::Leak::Taken;

template <Taken kTaken>
struct LIFNeuron : FiresAtThreshold {
  VF inv_tau, dh_dx, dh_dv, leaks;

  LIFNeuron(const Firing& firing, const ops::Leak& leak)
      : FiresAtThreshold(firing),
        inv_tau(hn::Set(F32(), leak.inv_tau)),
        dh_dx(hn::Set(F32(), leak.dh_dx)),
        dh_dv(hn::Set(F32(), leak.dh_dv)),
        leaks(mask_of(leak.inv_tau != 0)) {}

  HWY_INLINE void charge(VF* z, VF x) const {
    if constexpr (kTaken == Taken::by_tau_charge) {
      z[0] = leaky_charge_with(dh_dx, z[0], x, v_rest, inv_tau);
    } else {
      z[0] = leaky_charge<kTaken == Taken::decayed>(z[0], x, v_rest, inv_tau, leaks);
    }
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF*, const VF*, const VF*, VF) const {
    const VF dx = hn::Mul(dz[0], dh_dx);  // (L9)
    dz[0] = hn::Mul(dz[0], dh_dv);        // (L10)
    return dx;
  }
};

/// LIF whose numbers are parameters: w, of which 1 / tau is the sigmoid, and the threshold.
template <Taken kTaken>
struct PLIFNeuron : LIFNeuron<kTaken> {
  using LIF = LIFNeuron<kTaken>;
  static constexpr std::size_t kParameters = 2;
  static constexpr bool kPerFeature = true;

  const ops::PLIF* numbers;
  const NeuronParameters* parameters;
  VF dinv_tau_dw;

  PLIFNeuron(const ops::PLIF& o, const NeuronParameters& p)
      : LIF(o.firing, o.leak), numbers(&o), parameters(&p), dinv_tau_dw(hn::Zero(F32())) {
    if (!p.per_feature) take(0, kLanes);
  }

  HWY_INLINE PLIFNeuron at(std::size_t f, std::size_t lanes) const {
    PLIFNeuron n = *this;
    if (parameters->per_feature) n.take(f, lanes);
    return n;
  }

  /// The numbers of the features from f on.
  HWY_INLINE void take(std::size_t f, std::size_t lanes) {
    const SigmoidAt w(parameter_at(parameters->value[0], parameters->per_feature, f, lanes));
    this->inv_tau = w.value;  // (L11)
    dinv_tau_dw = w.slope;
    this->dh_dv = w.complement;
    if constexpr (kTaken == Taken::decayed) this->dh_dx = this->inv_tau;
    if (parameters->value[1] == nullptr) return;
    this->v_threshold = parameter_at(parameters->value[1], parameters->per_feature, f, lanes);
    this->fire_from = numbers->firing.strict ? next_after(this->v_threshold) : this->v_threshold;
    if (!numbers->firing.hard()) this->c = hn::Neg(this->v_threshold);
  }

  static VF next_after(VF v) {
    HWY_ALIGN float lanes[kLanes];
    hn::Store(v, F32(), lanes);
    for (float& lane : lanes) lane = std::nextafter(lane, std::numeric_limits<float>::infinity());
    return hn::Load(F32(), lanes);
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {
    // (L13): the threshold acts as -h does at the step, and by itself in a soft reset.
    const VF by_reset = hn::And(this->attached, hn::Mul(dz[0], this->by_spike(z)));
    dp[1] = fused(hn::Neg(hn::Add(ds, by_reset)), g, dp[1]);
    dp[1] = hn::Sub(dp[1], hn::AndNot(this->hard, hn::Mul(this->spike(fired), dz[0])));
    LIF::fire_adjoint(dz, dp, z, fired, g, ds);
  }

  HWY_INLINE VF charge_adjoint(VF* dz, VF* dp, const VF* before, const VF* z, VF x) const {
    const VF leak = hn::Sub(before[0], this->v_rest);
    VF dh_dinv_tau = hn::Neg(leak);
    if constexpr (kTaken == Taken::decayed) dh_dinv_tau = hn::Sub(x, leak);
    dp[0] = fused(hn::Mul(dz[0], dh_dinv_tau), dinv_tau_dw, dp[0]);  // (L12)
    return LIF::charge_adjoint(dz, dp, before, z, x);
  }
};

/// The neuron of numbers, in one of its compile-time forms.
template <Taken kTaken>
LIFNeuron<kTaken> neuron_for(const ops::LIF& o, const NeuronParameters&) {
  return LIFNeuron<kTaken>(o.firing, o.leak);
}
template <Taken kTaken>
PLIFNeuron<kTaken> neuron_for(const ops::PLIF& o, const NeuronParameters& p) {
  return PLIFNeuron<kTaken>(o, p);
}

/// Calls body with the neuron in its compile-time form. With a refractory period (L2) is (L14) with a gain of
/// 1, the same bits, but for IF: what does not leak must not multiply an infinite potential by 0.
template <class Numbers, class Body>
HWY_INLINE void with_neuron(const Numbers& o, const NeuronParameters& p, const Body& body) {
  const Taken taken = o.leak.taken;
  const std::size_t refractory = o.firing.refractory;
  if (refractory > 0) {
    if (taken == Taken::decayed) return body(Refractory(neuron_for<Taken::decayed>(o, p), refractory));
    if constexpr (std::is_same_v<Numbers, ops::LIF>) {
      if (o.leak.inv_tau == 0) return body(Refractory(neuron_for<Taken::whole>(o, p), refractory));
    }
    return body(Refractory(neuron_for<Taken::by_tau_charge>(o, p), refractory));
  }
  switch (taken) {
    case Taken::decayed: return body(neuron_for<Taken::decayed>(o, p));
    case Taken::by_tau_charge: return body(neuron_for<Taken::by_tau_charge>(o, p));
    case Taken::whole: return body(neuron_for<Taken::whole>(o, p));
  }
}

/// Whether the surrogates that are used most are compiled in.
template <class Neuron>
constexpr bool kHasOwnSurrogates = false;
template <>
constexpr bool kHasOwnSurrogates<LIFNeuron<Taken::decayed>> = true;
template <>
constexpr bool kHasOwnSurrogates<LIFNeuron<Taken::whole>> = true;

template <class Numbers>
void forward_any(std::uint64_t* s, const float* x, const Numbers& o, const NeuronParameters& p,
                 const NeuronShape& shape, const NeuronCarry& carry) {
  with_neuron(o, p, [&](const auto& neuron) { forward(s, x, neuron, shape, carry); });
}

/// The two surrogates that are used most are compiled into IF and LIF without other options; the rest goes by
/// tile (docs/decisions/neurons.md).
template <class Numbers>
void backward_any(const NeuronGradients& out, const float* ds, const float* x, const Numbers& o,
                  const ops::Surrogate& surrogate, const NeuronParameters& p, const NeuronShape& shape,
                  const NeuronCarry& carry, float* scratch) {
  with_neuron(o, p, [&]<class Neuron>(const Neuron& neuron) {
    if constexpr (kHasOwnSurrogates<Neuron>) {
      if (const auto* f = std::get_if<ops::ATan>(&surrogate)) {
        return backward(out, ds, x, neuron, ATanDerivative(*f), shape, carry, scratch);
      }
      if (const auto* f = std::get_if<ops::Sigmoid>(&surrogate)) {
        return backward(out, ds, x, neuron, SigmoidDerivative(*f), shape, carry, scratch);
      }
    }
    backward(out, ds, x, neuron, TileDerivative{surrogate}, shape, carry, scratch);
  });
}

template <class Numbers>
void trace_any(const NeuronPotentials& out, const float* x, const Numbers& o, const NeuronParameters& p,
               const NeuronShape& shape, const NeuronCarry& carry) {
  with_neuron(o, p, [&](const auto& neuron) { trace(out, x, neuron, shape, carry); });
}

template <class Numbers>
NeuronKernels<Numbers> kernels_any() {
  return {forward_any<Numbers>, backward_any<Numbers>, trace_any<Numbers>};
}
NeuronKernels<ops::LIF> lif_kernels() { return kernels_any<ops::LIF>(); }
NeuronKernels<ops::PLIF> plif_kernels() { return kernels_any<ops::PLIF>(); }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(lif_kernels);
template <>
NeuronKernels<ops::LIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(lif_kernels)();
}

HWY_EXPORT(plif_kernels);
template <>
NeuronKernels<ops::PLIF> neuron_kernels() {
  return HWY_DYNAMIC_DISPATCH(plif_kernels)();
}

void add_neuron_gradient(float* gradient, const float* partial, std::size_t samples, std::size_t rows,
                         std::size_t F, bool per_feature) {
  const std::size_t size = per_feature ? F : 1;
  Scratch<double> block(F);
  Scratch<float> memory(BlockTree<float>::memory(size, samples));
  BlockTree<float> tree(memory.data(), size, samples);
  for_each_block(samples, [&](std::size_t first, std::size_t count) {
    block.zero();
    for (std::size_t row = first * rows; row < (first + count) * rows; ++row) {
      for (std::size_t f = 0; f < F; ++f) block[f] += static_cast<double>(partial[row * F + f]);
    }
    if (!per_feature) block[0] = std::accumulate(block.data(), block.data() + F, 0.0);
    for (std::size_t i = 0; i < size; ++i) tree.sums()[i] = static_cast<float>(block[i]);
    tree.close_block();
  });
  add_to(gradient, tree.root(), size);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

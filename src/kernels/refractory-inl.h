// A refractory period around any neuron of kernels/neuron-inl.h; twin of spec/refractory.hpp.
#if defined(VOLLEY_KERNELS_REFRACTORY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_REFRACTORY_INL_H_
#undef VOLLEY_KERNELS_REFRACTORY_INL_H_
#else
#define VOLLEY_KERNELS_REFRACTORY_INL_H_
#endif

#include <cstddef>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// A neuron of another type than without the period, so that the loops of the latter are what they were. Its
/// last state is the number of steps that it is still held for. Lanes that are held and lanes that are not
/// are computed both ways, and selected. Equation numbers are those of docs/math/refractory.md.
template <class Neuron>
struct Refractory : Neuron {
  static constexpr std::size_t kCount = Neuron::kStates;
  static constexpr std::size_t kStates = kCount + 1;
  static constexpr std::size_t kParameters = Neuron::kParameters;

  VF steps;

  Refractory(const Neuron& neuron, std::size_t refractory)
      : Refractory(neuron, hn::Set(F32(), static_cast<float>(refractory))) {}
  Refractory(const Neuron& neuron, VF count) : Neuron(neuron), steps(count) {}

  HWY_INLINE Refractory at(std::size_t f, std::size_t lanes) const {
    return Refractory(Neuron::at(f, lanes), steps);
  }

  static HWY_INLINE MF held(const VF* z) { return hn::Gt(z[kCount], hn::Zero(F32())); }

  HWY_INLINE void start(VF* z) const {
    Neuron::start(z);
    z[kCount] = hn::Zero(F32());
  }
  HWY_INLINE void charge(VF* z, VF x) const {  // (L15)
    VF kept[kCount];
    copy(z, kCount, kept);
    Neuron::hold(kept, x);
    Neuron::charge(z, x);
    select(held(z), kept, z);
  }
  HWY_INLINE MF fired(const VF* z) const { return hn::AndNot(held(z), Neuron::fired(z)); }
  HWY_INLINE void reset(VF* z, MF fired) const {  // (L16)
    VF kept[kCount];
    copy(z, kCount, kept);
    Neuron::reset(z, fired);
    select(held(z), kept, z);
    const VF less = hn::Sub(z[kCount], hn::Set(F32(), 1.0f));
    z[kCount] = hn::IfThenElse(fired, steps, hn::Max(less, hn::Zero(F32())));
  }

  HWY_INLINE void fire_adjoint(VF* dz, VF* dp, const VF* z, MF fired, VF g, VF ds) const {  // (L20)
    VF kept[kCount], kept_p[kParameters + 1];
    copy(dz, kCount, kept);
    copy(dp, kParameters, kept_p);
    Neuron::fire_adjoint(dz, dp, z, fired, g, ds);
    select(held(z), kept, dz);
    select_parameters(held(z), kept_p, dp);
  }
  HWY_INLINE VF charge_adjoint(VF* dz, VF* dp, const VF* before, const VF* z, VF x) const {  // (L21)
    VF kept[kCount], kept_p[kParameters + 1];
    copy(dz, kCount, kept);
    copy(dp, kParameters, kept_p);
    const VF held_dx = Neuron::hold_adjoint(kept);
    const VF dx = Neuron::charge_adjoint(dz, dp, before, z, x);
    select(held(z), kept, dz);
    select_parameters(held(z), kept_p, dp);
    return hn::IfThenElse(held(z), held_dx, dx);
  }

 private:
  static HWY_INLINE void copy(const VF* from, std::size_t count, VF* to) {
    for (std::size_t k = 0; k < count; ++k) to[k] = from[k];
  }
  /// Puts `kept` into the lanes of z that are held.
  static HWY_INLINE void select(MF held, const VF* kept, VF* z) {
    for (std::size_t k = 0; k < kCount; ++k) z[k] = hn::IfThenElse(held, kept[k], z[k]);
  }
  static HWY_INLINE void select_parameters(MF held, const VF* kept, VF* dp) {
    for (std::size_t k = 0; k < kParameters; ++k) dp[k] = hn::IfThenElse(held, kept[k], dp[k]);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

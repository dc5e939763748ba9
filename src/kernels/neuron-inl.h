// The time loops that every neuron shares. A neuron is a struct with
//
//   kStates                                what goes from step to step; z[0] is the potential
//   kParameters                            how many numbers are trained
//   start(z)                               z before the first step
//   charge(z, x)                           z after charge, (v, ...) -> (h, ...)
//   above(z), fired(z)                     how far h is above the threshold; where it fires
//   reset(z, fired)                        z after the step
//   hold(z, x)                             z after a step of a refractory period
//
// and their adjoints, from the end of a step to its beginning. dz is the gradient of z, dp of the parameters:
//
//   fire_adjoint(dz, dp, z, fired, g, ds)         from after the step to after charge; g: surrogate's
//   derivative charge_adjoint(dz, dp, before, z, x) -> dx    from after charge to before the step
//   hold_adjoint(dz) -> dx                        of hold
//
// All of them have the bits of spec/neuron.hpp, NaN and infinity included. So a spike is multiplied by
// where the equations do (0 times infinity is NaN), and what a detached reset leaves out is masked and not
// multiplied by 0.
//
// Most take all but charge and charge_adjoint from FiresAtThreshold. A neuron whose numbers differ from
// feature to feature has kPerFeature, and at(f, lanes), which is the neuron of these lanes.
//
// Lanes are neurons. Several independent slices of lanes run side by side, so that one does not wait for
// another's arithmetic; they are taken from samples, positions and features alike, so that ten neurons of
// many samples fill them too.
#if defined(VOLLEY_KERNELS_NEURON_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_NEURON_INL_H_
#undef VOLLEY_KERNELS_NEURON_INL_H_
#else
#define VOLLEY_KERNELS_NEURON_INL_H_
#endif

#include <algorithm>
#include <bit>

#include "kernels/exp_log-inl.h"
#include "kernels/neuron.hpp"
#include "kernels/refractory-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/surrogate.hpp"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

static_assert(std::endian::native == std::endian::little, "spike words are written by the byte");

static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);

constexpr std::size_t kSlices = 4;  // slices that run side by side

/// What most neurons do at the threshold.
struct FiresAtThreshold {
  static constexpr std::size_t kStates = 1;
  static constexpr std::size_t kParameters = 0;
  static constexpr bool kPerFeature = false;

  VF v_threshold, fire_from, kappa, c, v_rest, v_start;
  VF hard, attached;  // masks: all bits set where the reset is hard; where it is not detached

  explicit FiresAtThreshold(const Firing& r)
      : v_threshold(hn::Set(F32(), r.v_threshold)),
        fire_from(hn::Set(F32(), r.fire_from)),
        kappa(hn::Set(F32(), r.kappa)),
        c(hn::Set(F32(), r.c)),
        v_rest(hn::Set(F32(), r.v_rest)),
        v_start(hn::Set(F32(), r.v_start)),
        hard(mask_of(r.hard())),
        attached(mask_of(!r.detached)) {}

  static HWY_INLINE VF mask_of(bool on) {
    return hn::BitCast(F32(), hn::Set(hn::ScalableTag<std::int32_t>(), on ? -1 : 0));
  }
  /// s, or 1 - s, of which products are taken.
  static HWY_INLINE VF spike(MF fired) { return hn::IfThenElseZero(fired, hn::Set(F32(), 1.0f)); }
  static HWY_INLINE VF silence(MF fired) { return hn::IfThenZeroElse(fired, hn::Set(F32(), 1.0f)); }

  HWY_INLINE void start(VF* z) const { z[0] = v_start; }
  HWY_INLINE VF above(const VF* z) const { return hn::Sub(z[0], v_threshold); }
  HWY_INLINE MF fired(const VF* z) const { return hn::Ge(z[0], fire_from); }  // (L3)
  HWY_INLINE void reset(VF* z, MF fired) const {                              // (L6)
    z[0] = hn::IfThenElse(fired, fused(kappa, z[0], c), z[0]);
  }

  /// How v changes with the spike.
  HWY_INLINE VF by_spike(const VF* z) const { return hn::Sub(c, hn::And(hard, z[0])); }
  HWY_INLINE void fire_adjoint(VF* dz, VF*, const VF* z, MF fired, VF g, VF ds) const {
    const VF kept = hn::IfThenElse(fired, kappa, hn::Set(F32(), 1.0f));
    const VF dv_dh = hn::Add(kept, hn::And(attached, hn::Mul(by_spike(z), g)));  // (L7)
    dz[0] = fused(dz[0], dv_dh, hn::Mul(ds, g));                                 // (L8)
  }

  HWY_INLINE void hold(VF*, VF) const {}
  HWY_INLINE VF hold_adjoint(VF*) const { return hn::Zero(F32()); }
};

/// Where a vector's worth of neighbouring features of one sample and position lies, at step 0.
struct Slice {
  std::size_t values;   // in arrays (N, T, P, F)
  std::size_t current;  // in arrays (N, T or 1, P, F)
  std::size_t bits;     // counted in bits from the words' start
  std::size_t neuron;   // in arrays (N, P, F)
  std::size_t feature;
  std::size_t lanes;  // features in it
};

inline std::size_t slices_of(const NeuronShape& shape) {
  return shape.N * shape.P * ((shape.F + kLanes - 1) / kLanes);
}

/// The slice number j of a pass: samples outermost, then positions, then features.
HWY_INLINE Slice slice_at(std::size_t j, const NeuronShape& shape) {
  const std::size_t per_row = (shape.F + kLanes - 1) / kLanes;
  const std::size_t row = j / per_row;
  const std::size_t f = (j % per_row) * kLanes;
  const std::size_t n = shape.P == 1 ? row : row / shape.P;
  const std::size_t p = row - n * shape.P;
  const std::size_t place = n * shape.T * shape.P + p;
  return {.values = place * shape.F + f,
          .current = (n * shape.current_steps() * shape.P + p) * shape.F + f,
          .bits = place * shape.row_words * 64 + f,
          .neuron = row * shape.F + f,
          .feature = f,
          .lanes = HWY_MIN(kLanes, shape.F - f)};
}

template <bool kFull>
HWY_INLINE VF load_slice(const float* p, std::size_t lanes) {
  if constexpr (kFull) return hn::LoadU(F32(), p);
  return load_first(p, lanes);
}
template <bool kFull>
HWY_INLINE void store_slice(VF v, float* p, std::size_t lanes) {
  if constexpr (kFull) {
    hn::StoreU(v, F32(), p);
  } else {
    store_first(v, p, lanes);
  }
}

/// Writes the spikes of one slice at one step. Slices of 4 lanes come in ascending order, two to a byte.
HWY_INLINE void store_spikes(std::uint8_t* words, std::size_t bit, std::uint32_t spikes) {
  if constexpr (kLanes == 16) {
    const std::uint16_t two = static_cast<std::uint16_t>(spikes);
    std::memcpy(words + bit / 8, &two, sizeof two);
  } else if constexpr (kLanes == 8) {
    words[bit / 8] = static_cast<std::uint8_t>(spikes);
  } else {
    words[bit / 8] = static_cast<std::uint8_t>(words[bit / 8] | spikes << bit % 8);
  }
}

/// A parameter in the lanes of features from f on.
HWY_INLINE VF parameter_at(const float* value, bool per_feature, std::size_t f, std::size_t lanes) {
  return per_feature ? load_first(value + f, lanes) : hn::Set(F32(), *value);
}

/// The neurons of kCount slices: one that all share, or one for each. Copies, so that the compiler sees that
/// no store changes them.
template <class Neuron, std::size_t kCount, bool kPerFeature = Neuron::kPerFeature>
struct NeuronsOf {
  Neuron neuron;
  NeuronsOf(const Neuron& n, const Slice*) : neuron(n) {}
  HWY_INLINE const Neuron& operator[](std::size_t) const { return neuron; }
};
template <class Neuron>
struct NeuronsOf<Neuron, 1, true> {
  Neuron neuron;
  NeuronsOf(const Neuron& n, const Slice* s) : neuron(n.at(s->feature, s->lanes)) {}
  HWY_INLINE const Neuron& operator[](std::size_t) const { return neuron; }
};
template <class Neuron>
struct NeuronsOf<Neuron, kSlices, true> {
  static_assert(kSlices == 4);
  Neuron neurons[kSlices];
  NeuronsOf(const Neuron& n, const Slice* s)
      : neurons{n.at(s[0].feature, s[0].lanes), n.at(s[1].feature, s[1].lanes),
                n.at(s[2].feature, s[2].lanes), n.at(s[3].feature, s[3].lanes)} {}
  HWY_INLINE const Neuron& operator[](std::size_t i) const { return neurons[i]; }
};

/// The pass as the loops take it: positions whose features fill whole words lie as one row of features does.
template <class Neuron>
HWY_INLINE NeuronShape rows_of(const Neuron& neuron, const NeuronShape& shape) {
  if constexpr (Neuron::kPerFeature) {
    if (neuron.parameters->per_feature) return shape;
  }
  if (shape.F % 64 != 0) return shape;
  return {.N = shape.N,
          .T = shape.T,
          .P = 1,
          .F = shape.P * shape.F,
          .row_words = shape.P * shape.row_words,
          .constant = shape.constant};
}

/// Asks for what the next kCount slices read at a step: steps are far apart, and the processor foresees
/// neighbours.
template <std::size_t kCount>
HWY_INLINE void prefetch_next(const float* slices) {
  constexpr std::size_t kLine = 16;
  for (std::size_t i = 0; i < kCount * kLanes; i += kLine) __builtin_prefetch(slices + kCount * kLanes + i);
}

/// z of a slice before the first step.
template <bool kFull, class Neuron>
HWY_INLINE void begin_slice(VF* z, const Neuron& neuron, const NeuronCarry& carry, const Slice& slice) {
  if (carry.before[0] == nullptr) return neuron.start(z);
  for (std::size_t k = 0; k < Neuron::kStates; ++k) {
    z[k] = load_slice<kFull>(carry.before[k] + slice.neuron, slice.lanes);
  }
}

template <std::size_t kCount, bool kFull, class Neuron>
HWY_INLINE void forward_slices(std::uint64_t* s, const float* x, const Neuron& neuron,
                               const NeuronShape& shape, const NeuronCarry& carry, std::size_t first) {
  const F32 d;
  std::uint8_t* bytes = reinterpret_cast<std::uint8_t*>(s);
  const std::size_t T = shape.T;
  const std::size_t step = shape.P * shape.F;
  const std::size_t current_step = shape.constant ? 0 : step;
  const std::size_t bits_step = shape.P * shape.row_words * 64;
  Slice slice[kCount];
  VF z[kCount][Neuron::kStates];
  MF live[kCount];
  for (std::size_t i = 0; i < kCount; ++i) slice[i] = slice_at(first + i, shape);
  const NeuronsOf<Neuron, kCount> neurons(neuron, slice);
  for (std::size_t i = 0; i < kCount; ++i) {
    begin_slice<kFull>(z[i], neurons[i], carry, slice[i]);
    live[i] = hn::FirstN(d, slice[i].lanes);
  }
  for (std::size_t t = 0; t < T; ++t) {
    prefetch_next<kCount>(x + slice[0].current + t * current_step);
    for (std::size_t i = 0; i < kCount; ++i) {
      neurons[i].charge(z[i], load_slice<kFull>(x + slice[i].current + t * current_step, slice[i].lanes));
      MF fired = neurons[i].fired(z[i]);
      if constexpr (!kFull) fired = hn::And(fired, live[i]);
      neurons[i].reset(z[i], fired);
      store_spikes(bytes, slice[i].bits + t * bits_step, bits_from_mask(fired));
    }
  }
  if (carry.after[0] == nullptr) return;
  for (std::size_t i = 0; i < kCount; ++i) {
    for (std::size_t k = 0; k < Neuron::kStates; ++k) {
      store_slice<kFull>(z[i][k], carry.after[k] + slice[i].neuron, slice[i].lanes);
    }
  }
}

/// Spikes s (N, T, P, words) in step order, padding bits 0, from currents x (N, T or 1, P, F).
template <class Neuron>
HWY_NOINLINE void forward(std::uint64_t* s, const float* x, const Neuron& neuron, const NeuronShape& given,
                          const NeuronCarry& carry) {
  const NeuronShape shape = rows_of(neuron, given);
  std::memset(s, 0, shape.N * shape.T * shape.P * shape.row_words * sizeof *s);
  const std::size_t slices = slices_of(shape);
  std::size_t j = 0;
  if (shape.F % kLanes == 0) {
    for (; j + kSlices <= slices; j += kSlices) forward_slices<kSlices, true>(s, x, neuron, shape, carry, j);
    for (; j < slices; ++j) forward_slices<1, true>(s, x, neuron, shape, carry, j);
  } else {
    for (; j + kSlices <= slices; j += kSlices) forward_slices<kSlices, false>(s, x, neuron, shape, carry, j);
    for (; j < slices; ++j) forward_slices<1, false>(s, x, neuron, shape, carry, j);
  }
}

/// A surrogate whose derivatives are written for a whole tile at once, by a function that no neuron is
/// compiled into: what most pairs of neuron and surrogate do (docs/decisions/neurons.md).
struct TileDerivative {
  const ops::Surrogate& surrogate;
};
template <class Derivative>
inline constexpr bool kByTile = std::is_same_v<Derivative, TileDerivative>;

/// Everything a backward works on.
struct BackwardArrays {
  NeuronGradients out;
  NeuronCarry carry;
  const float* ds;
  const float* x;
  float* HWY_RESTRICT z;  // of scratch: (T, slices, states) vectors after charge
  float* HWY_RESTRICT u;  // (T, slices) vectors: how far above the threshold; by tile only
  float* HWY_RESTRICT g;  // (T, slices) vectors: the derivative there; by tile only
};

/// Forward again, to have z after charge at all steps, and by tile the derivatives.
template <std::size_t kCount, bool kFull, class Neuron, class Derivative>
HWY_INLINE void recompute(const BackwardArrays& a, const NeuronsOf<Neuron, kCount>& neurons,
                          const Slice* slice, const Derivative& derivative, const NeuronShape& shape) {
  const F32 d;
  constexpr std::size_t kStates = Neuron::kStates;
  const std::size_t T = shape.T;
  const std::size_t current_step = shape.constant ? 0 : shape.P * shape.F;
  VF z[kCount][kStates];
  for (std::size_t i = 0; i < kCount; ++i) begin_slice<kFull>(z[i], neurons[i], a.carry, slice[i]);
  for (std::size_t t = 0; t < T; ++t) {
    prefetch_next<kCount>(a.x + slice[0].current + t * current_step);
    prefetch_next<kCount>(a.ds + slice[0].values + t * shape.P * shape.F);
    for (std::size_t i = 0; i < kCount; ++i) {
      neurons[i].charge(z[i], load_slice<kFull>(a.x + slice[i].current + t * current_step, slice[i].lanes));
      for (std::size_t k = 0; k < kStates; ++k) {
        hn::Store(z[i][k], d, a.z + ((t * kCount + i) * kStates + k) * kLanes);
      }
      if constexpr (kByTile<Derivative>) {
        hn::Store(neurons[i].above(z[i]), d, a.u + (t * kCount + i) * kLanes);
      }
      neurons[i].reset(z[i], neurons[i].fired(z[i]));
    }
  }
  if constexpr (kByTile<Derivative>) {
    surrogate_derivatives(a.g, a.u, T * kCount * kLanes, derivative.surrogate);
  }
}

template <std::size_t kCount, bool kFull, class Neuron, class Derivative>
HWY_INLINE void backward_slices(const BackwardArrays a, const Neuron& neuron, const Derivative derivative,
                                const NeuronShape shape, std::size_t first) {
  const F32 d;
  constexpr std::size_t kStates = Neuron::kStates;
  constexpr std::size_t kParameters = Neuron::kParameters;
  const std::size_t step = shape.P * shape.F;
  Slice slice[kCount];
  for (std::size_t i = 0; i < kCount; ++i) slice[i] = slice_at(first + i, shape);
  const NeuronsOf<Neuron, kCount> neurons(neuron, slice);
  recompute<kCount, kFull>(a, neurons, slice, derivative, shape);
  VF dz[kCount][kStates], dp[kCount][kParameters + 1], sum[kCount];
  for (std::size_t i = 0; i < kCount; ++i) {
    sum[i] = hn::Zero(d);
    for (std::size_t k = 0; k < kStates; ++k) {
      dz[i][k] = a.out.state[0] == nullptr
                     ? hn::Zero(d)
                     : load_slice<kFull>(a.out.state[k] + slice[i].neuron, slice[i].lanes);
    }
    for (std::size_t k = 0; k < kParameters; ++k) {
      const bool adds = a.out.add_parameters && a.out.parameter[k] != nullptr;
      dp[i][k] = adds ? load_slice<kFull>(a.out.parameter[k] + slice[i].neuron, slice[i].lanes) : hn::Zero(d);
    }
  }
  for (std::size_t t = shape.T; t-- > 0;) {
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::size_t tile = t * kCount + i;
      VF z[kStates], before[kStates];
      for (std::size_t k = 0; k < kStates; ++k) z[k] = hn::Load(d, a.z + (tile * kStates + k) * kLanes);
      VF g;
      if constexpr (kByTile<Derivative>) {
        g = hn::Load(d, a.g + tile * kLanes);
      } else {
        g = derivative(neurons[i].above(z));
      }
      const VF ds = load_slice<kFull>(a.ds + slice[i].values + t * step, slice[i].lanes);
      neurons[i].fire_adjoint(dz[i], dp[i], z, neurons[i].fired(z), g, ds);
      if (t > 0) {
        for (std::size_t k = 0; k < kStates; ++k) {
          before[k] = hn::Load(d, a.z + ((tile - kCount) * kStates + k) * kLanes);
        }
        neurons[i].reset(before, neurons[i].fired(before));
      } else {
        begin_slice<kFull>(before, neurons[i], a.carry, slice[i]);
      }
      const std::size_t current = slice[i].current + (shape.constant ? 0 : t * step);
      const VF x = load_slice<kFull>(a.x + current, slice[i].lanes);
      const VF dx = neurons[i].charge_adjoint(dz[i], dp[i], before, z, x);
      if (shape.constant) {
        sum[i] = hn::Add(sum[i], dx);
      } else {
        store_slice<kFull>(dx, a.out.dx + current, slice[i].lanes);
      }
    }
  }
  for (std::size_t i = 0; i < kCount; ++i) {
    for (std::size_t k = 0; k < kStates && a.out.state[0] != nullptr; ++k) {
      store_slice<kFull>(dz[i][k], a.out.state[k] + slice[i].neuron, slice[i].lanes);
    }
    if (shape.constant) store_slice<kFull>(sum[i], a.out.dx + slice[i].current, slice[i].lanes);
    for (std::size_t k = 0; k < kParameters; ++k) {
      if (a.out.parameter[k] != nullptr) {
        store_slice<kFull>(dp[i][k], a.out.parameter[k] + slice[i].neuron, slice[i].lanes);
      }
    }
  }
}

/// The gradients from ds (N, T, P, F) and the currents. `scratch` has
/// neuron_scratch_size(T, refractory) floats.
template <class Neuron, class Derivative>
HWY_NOINLINE void backward(const NeuronGradients& out, const float* ds, const float* x, const Neuron& neuron,
                           const Derivative& derivative, const NeuronShape& given, const NeuronCarry& carry,
                           float* scratch) {
  const NeuronShape shape = rows_of(neuron, given);
  constexpr std::size_t kStates = Neuron::kStates > 2 ? 3 : 2;
  static_assert(kStates <= kMaxNeuronStates);
  static_assert(Neuron::kStates <= kStates && Neuron::kParameters <= kMaxNeuronParameters);
  const std::size_t tile = shape.T * kSlices * kLanes;
  const BackwardArrays a{
      out, carry, ds, x, scratch, scratch + kStates * tile, scratch + (kStates + 1) * tile};
  const std::size_t slices = slices_of(shape);
  std::size_t j = 0;
  if (shape.F % kLanes == 0) {
    for (; j + kSlices <= slices; j += kSlices) {
      backward_slices<kSlices, true>(a, neuron, derivative, shape, j);
    }
    for (; j < slices; ++j) backward_slices<1, true>(a, neuron, derivative, shape, j);
  } else {
    for (; j + kSlices <= slices; j += kSlices) {
      backward_slices<kSlices, false>(a, neuron, derivative, shape, j);
    }
    for (; j < slices; ++j) backward_slices<1, false>(a, neuron, derivative, shape, j);
  }
}

/// What the neurons did, slice by slice.
template <class Neuron>
HWY_NOINLINE void trace(const NeuronPotentials& out, const float* x, const Neuron& neuron,
                        const NeuronShape& shape, const NeuronCarry& carry) {
  const std::size_t step = shape.P * shape.F;
  for (std::size_t j = 0; j < slices_of(shape); ++j) {
    const Slice slice = slice_at(j, shape);
    const NeuronsOf<Neuron, 1> neurons(neuron, &slice);
    VF z[Neuron::kStates];
    begin_slice<false>(z, neurons[0], carry, slice);
    for (std::size_t t = 0; t < shape.T; ++t) {
      const std::size_t at = slice.values + t * step;
      neurons[0].charge(z, load_first(x + slice.current + (shape.constant ? 0 : t * step), slice.lanes));
      store_first(z[0], out.h + at, slice.lanes);
      store_first(hn::Sub(z[0], neurons[0].above(z)), out.threshold + at, slice.lanes);
      neurons[0].reset(z, neurons[0].fired(z));
      store_first(z[0], out.v + at, slice.lanes);
    }
  }
}

/// The neuron that numbers and parameters describe.
template <class Neuron, class Numbers>
HWY_INLINE Neuron neuron_from(const Numbers& numbers, const NeuronParameters& p) {
  if constexpr (std::is_constructible_v<Neuron, const Numbers&, const NeuronParameters&>) {
    return Neuron(numbers, p);
  } else {
    return Neuron(numbers);
  }
}

template <class Neuron, class Numbers>
void forward_of(std::uint64_t* s, const float* x, const Numbers& numbers, const NeuronParameters& p,
                const NeuronShape& shape, const NeuronCarry& carry) {
  const Neuron neuron = neuron_from<Neuron>(numbers, p);
  const std::size_t refractory = numbers.firing.refractory;
  if (refractory > 0) return forward(s, x, Refractory<Neuron>(neuron, refractory), shape, carry);
  forward(s, x, neuron, shape, carry);
}
template <class Neuron, class Numbers>
void backward_of(const NeuronGradients& out, const float* ds, const float* x, const Numbers& numbers,
                 const ops::Surrogate& surrogate, const NeuronParameters& p, const NeuronShape& shape,
                 const NeuronCarry& carry, float* scratch) {
  const Neuron neuron = neuron_from<Neuron>(numbers, p);
  const TileDerivative derivative{surrogate};
  const std::size_t refractory = numbers.firing.refractory;
  if (refractory > 0) {
    return backward(out, ds, x, Refractory<Neuron>(neuron, refractory), derivative, shape, carry, scratch);
  }
  backward(out, ds, x, neuron, derivative, shape, carry, scratch);
}
template <class Neuron, class Numbers>
void trace_of(const NeuronPotentials& out, const float* x, const Numbers& numbers, const NeuronParameters& p,
              const NeuronShape& shape, const NeuronCarry& carry) {
  const Neuron neuron = neuron_from<Neuron>(numbers, p);
  const std::size_t refractory = numbers.firing.refractory;
  if (refractory > 0) return trace(out, x, Refractory<Neuron>(neuron, refractory), shape, carry);
  trace(out, x, neuron, shape, carry);
}

/// This target's kernels of a Neuron that its Numbers describe; every surrogate goes by tile.
template <class Neuron, class Numbers>
NeuronKernels<Numbers> kernels_of() {
  static_assert(Neuron::kStates == Numbers::kStates);
  return {forward_of<Neuron, Numbers>, backward_of<Neuron, Numbers>, trace_of<Neuron, Numbers>};
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

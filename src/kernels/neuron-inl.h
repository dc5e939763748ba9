// The time loops that every neuron shares. A neuron is a struct with
//   VF charge(VF v, VF x) const;           h from the potential before the step and the current
//   float dh_dx, dh_dv;                    its derivatives, constants for neurons that are linear below
//   threshold NeuronReset reset;                     what happens after a spike
// Lanes are neurons. Several independent slices of lanes run side by side, so that one does not wait for
// another's arithmetic; they are taken from samples and features alike, so that ten neurons of many samples
// fill them too.
#if defined(VOLLEY_KERNELS_NEURON_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VOLLEY_KERNELS_NEURON_INL_H_
#undef VOLLEY_KERNELS_NEURON_INL_H_
#else
#define VOLLEY_KERNELS_NEURON_INL_H_
#endif

#include <bit>

#include "kernels/neuron.hpp"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

static_assert(std::endian::native == std::endian::little, "spike words are written by the byte");

static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);

constexpr std::size_t kSlices = 4;  // slices that run side by side

/// A vector's worth of neighbouring features of one sample.
struct Slice {
  std::size_t values;  // index of its first value of step 0 in arrays (N, T, F)
  std::size_t bits;    // index of its first bit of step 0, counted in bits from the words' start
  std::size_t lanes;   // features in it
};

/// The slice number j of a pass: samples outermost, then features.
HWY_INLINE Slice slice_at(std::size_t j, const NeuronShape& shape) {
  const std::size_t per_sample = (shape.F + kLanes - 1) / kLanes;
  const std::size_t n = j / per_sample;
  const std::size_t f = (j % per_sample) * kLanes;
  return {.values = n * shape.T * shape.F + f,
          .bits = n * shape.T * shape.row_words * 64 + f,
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

/// The potential after the step.
HWY_INLINE VF after_step(VF h, MF fired, VF kappa, VF c) {
  return hn::IfThenElse(fired, hn::MulAdd(kappa, h, c), h);
}

template <std::size_t kCount, bool kFull, class Neuron>
HWY_INLINE void forward_slices(std::uint64_t* s, const float* x, const Neuron& neuron,
                               const NeuronShape& shape, std::size_t first) {
  const F32 d;
  const VF threshold = hn::Set(d, neuron.reset.v_threshold);
  const VF kappa = hn::Set(d, neuron.reset.kappa);
  const VF c = hn::Set(d, neuron.reset.c);
  std::uint8_t* bytes = reinterpret_cast<std::uint8_t*>(s);
  Slice slice[kCount];
  VF v[kCount];
  MF live[kCount];
  for (std::size_t i = 0; i < kCount; ++i) {
    slice[i] = slice_at(first + i, shape);
    v[i] = hn::Set(d, neuron.reset.v_rest);
    live[i] = hn::FirstN(d, slice[i].lanes);
  }
  for (std::size_t t = 0; t < shape.T; ++t) {
    for (std::size_t i = 0; i < kCount; ++i) {
      const VF h = neuron.charge(v[i], load_slice<kFull>(x + slice[i].values + t * shape.F, slice[i].lanes));
      MF fired = hn::Ge(h, threshold);
      if constexpr (!kFull) fired = hn::And(fired, live[i]);
      v[i] = after_step(h, fired, kappa, c);
      store_spikes(bytes, slice[i].bits + t * shape.row_words * 64, bits_from_mask(fired));
    }
  }
}

/// Spikes s (N, T, words) in step order, padding bits 0, from currents x (N, T, F).
template <class Neuron>
HWY_INLINE void neuron_forward(std::uint64_t* s, const float* x, const Neuron& neuron,
                               const NeuronShape& shape) {
  std::memset(s, 0, shape.N * shape.T * shape.row_words * sizeof *s);
  const std::size_t slices = shape.N * ((shape.F + kLanes - 1) / kLanes);
  std::size_t j = 0;
  if (shape.F % kLanes == 0) {
    for (; j + kSlices <= slices; j += kSlices) forward_slices<kSlices, true>(s, x, neuron, shape, j);
    for (; j < slices; ++j) forward_slices<1, true>(s, x, neuron, shape, j);
  } else {
    for (; j + kSlices <= slices; j += kSlices) forward_slices<kSlices, false>(s, x, neuron, shape, j);
    for (; j < slices; ++j) forward_slices<1, false>(s, x, neuron, shape, j);
  }
}

/// h is recomputed from x into `scratch` (T, kCount vectors), then time runs backward.
template <std::size_t kCount, bool kFull, class Neuron, class Derivative>
HWY_INLINE void backward_slices(float* dx, const float* ds, const float* x, const Neuron& neuron,
                                const Derivative& derivative, const NeuronShape& shape,
                                float* HWY_RESTRICT scratch, std::size_t first) {
  const F32 d;
  const VF threshold = hn::Set(d, neuron.reset.v_threshold);
  const VF kappa = hn::Set(d, neuron.reset.kappa);
  const VF c = hn::Set(d, neuron.reset.c);
  const VF one = hn::Set(d, 1.0f);
  Slice slice[kCount];
  VF v[kCount];
  for (std::size_t i = 0; i < kCount; ++i) {
    slice[i] = slice_at(first + i, shape);
    v[i] = hn::Set(d, neuron.reset.v_rest);
  }
  for (std::size_t t = 0; t < shape.T; ++t) {
    for (std::size_t i = 0; i < kCount; ++i) {
      const VF h = neuron.charge(v[i], load_slice<kFull>(x + slice[i].values + t * shape.F, slice[i].lanes));
      hn::Store(h, d, scratch + (t * kCount + i) * kLanes);
      v[i] = after_step(h, hn::Ge(h, threshold), kappa, c);
    }
  }
  const VF dh_dx = hn::Set(d, neuron.dh_dx);
  const VF dh_dv = hn::Set(d, neuron.dh_dv);
  const VF kappa_minus_1 = hn::Sub(kappa, one);
  // (L7) with the spike's part in the reset switched off where it is detached.
  const VF through_spike = hn::Set(d, neuron.reset.detached ? 0.0f : 1.0f);
  VF dv[kCount];
  for (std::size_t i = 0; i < kCount; ++i) dv[i] = hn::Zero(d);
  for (std::size_t t = shape.T; t-- > 0;) {
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::size_t at = slice[i].values + t * shape.F;
      const VF h = hn::Load(d, scratch + (t * kCount + i) * kLanes);
      const VF g = derivative(hn::Sub(h, threshold));
      const VF kept = hn::IfThenElse(hn::Ge(h, threshold), kappa, one);  // 1 - s (1 - kappa)
      const VF dv_dh = hn::MulAdd(hn::Mul(hn::MulAdd(kappa_minus_1, h, c), g), through_spike, kept);   // (L7)
      const VF dh = hn::MulAdd(dv[i], dv_dh, hn::Mul(load_slice<kFull>(ds + at, slice[i].lanes), g));  // (L8)
      store_slice<kFull>(hn::Mul(dh, dh_dx), dx + at, slice[i].lanes);                                 // (L9)
      dv[i] = hn::Mul(dh, dh_dv);  // (L10)
    }
  }
}

/// dx (N, T, F) from ds (N, T, F) and the currents x (N, T, F). `scratch` has neuron_scratch_size(T) floats.
template <class Neuron, class Derivative>
HWY_INLINE void neuron_backward(float* dx, const float* ds, const float* x, const Neuron& neuron,
                                const Derivative& derivative, const NeuronShape& shape, float* scratch) {
  const std::size_t slices = shape.N * ((shape.F + kLanes - 1) / kLanes);
  std::size_t j = 0;
  if (shape.F % kLanes == 0) {
    for (; j + kSlices <= slices; j += kSlices) {
      backward_slices<kSlices, true>(dx, ds, x, neuron, derivative, shape, scratch, j);
    }
    for (; j < slices; ++j) backward_slices<1, true>(dx, ds, x, neuron, derivative, shape, scratch, j);
  } else {
    for (; j + kSlices <= slices; j += kSlices) {
      backward_slices<kSlices, false>(dx, ds, x, neuron, derivative, shape, scratch, j);
    }
    for (; j < slices; ++j) backward_slices<1, false>(dx, ds, x, neuron, derivative, shape, scratch, j);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

#include "kernels/pool.hpp"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// What a window reads: `lanes` channels from c on at position q.
struct ValuesIn {
  const float* x;
  std::size_t C;

  HWY_INLINE VF load(std::int32_t q, std::size_t c, std::size_t lanes) const {
    return load_up_to(x + static_cast<std::size_t>(q) * C + c, lanes);
  }
};

struct SpikesIn {
  const std::uint64_t* x;
  std::size_t words;

  HWY_INLINE VF load(std::int32_t q, std::size_t c, std::size_t) const {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(x + static_cast<std::size_t>(q) * words);
    return hn::IfThenElseZero(mask_at(bytes, c), hn::Set(F32(), 1.0f));
  }
};

/// The first of the highest values of a window, and the number of its tap. NaN is higher than all, as in
/// PyTorch.
struct Highest {
  VF value;
  VF tap;
};

template <class Input>
HWY_INLINE Highest highest(const Input& x, const std::int32_t* window, std::size_t taps, std::size_t c,
                           std::size_t lanes) {
  const F32 d;
  std::size_t k = 0;
  while (window[k] == kOutside) ++k;  // some tap is inside: the padding is at most half the kernel
  Highest best{x.load(window[k], c, lanes), hn::Set(d, static_cast<float>(k))};
  for (++k; k < taps; ++k) {
    if (window[k] == kOutside) continue;
    const VF value = x.load(window[k], c, lanes);
    const MF higher = hn::Or(hn::Gt(value, best.value), hn::IsNaN(value));
    best.value = hn::IfThenElse(higher, value, best.value);
    best.tap = hn::IfThenElse(higher, hn::Set(d, static_cast<float>(k)), best.tap);
  }
  return best;
}

void max_pool_forward(float* y, const float* x, const Taps& taps, std::size_t C) {
  const ValuesIn in{x, C};
  for (std::size_t p = 0; p < taps.positions; ++p, y += C) {
    for (std::size_t c = 0; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      store_up_to(highest(in, taps.index + p * taps.taps, taps.taps, c, lanes).value, y + c, lanes);
    }
  }
}

/// dx as the windows write it: where they are a partition each place once, else they add to what is there.
template <bool kPartition>
struct Gradient {
  float* dx;
  std::size_t C;

  HWY_INLINE void begin(std::size_t x_positions) const {
    if constexpr (!kPartition) std::fill_n(dx, x_positions * C, 0.0f);
  }
  HWY_INLINE void give(VF value, std::int32_t q, std::size_t c, std::size_t lanes) const {
    float* p = dx + static_cast<std::size_t>(q) * C + c;
    store_up_to(kPartition ? value : hn::Add(load_up_to(p, lanes), value), p, lanes);
  }
};

/// body(Gradient) of that kind that fits the windows.
template <class Body>
HWY_INLINE void into_gradient(float* dx, const Taps& taps, std::size_t x_positions, std::size_t C,
                              const Body& body) {
  const auto run = [&](const auto& gradient) HWY_ATTR {
    gradient.begin(x_positions);
    body(gradient);
  };
  if (taps.partition) {
    run(Gradient<true>{dx, C});
  } else {
    run(Gradient<false>{dx, C});
  }
}

template <class Gradient, class Input>
HWY_INLINE void max_backward(const Gradient& dx, const float* dy, const Input& in, const Taps& taps,
                             std::size_t C) {
  const F32 d;
  for (std::size_t p = 0; p < taps.positions; ++p, dy += C) {
    const std::int32_t* window = taps.index + p * taps.taps;
    for (std::size_t c = 0; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      const VF tap = highest(in, window, taps.taps, c, lanes).tap;
      const VF g = load_up_to(dy + c, lanes);
      for (std::size_t k = 0; k < taps.taps; ++k) {
        if (window[k] == kOutside) continue;
        const MF here = hn::Eq(tap, hn::Set(d, static_cast<float>(k)));
        dx.give(hn::IfThenElseZero(here, g), window[k], c, lanes);
      }
    }
  }
}

void max_pool_backward_values(float* dx, const float* dy, const float* x, const Taps& taps,
                              std::size_t x_positions, std::size_t C) {
  into_gradient(dx, taps, x_positions, C, [&](const auto& gradient) HWY_ATTR {
    max_backward(gradient, dy, ValuesIn{x, C}, taps, C);
  });
}

void max_pool_backward_spikes(float* dx, const float* dy, const std::uint64_t* x, const Taps& taps,
                              std::size_t x_positions, std::size_t C) {
  into_gradient(dx, taps, x_positions, C, [&](const auto& gradient) HWY_ATTR {
    max_backward(gradient, dy, SpikesIn{x, (C + 63) / 64}, taps, C);
  });
}

template <class Input>
HWY_INLINE void avg_forward(float* y, const Input& in, const float* scale, const Taps& taps, std::size_t C) {
  const F32 d;
  for (std::size_t p = 0; p < taps.positions; ++p, y += C) {
    const std::int32_t* window = taps.index + p * taps.taps;
    for (std::size_t c = 0; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      VF sum = hn::Zero(d);
      for (std::size_t k = 0; k < taps.taps; ++k) {
        if (window[k] != kOutside) sum = hn::Add(sum, in.load(window[k], c, lanes));
      }
      store_up_to(hn::Mul(sum, hn::Set(d, scale[p])), y + c, lanes);
    }
  }
}

void avg_pool_forward_values(float* y, const float* x, const float* scale, const Taps& taps, std::size_t C) {
  avg_forward(y, ValuesIn{x, C}, scale, taps, C);
}

void avg_pool_forward_spikes(float* y, const std::uint64_t* x, const float* scale, const Taps& taps,
                             std::size_t C) {
  avg_forward(y, SpikesIn{x, (C + 63) / 64}, scale, taps, C);
}

template <class Gradient>
HWY_INLINE void avg_backward(const Gradient& dx, const float* dy, const float* scale, const Taps& taps,
                             std::size_t C) {
  const F32 d;
  for (std::size_t p = 0; p < taps.positions; ++p, dy += C) {
    const std::int32_t* window = taps.index + p * taps.taps;
    for (std::size_t c = 0; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      const VF share = hn::Mul(load_up_to(dy + c, lanes), hn::Set(d, scale[p]));
      for (std::size_t k = 0; k < taps.taps; ++k) {
        if (window[k] != kOutside) dx.give(share, window[k], c, lanes);
      }
    }
  }
}

void avg_pool_backward(float* dx, const float* dy, const float* scale, const Taps& taps,
                       std::size_t x_positions, std::size_t C) {
  into_gradient(dx, taps, x_positions, C,
                [&](const auto& gradient) HWY_ATTR { avg_backward(gradient, dy, scale, taps, C); });
}

void share_forward(float* y, const float* x, const float* share, const Taps& taps, std::size_t C) {
  const F32 d;
  const ValuesIn in{x, C};
  for (std::size_t p = 0; p < taps.positions; ++p, y += C, share += taps.taps) {
    const std::int32_t* place = taps.index + p * taps.taps;
    for (std::size_t c = 0; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      VF sum = hn::Mul(hn::Set(d, share[0]), in.load(place[0], c, lanes));
      for (std::size_t k = 1; k < taps.taps; ++k) {
        sum = hn::MulAdd(hn::Set(d, share[k]), in.load(place[k], c, lanes), sum);
      }
      store_up_to(sum, y + c, lanes);
    }
  }
}

void share_backward(float* dx, const float* dy, const float* share, const Taps& taps, std::size_t x_positions,
                    std::size_t C) {
  const F32 d;
  const Gradient<false> gradient{dx, C};
  gradient.begin(x_positions);
  for (std::size_t p = 0; p < taps.positions; ++p, dy += C, share += taps.taps) {
    const std::int32_t* place = taps.index + p * taps.taps;
    for (std::size_t c = 0; c < C; c += kLanes) {
      const std::size_t lanes = HWY_MIN(kLanes, C - c);
      const VF g = load_up_to(dy + c, lanes);
      for (std::size_t k = 0; k < taps.taps; ++k) {
        gradient.give(hn::Mul(hn::Set(d, share[k]), g), place[k], c, lanes);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(max_pool_forward);
HWY_EXPORT(max_pool_backward_values);
HWY_EXPORT(max_pool_backward_spikes);
HWY_EXPORT(avg_pool_forward_values);
HWY_EXPORT(avg_pool_forward_spikes);
HWY_EXPORT(avg_pool_backward);
HWY_EXPORT(share_forward);
HWY_EXPORT(share_backward);

void max_pool_forward(float* y, const float* x, const Taps& taps, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(max_pool_forward)(y, x, taps, C);
}

void max_pool_forward(std::uint64_t* y, const std::uint64_t* x, const Taps& taps, std::size_t words) {
  for (std::size_t p = 0; p < taps.positions; ++p, y += words) {
    const std::int32_t* window = taps.index + p * taps.taps;
    std::fill_n(y, words, std::uint64_t{0});
    for (std::size_t k = 0; k < taps.taps; ++k) {
      if (window[k] == kOutside) continue;
      const std::uint64_t* at = x + static_cast<std::size_t>(window[k]) * words;
      for (std::size_t w = 0; w < words; ++w) y[w] |= at[w];
    }
  }
}

void max_pool_backward(float* dx, const float* dy, const float* x, const Taps& taps, std::size_t x_positions,
                       std::size_t C) {
  HWY_DYNAMIC_DISPATCH(max_pool_backward_values)(dx, dy, x, taps, x_positions, C);
}

void max_pool_backward(float* dx, const float* dy, const std::uint64_t* x, const Taps& taps,
                       std::size_t x_positions, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(max_pool_backward_spikes)(dx, dy, x, taps, x_positions, C);
}

void avg_pool_forward(float* y, const float* x, const float* scale, const Taps& taps, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(avg_pool_forward_values)(y, x, scale, taps, C);
}

void avg_pool_forward(float* y, const std::uint64_t* x, const float* scale, const Taps& taps, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(avg_pool_forward_spikes)(y, x, scale, taps, C);
}

void avg_pool_backward(float* dx, const float* dy, const float* scale, const Taps& taps,
                       std::size_t x_positions, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(avg_pool_backward)(dx, dy, scale, taps, x_positions, C);
}

void share_forward(float* y, const float* x, const float* share, const Taps& taps, std::size_t C) {
  HWY_DYNAMIC_DISPATCH(share_forward)(y, x, share, taps, C);
}

void share_backward(float* dx, const float* dy, const float* share, const Taps& taps, std::size_t x_positions,
                    std::size_t C) {
  HWY_DYNAMIC_DISPATCH(share_backward)(dx, dy, share, taps, x_positions, C);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

#include "kernels/update.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/update.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

/// body(i, lanes) over [0, n), whole vectors and then what is left.
template <class Body>
HWY_INLINE void for_vectors(std::size_t n, const Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, n - i);
}

void sgd_step(float* w, float* momentum, const float* gradient, const ops::SgdCoefficients& c,
              std::size_t n) {
  const F32 d;
  const VF lr = hn::Set(d, c.lr);
  const VF mu = hn::Set(d, c.momentum);
  const VF decay = hn::Set(d, c.weight_decay);
  for_vectors(n, [&](std::size_t i, std::size_t lanes) {
    const VF weight = load_up_to(w + i, lanes);
    VF g = hn::MulAdd(decay, weight, load_up_to(gradient + i, lanes));
    if (c.momentum != 0) {
      const VF b = c.first ? g : hn::MulAdd(mu, load_up_to(momentum + i, lanes), g);
      store_up_to(b, momentum + i, lanes);
      g = c.nesterov ? hn::MulAdd(mu, b, g) : b;
    }
    store_up_to(hn::NegMulAdd(lr, g, weight), w + i, lanes);
  });
}

void adam_step(float* w, float* m, float* v, const float* gradient, const ops::AdamCoefficients& c,
               std::size_t n) {
  const F32 d;
  const VF beta1 = hn::Set(d, c.beta1);
  const VF beta2 = hn::Set(d, c.beta2);
  const VF rest1 = hn::Set(d, 1 - c.beta1);
  const VF rest2 = hn::Set(d, 1 - c.beta2);
  const VF eps = hn::Set(d, c.eps);
  const VF decay = hn::Set(d, c.weight_decay);
  const VF step_size = hn::Set(d, c.step_size);
  const VF inverse_sqrt_bias2 = hn::Set(d, c.inverse_sqrt_bias2);
  const VF keep = hn::Set(d, c.keep);
  for_vectors(n, [&](std::size_t i, std::size_t lanes) {
    const VF weight = load_up_to(w + i, lanes);
    const VF g = hn::MulAdd(decay, weight, load_up_to(gradient + i, lanes));
    const VF m1 = hn::MulAdd(beta1, load_up_to(m + i, lanes), hn::Mul(rest1, g));
    const VF v1 = hn::MulAdd(beta2, load_up_to(v + i, lanes), hn::Mul(rest2, hn::Mul(g, g)));
    store_up_to(m1, m + i, lanes);
    store_up_to(v1, v + i, lanes);
    const VF scale = hn::MulAdd(hn::Sqrt(v1), inverse_sqrt_bias2, eps);
    store_up_to(hn::Sub(hn::Mul(keep, weight), hn::Div(hn::Mul(step_size, m1), scale)), w + i, lanes);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(sgd_step);
HWY_EXPORT(adam_step);

void sgd_step(float* w, float* momentum, const float* gradient, const ops::SgdCoefficients& c,
              std::size_t n) {
  HWY_DYNAMIC_DISPATCH(sgd_step)(w, momentum, gradient, c, n);
}

void adam_step(float* w, float* m, float* v, const float* gradient, const ops::AdamCoefficients& c,
               std::size_t n) {
  HWY_DYNAMIC_DISPATCH(adam_step)(w, m, v, gradient, c, n);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

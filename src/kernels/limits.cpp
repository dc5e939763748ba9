#include "kernels/limits.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/limits.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

void triad(float* a, const float* b, const float* c, float scale, std::size_t n) {
  const F32 d;
  const VF s = hn::Set(d, scale);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::MulAdd(s, hn::LoadU(d, c + i), hn::LoadU(d, b + i)), d, a + i);
  if (i < n) store_first(hn::MulAdd(s, load_first(c + i, n - i), load_first(b + i, n - i)), a + i, n - i);
}

double multiply_adds(float* sum, std::size_t rounds) {
  constexpr std::size_t kChains =
      12;  // more than the latency times the units of any processor, few enough for 16 registers
  const F32 d;
  const VF factor = hn::Set(d, 0.999f);
  const VF term = hn::Set(d, 0.001f);
  VF chain[kChains];
  for (std::size_t i = 0; i < kChains; ++i) chain[i] = hn::Set(d, static_cast<float>(i));
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < kChains; ++i) chain[i] = hn::MulAdd(chain[i], factor, term);
  }
  VF all = chain[0];
  for (std::size_t i = 1; i < kChains; ++i) all = hn::Add(all, chain[i]);
  HWY_ALIGN float lanes[kLanes];
  hn::Store(all, d, lanes);
  *sum = lanes[0];
  return 2.0 * static_cast<double>(rounds * kChains * kLanes);
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(triad);
HWY_EXPORT(multiply_adds);

void triad(float* a, const float* b, const float* c, float scale, std::size_t n) {
  HWY_DYNAMIC_DISPATCH(triad)(a, b, c, scale, n);
}

double multiply_adds(float* sum, std::size_t rounds) {
  return HWY_DYNAMIC_DISPATCH(multiply_adds)(sum, rounds);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

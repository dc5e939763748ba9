#include "kernels/surrogate.hpp"

#include <volley/error.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/surrogate.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/surrogate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

template <class Derivative>
void write_derivatives(float* g, const float* x, std::size_t count, const Derivative& derivative) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(derivative(hn::LoadU(F32(), x + i)), F32(), g + i);
  if (i < count) store_first(derivative(load_first(x + i, count - i)), g + i, count - i);
}

void surrogate_derivatives(float* g, const float* x, std::size_t count, const ops::Surrogate& surrogate) {
  const auto write = [&](const auto& f) {
    if constexpr (std::is_same_v<decltype(f), const ops::CustomSurrogate&>) {
      f.derivative(f.context, g, x, count);
    } else {
      write_derivatives(g, x, count, derivative_of(f));
    }
  };
  std::visit(write, surrogate);
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley {
namespace kernels {

HWY_EXPORT(surrogate_derivatives);

void surrogate_derivatives(float* g, const float* x, std::size_t count, const ops::Surrogate& surrogate) {
  HWY_DYNAMIC_DISPATCH(surrogate_derivatives)(g, x, count, surrogate);
}

}  // namespace kernels
}  // namespace volley
#endif  // HWY_ONCE

#include <algorithm>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"

namespace volley::cpu {

void run(ThreadPool& threads, const ops::LIForward& op) {
  const std::size_t T = op.T, F = op.F;
  const float decay = op.decay, gain = op.gain;
  parallel_for(threads, op.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> rest(F);
    std::fill_n(rest.data(), F, 0.0f);
    for (std::size_t n = begin; n < end; ++n) {
      const float* before = op.before != nullptr ? op.before + n * F : rest.data();
      for (std::size_t t = 0; t < T; ++t) {
        const float* x = op.x + (op.constant ? n : n * T + t) * F;
        float* v = op.v + (n * T + t) * F;
        for (std::size_t f = 0; f < F; ++f) v[f] = decay * before[f] + gain * x[f];  // (V1)
        before = v;
      }
      if (op.after != nullptr) std::copy_n(before, F, op.after + n * F);
    }
  });
}

void run(ThreadPool& threads, const ops::LIBackward& op) {
  const std::size_t T = op.T, F = op.F;
  const float decay = op.decay, gain = op.gain;
  parallel_for(threads, op.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> own(F);
    for (std::size_t n = begin; n < end; ++n) {
      float* carry = op.carry != nullptr ? op.carry + n * F : own.data();
      float* first = op.dx + n * (op.constant ? 1 : T) * F;
      if (op.carry == nullptr) std::fill_n(carry, F, 0.0f);
      if (op.constant) std::fill_n(first, F, 0.0f);
      for (std::size_t t = T; t-- > 0;) {
        const float* dv = op.dv + (n * T + t) * F;
        float* dx = op.constant ? first : first + t * F;
        for (std::size_t f = 0; f < F; ++f) {
          const float all = dv[f] + carry[f];                 // (V2)
          dx[f] = (op.constant ? dx[f] : 0.0f) + gain * all;  // (V3)
          carry[f] = decay * all;
        }
      }
    }
  });
}

}  // namespace volley::cpu

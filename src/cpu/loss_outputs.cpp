#include <algorithm>
#include <cstdint>

#include "cpu/cpu_executor.hpp"
#include "cpu/loss_parts.hpp"
#include "cpu/spikes.hpp"

// Parts of the outputs, which losses of several heads and of masks look at.

namespace volley::cpu {
namespace {

/// The step that row u of sample n is; T: none.
std::size_t step_of(const std::uint32_t* steps, std::size_t n, std::size_t u, std::size_t U) {
  return steps == nullptr ? u : steps[n * U + u];
}

/// row = `count` outputs of sample n at step t from `first` on, packed; its other bits 0.
void pick_spikes(std::uint64_t* row, const ops::SpikesView& y, std::size_t n, std::size_t t,
                 std::size_t first, std::size_t count) {
  for (std::size_t k = 0; k < count; ++k) row[k / 64] |= std::uint64_t{fired(y, n, t, first + k)} << k % 64;
}

}  // namespace

void run(ThreadPool& threads, const ops::PickOutputs& op) {
  const std::size_t T = op.y.S, K = op.y.F, words = (op.count + 63) / 64;
  for_samples(op.y.N, threads, [&](std::size_t n) {
    for (std::size_t u = 0; u < op.U; ++u) {
      const std::size_t row = n * op.U + u, t = step_of(op.steps, n, u, op.U);
      if (op.y.is_spikes) {
        std::fill_n(op.words + row * words, words, std::uint64_t{0});
        if (t < T) pick_spikes(op.words + row * words, op.y.spikes, n, t, op.first, op.count);
      } else if (t < T) {
        std::copy_n(op.y.values + (n * T + t) * K + op.first, op.count, op.values + row * op.count);
      } else {
        std::fill_n(op.values + row * op.count, op.count, 0.0f);
      }
    }
  });
}

void run(ThreadPool& threads, const ops::PutOutputs& op) {
  for_samples(op.N, threads, [&](std::size_t n) {
    float* const to = op.to + n * op.T * op.K + op.first;
    for (std::size_t t = 0; op.steps != nullptr && t < op.T; ++t) std::fill_n(to + t * op.K, op.count, 0.0f);
    for (std::size_t u = 0; u < op.U; ++u) {
      const std::size_t t = step_of(op.steps, n, u, op.U);
      if (t == op.T) continue;
      const float* const row = op.from + (n * op.U + u) * op.count;
      for (std::size_t k = 0; k < op.count; ++k) to[t * op.K + k] = op.factor * row[k];
    }
  });
}

}  // namespace volley::cpu

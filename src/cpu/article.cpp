#include <cmath>

#include "core/exp_log.hpp"
#include "cpu/cpu_executor.hpp"

namespace volley::cpu {
namespace {

/// Without overflow for any x.
float sigmoid_derivative(float x) {
  const float e = exp_of(-std::abs(x));
  const float large = 1 / (1 + e);
  return e * large * large;
}

}  // namespace

void run(ThreadPool& threads, const ops::ArticleGradient& op) {
  const std::size_t N = op.pictures.N, F = op.pictures.F, K = op.K;
  parallel_for(threads, K, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = 0; n < N; ++n) {
      const std::uint8_t* const image = op.pictures.of(n);
      for (std::size_t k = begin; k < end; ++k) {
        const float error = op.scores[n * K + k] - static_cast<float>(op.labels[n] == k);
        const float delta = error * sigmoid_derivative(op.v_last[n * K + k]);
        float* const row = op.gradient + k * F;
        for (std::size_t f = 0; f < F; ++f)
          row[f] += delta * (static_cast<float>(image[f]) * (1.0f / 255.0f));
      }
    }
  });
}

}  // namespace volley::cpu

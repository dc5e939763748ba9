#include "cpu/cpu_executor.hpp"
#include "cpu/sigmoid.hpp"

namespace volley::cpu {
void run(ThreadPool& threads, const ops::ArticleGradient& op) {
  const std::size_t N = op.pictures.N, F = op.pictures.F, K = op.K;
  parallel_for(threads, K, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = 0; n < N; ++n) {
      const std::uint8_t* const image = op.pictures.of(n);
      for (std::size_t k = begin; k < end; ++k) {
        const float error = op.scores[n * K + k] - static_cast<float>(op.labels[n] == k);
        const float delta = error * SigmoidAt(op.v_last[n * K + k]).slope;
        float* const row = op.gradient + k * F;
        for (std::size_t f = 0; f < F; ++f)
          row[f] += delta * (static_cast<float>(image[f]) * (1.0f / 255.0f));
      }
    }
  });
}

}  // namespace volley::cpu

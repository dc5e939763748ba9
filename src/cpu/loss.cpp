#include <algorithm>
#include <cstdint>

#include "core/tree_sum.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/loss_parts.hpp"
#include "cpu/spikes.hpp"
#include "kernels/bits.hpp"
#include "kernels/reduce.hpp"

namespace volley::cpu {
namespace {

/// The sum over the first `steps` of sample n of y (N, T, K), divided by `divisor`; in double where it is
/// real.
void sum_over_time(float* z, const ops::SignalView& y, std::size_t n, std::size_t steps, float divisor) {
  const std::size_t K = y.F;
  if (y.is_spikes) {
    Scratch<std::uint32_t> counts(K);
    count_by_feature(counts.data(), y.spikes, n, steps);
    for (std::size_t k = 0; k < K; ++k) z[k] = static_cast<float>(counts[k]) / divisor;
    return;
  }
  const float* const values = y.values + n * y.S * K;
  for (std::size_t k = 0; k < K; ++k) {
    double sum = 0;
    for (std::size_t t = 0; t < steps; ++t) sum += static_cast<double>(values[t * K + k]);
    z[k] = static_cast<float>(sum / static_cast<double>(divisor));
  }
}

}  // namespace

void run(ThreadPool& threads, const ops::ReadScores& op) {
  const std::size_t K = op.y.F, T = op.y.S;
  for_samples(op.y.N, threads, [&](std::size_t n) {
    if (op.over == ops::ReadOver::each_step) {
      std::copy_n(op.y.values + n * T * K, T * K, op.scores + n * T * K);
      return;
    }
    float* const z = op.scores + n * K;
    const std::size_t steps = steps_of(op.lengths, n, T);
    if (op.over == ops::ReadOver::last) {
      std::copy_n(op.y.values + (n * T + steps - 1) * K, K, z);
    } else {
      sum_over_time(z, op.y, n, steps, op.over == ops::ReadOver::mean ? static_cast<float>(steps) : 1.0f);
    }
  });
}

void run(ThreadPool& threads, const ops::SpreadScores& op) {
  const std::size_t K = op.K, T = op.T;
  for_samples(op.N, threads, [&](std::size_t n) {
    float* const first = op.dy + n * T * K;
    const std::size_t steps = steps_of(op.lengths, n, T);
    std::fill(first + steps * K, first + T * K, 0.0f);
    if (op.over == ops::ReadOver::last) {
      std::fill_n(first, (steps - 1) * K, 0.0f);
      std::copy_n(op.dscores + n * K, K, first + (steps - 1) * K);
      return;
    }
    const float share = op.over == ops::ReadOver::mean ? 1 / static_cast<float>(steps) : 1.0f;
    for (std::size_t k = 0; k < K; ++k) first[k] = op.dscores[n * K + k] * share;
    for (std::size_t t = 1; t < steps; ++t) std::copy_n(first, K, first + t * K);
  });
}

void run(ThreadPool&, const ops::ScoreMse& op) {
  const std::size_t N = op.N, K = op.K;
  const auto target = [&](std::size_t n, std::size_t k) {
    const float goal = op.targets.labels[n] == k ? op.on : op.off;
    return op.per_step ? goal * static_cast<float>(steps_of(op.targets.lengths, n, op.T)) : goal;
  };
  if (op.loss != nullptr) {
    const double sum = tree_sum(N, [&](std::size_t n) {
      double squares = 0;
      for (std::size_t k = 0; k < K; ++k) {
        const double e = static_cast<double>(op.z[n * K + k]) - static_cast<double>(target(n, k));
        squares += e * e;
      }
      return weight_of(op.targets, n) * squares;
    });
    const double mean =
        static_cast<double>(op.scale) * sum / (op.targets.total_weight * static_cast<double>(K));
    *op.loss = static_cast<double>(static_cast<float>(mean));
  }
  for (std::size_t n = 0; op.dz != nullptr && n < N; ++n) {  // (R11)
    const float factor = 2 * op.scale / static_cast<float>(count_of(op.targets, n) * static_cast<double>(K));
    for (std::size_t k = 0; k < K; ++k) op.dz[n * K + k] = factor * (op.z[n * K + k] - target(n, k));
  }
}

void run(ThreadPool&, const ops::ScoreCrossEntropy& op) {
  const std::size_t N = op.N, K = op.K;
  if (op.loss != nullptr) {
    const double sum = tree_sum(N, [&](std::size_t n) {
      return weight_of(op.targets, n) * cross_entropy(op.z + n * K, op.targets.labels[n], op.smoothing, K);
    });
    *op.loss = static_cast<double>(static_cast<float>(sum / op.targets.total_weight));
  }
  for (std::size_t n = 0; op.dz != nullptr && n < N; ++n) {
    const float share = 1 / static_cast<float>(count_of(op.targets, n));
    cross_entropy_gradient(op.dz + n * K, op.z + n * K, op.targets.labels[n], op.smoothing, share, K);
  }
}

}  // namespace volley::cpu

#include <algorithm>
#include <cmath>

#include <volley/buffer.hpp>

#include "cpu/cpu_executor.hpp"
#include "cpu/spikes.hpp"
#include "kernels/block_tree.hpp"

namespace volley::cpu {
namespace {

constexpr std::size_t kSamples = 16;    // whose counts are kept at once
constexpr std::size_t kFeatures = 256;  // of one piece of work

struct RatesWorkspace final : ops::Workspace {
  Buffer<std::uint32_t> counts;  // (samples, F), as they are numbered
  Buffer<std::uint64_t> totals;  // (F), as they are numbered
};

/// Where feature f lies in a step of x.
std::size_t place_of(std::size_t f, const ops::Rates& op) {
  if (op.channels == 0) return f;
  const std::size_t P = op.x.F / op.channels;
  return f % P * op.channels + f / P;
}

void count_spikes(RatesWorkspace& own, const ops::Rates& op, ThreadPool& threads) {
  const ops::SpikesView& x = op.x.spikes;
  const std::size_t N = x.N, F = x.F;
  own.counts.resize(std::min(N, kSamples) * F);
  own.totals.resize(F);
  own.totals.zero();
  std::uint32_t* const counts = own.counts.data();
  std::uint64_t* const totals = own.totals.data();
  for (std::size_t first = 0; first < N; first += kSamples) {
    const std::size_t size = std::min(kSamples, N - first);
    parallel_for(threads, size, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t n = first + i;
        count_by_feature(counts + i * F, x, n, op.lengths != nullptr ? op.lengths[n] : x.T);
      }
    });
    parallel_for(threads, F, kFeatures, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t f = begin; f < end; ++f) totals[f] += counts[i * F + f];
      }
    });
  }
}

}  // namespace

void run(ThreadPool& threads, const ops::Rates& op) {
  const std::size_t F = op.x.F;
  float* const rates = op.rates;
  if (op.x.is_spikes) {
    RatesWorkspace& own = ops::workspace<RatesWorkspace>(*op.slot);
    count_spikes(own, op, threads);
    for (std::size_t f = 0; f < F; ++f) {
      const double rate = static_cast<double>(own.totals[f]) / static_cast<double>(op.rows);
      rates[place_of(f, op)] = static_cast<float>(rate);
    }
    return;
  }
  parallel_for(threads, F, kFeatures, [&](std::size_t begin, std::size_t end) {
    std::fill(rates + begin, rates + end, 0.0f);
    kernels::add_samples(rates + begin, op.x.values + begin, op.x.N, op.x.S, end - begin, F, op.lengths);
    for (std::size_t i = begin; i < end; ++i) rates[i] /= static_cast<float>(op.rows);
  });
}

void run(ThreadPool&, const ops::RatePenalty& op) {
  double sum = 0;
  for (std::size_t f = 0; f < op.F; ++f) {
    const double e = static_cast<double>(op.rates[f]) - static_cast<double>(op.target);
    sum += op.squared ? e * e : std::abs(e);
  }
  *op.penalty = static_cast<float>(static_cast<double>(op.weight) * sum / static_cast<double>(op.F));
}

void run(ThreadPool& threads, const ops::RatePenaltyBackward& op) {
  const std::size_t F = op.F, S = op.S;
  const float share = op.weight / static_cast<float>(F);
  float* const dr = op.dr;
  for (std::size_t f = 0; f < F; ++f) {  // at the target itself, 0
    const float e = op.rates[f] - op.target;
    dr[f] = share * (op.squared ? 2 * e : static_cast<float>(e > 0) - static_cast<float>(e < 0));
  }
  parallel_for(threads, op.N, std::max<std::size_t>(1, 4096 / (F * S)),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t n = begin; n < end; ++n) {
                   const float* from = op.dy + n * S * F;
                   float* to = op.dx + n * S * F;
                   const std::size_t counted = op.lengths != nullptr ? op.lengths[n] : S;
                   for (std::size_t t = 0; t < counted; ++t) {
                     for (std::size_t i = 0; i < F; ++i) to[t * F + i] = from[t * F + i] + dr[i];
                   }
                   std::copy(from + counted * F, from + S * F, to + counted * F);
                 }
               });
}

}  // namespace volley::cpu

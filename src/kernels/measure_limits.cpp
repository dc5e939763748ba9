#include <algorithm>
#include <chrono>
#include <numeric>

#include <volley/buffer.hpp>
#include <volley/kernels.hpp>

#include "kernels/limits.hpp"

namespace volley::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Limits measure_limits(ThreadPool& threads) {
  constexpr int kRuns = 7;
  constexpr std::size_t kValues = std::size_t{1} << 23;  // 32 MiB an array: beyond what caches hold
  constexpr std::size_t kRounds = 2'000'000;
  Buffer<float> a(kValues), b(kValues), c(kValues);
  const std::size_t piece = (kValues / threads.size() + 63) / 64 * 64;
  const auto in_pieces = [&](const auto& body) { parallel_for(threads, kValues, piece, body); };
  in_pieces([&](std::size_t begin, std::size_t end) {
    std::fill(b.data() + begin, b.data() + end, 1.0f);
    std::fill(c.data() + begin, c.data() + end, 2.0f);
  });
  Limits best;
  Buffer<float> sums(threads.size());
  Buffer<double> counts(threads.size());
  for (int run = 0; run < kRuns; ++run) {
    Clock::time_point start = Clock::now();
    in_pieces([&](std::size_t begin, std::size_t end) {
      triad(a.data() + begin, b.data() + begin, c.data() + begin, 3.0f, end - begin);
    });
    best.bytes_per_second =
        std::max(best.bytes_per_second, 3.0 * kValues * sizeof(float) / seconds_since(start));
    start = Clock::now();
    parallel_for(threads, threads.size(), 1,
                 [&](std::size_t i, std::size_t) { counts[i] = multiply_adds(&sums[i], kRounds); });
    const double count = std::accumulate(counts.span().begin(), counts.span().end(), 0.0);
    best.operations_per_second = std::max(best.operations_per_second, count / seconds_since(start));
  }
  return best;
}

}  // namespace volley::kernels

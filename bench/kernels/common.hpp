#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <volley/buffer.hpp>
#include <volley/dataset.hpp>

#include "core/philox.hpp"

namespace volley::bench {

/// Time that this thread has had a core for: what other programs take does not count.
double cpu_seconds();
/// Clock cycles of one core in a second, measured while the program begins.
double cycles_per_second();

/// For every benchmark: microseconds, and beside mean and median the median of the distances from the median.
void usual(benchmark::internal::Benchmark* b);

/// Whether what a kernel computed lies within `most` of its reference, relative to the largest value there;
/// false ends the benchmark, which then has nothing to time, and the program with exit code 1.
bool agrees(benchmark::State& state, double error, double most);

/// What one run of a kernel works on, reported beside its time: cycles an item, and bytes or floating-point
/// operations a second where they say something.
struct Work {
  const char* item;  // "image"
  double items;
  double bytes = 0;
  double flops = 0;
};
void report(benchmark::State& state, const Work& work, double seconds);

/// Times `kernel()`.
template <class Kernel>
void time_runs(benchmark::State& state, const Work& work, Kernel&& kernel) {
  const double start = cpu_seconds();
  for (auto _ : state) {
    kernel();
    benchmark::ClobberMemory();
  }
  report(state, work, (cpu_seconds() - start) / static_cast<double>(state.iterations()));
}

/// The first `samples` test pictures of MNIST.
const Dataset& pictures(std::size_t samples);

/// Repeatable values in [low, high).
Buffer<float> random_values(std::size_t n, std::uint32_t seed, float low = -1, float high = 1);

/// The largest |a - b|, relative to the largest |b|.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  double scale = 1e-12;
  double error = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
    error = std::max(error, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return error / scale;
}

}  // namespace volley::bench

// The kernels one by one: each is held against its reference first, then timed. Options are those of Google
// Benchmark
// (--benchmark_filter=poisson); VOLLEY_TARGET=avx2 forces an instruction set, as for the program.

#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <string>
#include <vector>

#include <volley/kernels.hpp>

#include "kernels/common.hpp"

namespace volley::bench {
namespace {

bool disagreed = false;

double median(std::vector<double> v) {
  std::ranges::nth_element(v, v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2));
  return v[v.size() / 2];
}
double median_distance(const std::vector<double>& v) {
  std::vector<double> distances;
  for (const double x : v) distances.push_back(std::abs(x - median(v)));
  return median(distances);
}

/// A chain of exclusive-ors, each waiting for the one before: one cycle each, on every processor this is
/// built for.
double measure_cycles_per_second() {
  constexpr int kLinks = 1000, kRounds = 20000;
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    std::uint64_t x = 1;
    const std::uint64_t y = 3;
    const double start = cpu_seconds();
    for (int i = 0; i < kRounds; ++i) {
#if defined(__x86_64__)
      asm volatile(".rept %c2\n xor %1, %0\n .endr" : "+r"(x) : "r"(y), "i"(kLinks));
#elif defined(__aarch64__)
      asm volatile(".rept %c2\n eor %0, %0, %1\n .endr" : "+r"(x) : "r"(y), "i"(kLinks));
#endif
    }
    best = std::max(best, kLinks * kRounds / (cpu_seconds() - start));
  }
  return best;
}

}  // namespace

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double cycles_per_second() {
  static const double cycles = measure_cycles_per_second();
  return cycles;
}

void usual(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMicrosecond)->ComputeStatistics("mad", median_distance);
}

bool agrees(benchmark::State& state, double error, double most) {
  if (error <= most) return true;  // NaN does not
  state.SkipWithError("does not agree with its reference");
  disagreed = true;
  return false;
}

void report(benchmark::State& state, const Work& work, double seconds) {
  state.counters[std::string("cycles/") + work.item] = seconds * cycles_per_second() / work.items;
  if (work.bytes > 0) state.counters["GB/s"] = work.bytes / seconds * 1e-9;
  if (work.flops > 0) state.counters["GFLOP/s"] = work.flops / seconds * 1e-9;
}

const Dataset& pictures(std::size_t samples) {
  static const Dataset all = datasets::mnist().test;
  static Dataset some;
  if (some.size() != samples) some = all.first(samples);
  return some;
}

Buffer<float> random_values(std::size_t n, std::uint32_t seed, float low, float high) {
  PhiloxSequence random({seed, 0});
  Buffer<float> values(n);
  for (float& v : values.span()) v = low + (high - low) * static_cast<float>(random.uniform());
  return values;
}

namespace {

/// Of the aggregates, the median and the spread.
class Table : public benchmark::ConsoleReporter {
 public:
  Table() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> shown;
    std::ranges::copy_if(runs, std::back_inserter(shown), [](const Run& run) {
      return run.run_type != Run::RT_Aggregate || run.aggregate_name == "median" ||
             run.aggregate_name == "mad";
    });
    ConsoleReporter::ReportRuns(shown);
  }
};

int run(int argc, char** argv) {
  kernels::use_environment_target();
  // Medians of several short runs unless the command line says otherwise.
  std::array options{const_cast<char*>("--benchmark_min_time=0.05"),
                     const_cast<char*>("--benchmark_repetitions=9"),
                     const_cast<char*>("--benchmark_report_aggregates_only=true")};
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, options.begin(), options.end());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  benchmark::AddCustomContext("target", kernels::active_target());
  benchmark::AddCustomContext("cycles per second", std::to_string(cycles_per_second()));
  Table table;
  const bool json = std::ranges::any_of(
      arguments, [](const char* a) { return std::string(a).starts_with("--benchmark_format"); });
  benchmark::RunSpecifiedBenchmarks(json ? nullptr : &table);
  return disagreed ? 1 : 0;
}

}  // namespace
}  // namespace volley::bench

int main(int argc, char** argv) {
  try {
    return volley::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernels: %s\n", error.what());
    return 1;
  }
}

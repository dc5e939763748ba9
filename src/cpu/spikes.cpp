#include "cpu/spikes.hpp"

#include <algorithm>

#include "kernels/reduce.hpp"

namespace volley::cpu {
namespace {

std::size_t words_for(std::size_t bits) { return (bits + 63) / 64; }

}  // namespace

void count_by_feature(std::uint32_t* counts, const ops::SpikesView& x, std::size_t n, std::size_t steps) {
  if (!x.trains && x.positions == 1)
    return kernels::count_steps(counts, x.sample(n), steps, x.row_words, x.F);
  std::fill_n(counts, x.F, 0u);
  if (x.trains && steps == x.T) {
    return kernels::count_trains(counts, x.sample(n), x.active + n * x.F, x.active_count[n], x.row_words);
  }
  for_each_spike(x, n, steps, [&](std::size_t, std::size_t feature) { ++counts[feature]; });
}

void to_trains(std::uint64_t* words, std::uint32_t* active, std::uint32_t* active_count,
               const ops::SpikesView& steps, ThreadPool& threads) {
  const std::size_t row = words_for(steps.T), F = steps.F;
  parallel_for(threads, steps.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      active_count[n] = static_cast<std::uint32_t>(
          kernels::steps_to_trains(words + n * F * row, active + n * F, steps.sample(n), steps.T, F));
    }
  });
}

void to_steps(std::uint64_t* words, const ops::SpikesView& trains, ThreadPool& threads) {
  const std::size_t row = words_for(trains.F), F = trains.F;
  parallel_for(threads, trains.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      kernels::trains_to_steps(words + n * trains.T * row, trains.sample(n), trains.active + n * F,
                               trains.active_count[n], trains.T, F);
    }
  });
}

void to_trains(SpikesMemory& out, const ops::SpikesView& steps, ThreadPool& threads) {
  const std::size_t row = words_for(steps.T);
  out.words.resize(steps.N * steps.F * row);
  out.active.resize(steps.N * steps.F);
  out.active_count.resize(steps.N);
  to_trains(out.words.data(), out.active.data(), out.active_count.data(), steps, threads);
  out.view = {.N = steps.N,
              .T = steps.T,
              .F = steps.F,
              .trains = true,
              .row_words = row,
              .words = out.words.data(),
              .active = out.active.data(),
              .active_count = out.active_count.data()};
}

void to_steps(SpikesMemory& out, const ops::SpikesView& trains, ThreadPool& threads) {
  const std::size_t row = words_for(trains.F);
  out.words.resize(trains.N * trains.T * row);
  to_steps(out.words.data(), trains, threads);
  out.view = {.N = trains.N, .T = trains.T, .F = trains.F, .row_words = row, .words = out.words.data()};
}

bool fired(const ops::SpikesView& spikes, std::size_t n, std::size_t t, std::size_t k) {
  std::size_t row = t,
              bit = k % spikes.positions * (spikes.row_words / spikes.positions * 64) + k / spikes.positions;
  if (spikes.trains) {
    const std::uint32_t* const list = spikes.active + n * spikes.F;
    const std::uint32_t* const end = list + spikes.active_count[n];
    const std::uint32_t* const at = std::lower_bound(list, end, k);
    if (at == end || *at != k) return false;
    row = static_cast<std::size_t>(at - list);
    bit = t;
  }
  return spikes.sample(n)[row * spikes.row_words + bit / 64] >> bit % 64 & 1;
}

}  // namespace volley::cpu

#include "cpu/spikes.hpp"

#include "kernels/bits.hpp"

namespace volley::cpu {
namespace {

std::size_t words_for(std::size_t bits) { return (bits + 63) / 64; }

}  // namespace

void to_trains(SpikesMemory& out, const ops::SpikesView& steps, ThreadPool& threads) {
  const std::size_t row = words_for(steps.T), F = steps.F;
  out.words.resize(steps.N * F * row);
  out.active.resize(steps.N * F);
  out.active_count.resize(steps.N);
  std::uint64_t* words = out.words.data();
  std::uint32_t *active = out.active.data(), *count = out.active_count.data();
  parallel_for(threads, steps.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      count[n] = static_cast<std::uint32_t>(
          kernels::steps_to_trains(words + n * F * row, active + n * F, steps.sample(n), steps.T, F));
    }
  });
  out.view = {.N = steps.N,
              .T = steps.T,
              .F = F,
              .trains = true,
              .row_words = row,
              .words = words,
              .active = active,
              .active_count = count};
}

void to_steps(SpikesMemory& out, const ops::SpikesView& trains, ThreadPool& threads) {
  const std::size_t row = words_for(trains.F), F = trains.F;
  out.words.resize(trains.N * trains.T * row);
  std::uint64_t* words = out.words.data();
  parallel_for(threads, trains.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      kernels::trains_to_steps(words + n * trains.T * row, trains.sample(n), trains.active + n * F,
                               trains.active_count[n], trains.T, F);
    }
  });
  out.view = {.N = trains.N, .T = trains.T, .F = F, .row_words = row, .words = words};
}

}  // namespace volley::cpu

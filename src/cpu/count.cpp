#include <algorithm>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/spikes.hpp"
#include "kernels/bits.hpp"
#include "kernels/reduce.hpp"

namespace volley::cpu {
namespace {

/// The spikes of sample n from step `first` to before step `end`.
std::size_t count_steps(const ops::SpikesView& x, std::size_t n, std::size_t first, std::size_t end) {
  const std::uint64_t* row = x.sample(n);
  if (!x.trains) return kernels::count_bits(row + first * x.row_words, (end - first) * x.row_words);
  if (first == 0 && end == x.T) return kernels::count_bits(row, x.active_count[n] * x.row_words);
  std::size_t count = 0;
  for (std::size_t a = 0; a < x.active_count[n]; ++a, row += x.row_words)
    kernels::for_each_bit_from(row, first, end - first, [&](std::size_t) { ++count; });
  return count;
}

}  // namespace

void run(ThreadPool&, const ops::CountSpikes& op) {
  const ops::SpikesView& x = op.spikes;
  const auto steps_of = [&](std::size_t n) { return op.lengths == nullptr ? x.T : op.lengths[n]; };
  if (op.sums != nullptr) {
    std::fill_n(op.sums, 2, std::uint64_t{0});
    for (std::size_t n = 0; n < x.N; ++n) {
      op.sums[0] += count_steps(x, n, 0, steps_of(n));
      op.sums[1] += count_steps(x, n, steps_of(n) - 1, steps_of(n));
    }
  }
  if (op.by_feature == nullptr) return;
  std::fill_n(op.by_feature, x.F, std::uint64_t{0});
  Scratch<std::uint32_t> counts(x.F);
  for (std::size_t n = 0; n < x.N; ++n) {
    count_by_feature(counts.data(), x, n, steps_of(n));
    for (std::size_t f = 0; f < x.F; ++f) op.by_feature[f] += counts[f];
  }
}

}  // namespace volley::cpu

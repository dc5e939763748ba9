#include <algorithm>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/sample_values.hpp"
#include "cpu/spikes.hpp"
#include "kernels/bits.hpp"
#include "kernels/linear.hpp"

namespace volley::cpu {
namespace {

/// sum (F) of x (T, F) over the steps, ascending.
void sum_over_steps(float* sum, const float* x, std::size_t T, std::size_t F) {
  std::fill_n(sum, F, 0.0f);
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t f = 0; f < F; ++f) sum[f] += x[t * F + f];
  }
}

}  // namespace

void run(ThreadPool& threads, const ops::ConvertValues& op) {
  const std::size_t F = op.rows * op.columns, steps = std::min(op.from, op.to);
  const bool sum = op.to < op.from;
  parallel_for(threads, op.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> total(sum ? F : 0);
    for (std::size_t n = begin; n < end; ++n) {
      SampleValues values(op.x, op.from * F, n, n + 1);
      const float* from = values.data();
      float* to = op.y + n * op.to * F;
      if (sum) {
        sum_over_steps(total.data(), from, op.from, F);
        from = total.data();
      }
      for (std::size_t t = 0; t < steps; ++t) {
        if (op.turn) {
          kernels::transpose(to + t * F, from + t * F, op.rows, op.columns);
        } else {
          std::copy_n(from + t * F, F, to + t * F);
        }
      }
      for (std::size_t t = steps; t < op.to; ++t) std::copy_n(to, F, to + t * F);
    }
  });
}

void run(ThreadPool& threads, const ops::SpikesToValues& op) {
  const ops::SpikesView& s = op.s;
  const std::size_t words = s.row_words / s.positions, columns = s.F / s.positions;
  const std::size_t rows = s.T * s.positions;  // of a sample; each begins a word
  parallel_for(threads, s.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t r = 0; r < rows; ++r)
        kernels::bits_to_values(op.y + (n * rows + r) * columns, s.sample(n) + r * words, columns);
    }
  });
}

void run(ThreadPool& threads, const ops::SpikesToSteps& op) { to_steps(op.steps, op.s, threads); }

void run(ThreadPool& threads, const ops::SpikesToLayout& op) {
  const ops::SpikesView& s = op.s;
  const std::size_t P = s.F / std::max<std::size_t>(op.C, 1);
  const std::size_t from_words = s.trains ? (s.F + 63) / 64 : s.row_words;
  parallel_for(threads, s.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<std::uint64_t> rows(s.trains ? s.T * from_words : 0);
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint64_t* from = s.sample(n);
      if (s.trains) {
        kernels::trains_to_steps(rows.data(), from, s.active + n * s.F, s.active_count[n], s.T, s.F);
        from = rows.data();
      }
      std::uint64_t* to = op.steps + n * s.T * op.row_words;
      for (std::size_t t = 0; t < s.T; ++t, from += from_words, to += op.row_words) {
        op.channels_last ? kernels::bits_to_channels_last(to, from, op.C, P)
                         : kernels::bits_to_row_major(to, from, op.C, P);
      }
    }
  });
}

}  // namespace volley::cpu

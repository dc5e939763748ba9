#include "kernels/pool.hpp"
#include "cpu/cpu_executor.hpp"
#include "ops/sample_source.hpp"

namespace volley::cpu {
namespace {

/// Calls body(n) for every stored picture, sample by sample.
template <class Body>
void for_pictures(std::size_t N, std::size_t S, ThreadPool& threads, const Body& body) {
  parallel_for(threads, N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin * S; n < end * S; ++n) body(n);
  });
}

const std::uint64_t* words_of(const ops::SignalView& x, std::size_t picture) {
  return x.spikes.words + picture * x.spikes.row_words;
}
const float* values_of(const ops::SignalView& x, std::size_t picture) { return x.values + picture * x.F; }

/// dx of picture n of a maximum pool.
void max_backward(float* dx, const ops::MaxPoolBackward& op, std::size_t n) {
  const float* dy = op.dy + n * op.taps.positions * op.C;
  if (op.x.is_spikes) {
    kernels::max_pool_backward(dx, dy, words_of(op.x, n), op.taps, op.x.F / op.C, op.C);
  } else {
    kernels::max_pool_backward(dx, dy, values_of(op.x, n), op.taps, op.x.F / op.C, op.C);
  }
}

/// dx of a maximum pool is large and mostly 0: it is made as it is read.
struct MaxPoolGradient final : SampleSource {
  ops::MaxPoolBackward op;
  Signal dy;

  void read(float* to, std::size_t n) const override {
    for (std::size_t t = n * op.x.S; t < (n + 1) * op.x.S; ++t, to += op.x.F) max_backward(to, op, t);
  }
  const Signal& made_from() const override { return dy; }
};

struct MaxPoolWorkspace final : ops::Workspace {
  MaxPoolGradient dx;
};

}  // namespace

void run(ThreadPool& threads, const ops::MaxPoolForward& op) {
  const ops::SignalView& x = op.x;
  const std::size_t positions = op.taps.positions;
  if (x.is_spikes) {
    const std::size_t words = x.spikes.row_words / x.spikes.positions;
    for_pictures(x.N, x.S, threads, [&](std::size_t n) {
      kernels::max_pool_forward(op.s + n * positions * words, words_of(x, n), op.taps, words);
    });
    return;
  }
  for_pictures(x.N, x.S, threads, [&](std::size_t n) {
    kernels::max_pool_forward(op.y + n * positions * op.C, values_of(x, n), op.taps, op.C);
  });
}

void run(ThreadPool& threads, const ops::MaxPoolBackward& op) {
  for_pictures(op.x.N, op.x.S, threads, [&](std::size_t n) { max_backward(op.dx + n * op.x.F, op, n); });
}

const SampleSource* defer(ThreadPool&, const ops::MaxPoolBackward& op, const Signal& dy, ops::Slot& slot) {
  MaxPoolGradient& dx = ops::workspace<MaxPoolWorkspace>(slot).dx;
  dx.op = op;
  dx.dy = dy;
  return &dx;
}

void run(ThreadPool& threads, const ops::WindowSums& op) {
  const ops::SignalView& x = op.x;
  for_pictures(x.N, x.S, threads, [&](std::size_t n) {
    float* y = op.y + n * op.taps.positions * op.C;
    if (x.is_spikes) {
      kernels::avg_pool_forward(y, words_of(x, n), op.shares, op.taps, op.C);
    } else if (op.per_tap) {
      kernels::share_forward(y, values_of(x, n), op.shares, op.taps, op.C);
    } else {
      kernels::avg_pool_forward(y, values_of(x, n), op.shares, op.taps, op.C);
    }
  });
}

void run(ThreadPool& threads, const ops::WindowSumsBackward& op) {
  const auto backward = op.per_tap ? kernels::share_backward : kernels::avg_pool_backward;
  for_pictures(op.N, op.S, threads, [&](std::size_t n) {
    backward(op.dx + n * op.x_positions * op.C, op.dy + n * op.taps.positions * op.C, op.shares, op.taps,
             op.x_positions, op.C);
  });
}

}  // namespace volley::cpu

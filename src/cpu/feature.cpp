#include <cmath>

#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "kernels/linear.hpp"

namespace volley::cpu {
namespace {

constexpr std::size_t kGrain = 4096;  // elements of one piece of work

/// The mask (F) of sample n, in row-major order. (F1)
void draw_mask(float* mask, const ops::DropoutMask& op, std::size_t n) {
  const auto silent = static_cast<std::uint64_t>(std::llround(op.p * 0x1p32));
  const auto kept = static_cast<float>(1 / (1 - op.p));
  PhiloxCounter words{};
  for (std::size_t f = 0; f < op.F; ++f) {
    if (f % 4 == 0) {
      words = philox({static_cast<std::uint32_t>(f / 4), op.addresses[n],
                      static_cast<std::uint32_t>(op.place), static_cast<std::uint32_t>(op.place >> 32)},
                     op.key);
    }
    mask[f] = words[f % 4] < silent ? 0.0f : kept;
  }
}

}  // namespace

void run(ThreadPool& threads, const ops::DropoutMask& op) {
  parallel_for(threads, op.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> row_major(op.channels > 0 ? op.F : 0);
    for (std::size_t n = begin; n < end; ++n) {
      float* mask = op.mask + n * op.F;
      draw_mask(op.channels > 0 ? row_major.data() : mask, op, n);
      if (op.channels > 0) kernels::transpose(mask, row_major.data(), op.channels, op.F / op.channels);
    }
  });
}

void run(ThreadPool& threads, const ops::ApplyMask& op) {
  parallel_for(threads, op.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const float *mask = op.mask + n * op.F, *x = op.x + n * op.S * op.F;
      float* y = op.y + n * op.S * op.F;
      for (std::size_t t = 0; t < op.S; ++t) {
        for (std::size_t f = 0; f < op.F; ++f) y[t * op.F + f] = mask[f] * x[t * op.F + f];
      }
    }
  });
}

void run(ThreadPool& threads, const ops::Voting& op) {
  parallel_for(threads, op.rows * op.K, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float sum = 0;
      for (std::size_t v = 0; v < op.V; ++v) sum += op.x[i * op.V + v];
      op.y[i] = sum / static_cast<float>(op.V);
    }
  });
}

void run(ThreadPool& threads, const ops::VotingBackward& op) {
  parallel_for(threads, op.rows * op.K, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t v = 0; v < op.V; ++v) op.dx[i * op.V + v] = op.dy[i] / static_cast<float>(op.V);
    }
  });
}

}  // namespace volley::cpu

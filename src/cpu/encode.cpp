#include <algorithm>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "kernels/bits.hpp"

namespace volley::cpu {
namespace {

/// body(n) for every sample, shared out.
template <class Body>
void for_samples(std::size_t N, ThreadPool& threads, const Body& body) {
  parallel_for(threads, N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) body(n);
  });
}

/// Words of a row of spikes.
std::size_t words_for(std::size_t bits) { return (bits + 63) / 64; }

}  // namespace

void run(ThreadPool& threads, const ops::LookUp& op) {
  const std::size_t T = op.T, W = op.W, channels = op.C * op.M;
  for_samples(op.pictures.N, threads, [&](std::size_t n) {
    const std::uint8_t* const pixels = op.pictures.of(n);
    float* to = op.out + n * T * channels * W;
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t c = 0; c < channels; ++c, to += W) {
        const std::uint8_t* const row = pixels + (c / op.M * T + t) * W;
        const float* const values = op.table + c * 256;
        for (std::size_t i = 0; i < W; ++i) to[i] = values[row[i]];
      }
    }
  });
}

void run(ThreadPool& threads, const ops::Standardize& op) {
  const std::size_t F = op.C * op.P;
  parallel_for(threads, op.rows, 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin * F; i < end * F; ++i) {
      const std::size_t c = i % F / op.P;
      op.out[i] = (op.x[i] - op.mean[c]) / op.deviation[c];
    }
  });
}

void run(ThreadPool& threads, const ops::TableEncode& op) {
  const std::size_t P = op.P, M = op.M, channels = op.C * M, F = channels * P;
  const std::size_t words = words_for(op.T), row = words_for(F);
  for_samples(op.pictures.N, threads, [&](std::size_t n) {
    Scratch<std::uint64_t> trains(F * words);
    Scratch<std::uint32_t> active(F);
    const std::uint8_t* const pixels = op.pictures.of(n);
    std::size_t count = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t p = 0; p < P; ++p) {
        const std::uint64_t* const from = op.table + (pixels[c / M * P + p] * M + c % M) * words;
        std::uint64_t* const to = trains.data() + count * words;
        std::uint64_t any = 0;
        for (std::size_t w = 0; w < words; ++w) any |= to[w] = from[w];
        if (any != 0) active[count++] = static_cast<std::uint32_t>(c * P + p);
      }
    }
    kernels::trains_to_steps(op.words + n * op.T * row, trains.data(), active.data(), count, op.T, F);
  });
}

void run(ThreadPool& threads, const ops::DeltaEncode& op) {
  const std::size_t T = op.T, W = op.W, rises = op.C * W;
  const std::size_t row_words = words_for(op.off_spikes ? 2 * rises : rises);
  for_samples(op.pictures.N, threads, [&](std::size_t n) {
    const std::uint8_t* const pixels = op.pictures.of(n);
    std::uint64_t* const words = op.words + n * T * row_words;
    std::fill_n(words, T * row_words, std::uint64_t{0});
    for (std::size_t t = op.padding ? 1 : 0; t < T; ++t) {
      const auto fire = [row = words + t * row_words](std::size_t feature) {
        row[feature / 64] |= std::uint64_t{1} << feature % 64;
      };
      for (std::size_t i = 0; i < rises; ++i) {
        const std::uint8_t* const now = pixels + (i / W * T + t) * W + i % W;
        const int change = *now - (t == 0 ? 0 : *(now - W));
        if (change >= op.least) fire(i);
        if (op.off_spikes && change <= -op.least) fire(rises + i);
      }
    }
  });
}

void run(ThreadPool& threads, const ops::RepeatSpikes& op) {
  const ops::SpikesView& x = op.period;
  const std::size_t row = words_for(x.F);
  for_samples(x.N, threads, [&](std::size_t n) {
    Scratch<std::uint64_t> turned(x.trains ? x.T * row : 0);
    const std::uint64_t* steps = x.sample(n);
    if (x.trains) {
      kernels::trains_to_steps(turned.data(), x.sample(n), x.active + n * x.F, x.active_count[n], x.T, x.F);
      steps = turned.data();
    }
    for (std::size_t t = 0; t < op.T; ++t)
      std::copy_n(steps + t % x.T * row, row, op.words + (n * op.T + t) * row);
  });
}

}  // namespace volley::cpu

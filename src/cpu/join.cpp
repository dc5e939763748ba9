#include <algorithm>
#include <cstring>

#include "cpu/cpu_executor.hpp"
#include "kernels/bits.hpp"
#include "ops/join.hpp"

namespace volley::cpu {
namespace {

constexpr std::size_t kGrain = 1 << 14;

/// Rows that a thread takes at a time.
std::size_t rows_of(std::size_t count) {
  return std::max<std::size_t>(1, kGrain / std::max<std::size_t>(count, 1));
}

}  // namespace

void run(ThreadPool& threads, const ops::Connect& op) {
  const float *b = op.b, *s = op.s;
  float* y = op.y;
  parallel_for(threads, op.size, kGrain, [&](std::size_t begin, std::size_t end) {
    switch (op.how) {
      case ops::Connection::add:
        for (std::size_t i = begin; i < end; ++i) y[i] = b[i] + s[i];
        break;
      case ops::Connection::both:
        for (std::size_t i = begin; i < end; ++i) y[i] = b[i] * s[i];
        break;
      case ops::Connection::inhibit:
        for (std::size_t i = begin; i < end; ++i) y[i] = (1 - b[i]) * s[i];
        break;
    }
  });
}

void run(ThreadPool& threads, const ops::ConnectSpikes& op) {
  const auto join = op.how == ops::Connection::both ? kernels::and_words : kernels::inhibit_words;
  parallel_for(threads, op.words, kGrain, [&](std::size_t begin, std::size_t end) {
    join(op.y + begin, op.b + begin, op.s + begin, end - begin);
  });
}

void run(ThreadPool& threads, const ops::ConnectBackward& op) {
  const float *dy = op.dy, *b = op.b, *s = op.s;
  float *db = op.db, *ds = op.ds;
  parallel_for(threads, op.size, kGrain, [&](std::size_t begin, std::size_t end) {
    switch (op.how) {
      case ops::Connection::add:
        for (std::size_t i = begin; i < end; ++i) db[i] = ds[i] = dy[i];
        break;
      case ops::Connection::both:
        for (std::size_t i = begin; i < end; ++i) {
          db[i] = dy[i] * s[i];
          ds[i] = dy[i] * b[i];
        }
        break;
      case ops::Connection::inhibit:
        for (std::size_t i = begin; i < end; ++i) {
          db[i] = -dy[i] * s[i];
          ds[i] = dy[i] * (1 - b[i]);
        }
        break;
    }
  });
}

void run(ThreadPool& threads, const ops::CopyRows& op) {
  parallel_for(threads, op.rows, rows_of(op.count), [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const float* const from = op.from + op.from_begin + r * op.from_stride;
      float* const to = op.to + op.to_begin + r * op.to_stride;
      if (op.add) {
        for (std::size_t i = 0; i < op.count; ++i) to[i] += from[i];
      } else {
        std::copy_n(from, op.count, to);
      }
    }
  });
}

void run(ThreadPool& threads, const ops::CopyWords& op) {
  parallel_for(threads, op.rows, rows_of(op.count), [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r)
      std::copy_n(op.from + op.from_begin + r * op.from_stride, op.count,
                  op.to + op.to_begin + r * op.to_stride);
  });
}

void run(ThreadPool& threads, const ops::CopyBits& op) {
  const std::size_t word = op.first / 64, shift = op.first % 64;
  const std::size_t used = (op.count + 63) / 64;
  parallel_for(threads, op.rows, rows_of(op.to_words), [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const std::uint64_t* const from = op.from + r * op.from_words;
      std::uint64_t* const to = op.to + r * op.to_words;
      if (shift == 0) {
        std::fill(to + word, to + op.to_words, 0);
      } else {
        to[word] &= (std::uint64_t{1} << shift) - 1;
        std::fill(to + word + 1, to + op.to_words, 0);
      }
      for (std::size_t w = 0; w < used; ++w) {
        to[word + w] |= from[w] << shift;
        const std::uint64_t over = shift == 0 ? 0 : from[w] >> (64 - shift);
        if (over != 0) to[word + w + 1] |= over;
      }
    }
  });
}

void run(ThreadPool& threads, const ops::PackSpikes& op) {
  parallel_for(threads, op.rows, rows_of(op.F), [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const float* const x = op.x + r * op.F;
      std::uint64_t* const words = op.words + r * op.row_words;
      std::fill_n(words, op.row_words, 0);
      for (std::size_t f = 0; f < op.F; ++f) words[f / 64] |= std::uint64_t{x[f] != 0} << f % 64;
    }
  });
}

}  // namespace volley::cpu

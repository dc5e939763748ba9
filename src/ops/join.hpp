#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/views.hpp"

namespace volley::ops {

// Signals that are joined, cut and put together: docs/math/residual.md, docs/math/graph.md.

/// b + s; b s; (1 - b) s: (J1) of docs/math/residual.md
enum class Connection { add, both, inhibit };
struct Connect {
  Connection how;
  const float *b, *s;
  float* y;
  std::size_t size;
};
/// The same of words of spikes; not add.
struct ConnectSpikes {
  Connection how;
  const std::uint64_t *b, *s;
  std::uint64_t* y;
  std::size_t words;
};
/// (J2)
struct ConnectBackward {
  Connection how;
  const float *dy, *b, *s;
  float *db, *ds;
  std::size_t size;
};

/// Rows of `count` values, `from_stride` apart, to rows `to_stride` apart; with `add` they are added to what
/// is there.
struct CopyRows {
  const float* from;
  float* to;
  std::size_t rows, count, from_stride, to_stride;
  std::size_t from_begin = 0, to_begin = 0;  // of the first row
  bool add = false;
};
/// The same of words of spikes.
struct CopyWords {
  const std::uint64_t* from;
  std::uint64_t* to;
  std::size_t rows, count, from_stride, to_stride;
  std::size_t from_begin = 0, to_begin = 0;
};
/// Rows of `count` bits of `from_words` words, to bit `first` on of rows of `to_words` words. What is there
/// from that bit on is overwritten, up to the end of the row.
struct CopyBits {
  const std::uint64_t* from;
  std::uint64_t* to;
  std::size_t rows, count, from_words, to_words, first;
};
/// Rows (rows, F) of spikes, in words, of values: 0 is none.
struct PackSpikes {
  const float* x;
  std::size_t rows, F, row_words;
  std::uint64_t* words;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_JOIN_OPERATION(X) \
  X(Connect)                              \
  X(ConnectSpikes)                        \
  X(ConnectBackward)                      \
  X(CopyRows)                             \
  X(CopyWords)                            \
  X(CopyBits)                             \
  X(PackSpikes)

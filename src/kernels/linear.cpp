#include "kernels/linear.hpp"

#include <algorithm>

#include "core/workspace.hpp"
#include "kernels/bits.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/linear.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/turn-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

// ---- forward, lanes = time
// ----------------------------------------------------------------------------------------

struct TrainForward {
  float* turned;  // (out, W * 64): y, turned
  const std::uint64_t* trains;
  const std::uint32_t* active;
  std::size_t active_count;
  const float* weight;
  const float* bias;
  std::size_t in, W;
};

/// a + b; an addition and a multiplication by one give the same bits, and in turn they keep both kinds of
/// unit busy.
HWY_INLINE VF add_in_turn(std::size_t turn, VF a, VF b) {
  return turn % 2 == 0 ? hn::Add(a, b) : hn::MulAdd(b, hn::Set(F32(), 1.0f), a);
}

/// kOutputs outputs from `o` on, kVectors vectors of steps from `t` on.
template <std::size_t kOutputs, std::size_t kVectors>
HWY_INLINE void train_tile(const TrainForward& p, std::size_t o, std::size_t t) {
  const F32 d;
  VF sum[kOutputs][kVectors];
  for (std::size_t r = 0; r < kOutputs; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v)
      sum[r][v] = hn::Set(d, p.bias != nullptr ? p.bias[o + r] : 0.0f);
  }
  for (std::size_t a = 0; a < p.active_count; ++a) {
    const std::size_t f = p.active[a];
    const std::uint8_t* train = reinterpret_cast<const std::uint8_t*>(p.trains + a * p.W);
    MF fired[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) fired[v] = mask_at(train, t + v * kLanes);
    for (std::size_t r = 0; r < kOutputs; ++r) {
      const VF w = hn::Set(d, p.weight[(o + r) * p.in + f]);
      for (std::size_t v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::IfThenElse(fired[v], add_in_turn(r, sum[r][v], w), sum[r][v]);
      }
    }
  }
  for (std::size_t r = 0; r < kOutputs; ++r) {
    float* row = p.turned + (o + r) * p.W * 64 + t;
    for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, row + v * kLanes);
  }
}

template <std::size_t kVectors>
HWY_INLINE void train_columns(const TrainForward& p, std::size_t out, std::size_t t) {
  std::size_t o = 0;
  for (; o + 4 <= out; o += 4) train_tile<4, kVectors>(p, o, t);
  for (; o + 2 <= out; o += 2) train_tile<2, kVectors>(p, o, t);
  for (; o < out; ++o) train_tile<1, kVectors>(p, o, t);
}

void transpose(float* out, const float* in, std::size_t rows, std::size_t columns, std::size_t in_row) {
  constexpr std::size_t kTile = 16;  // a cache line of floats
  for (std::size_t r = 0; r < rows; r += kTile) {
    for (std::size_t c = 0; c < columns; c += kTile) {
      turn_tile(out + c * rows + r, rows, in + r * in_row + c, in_row, HWY_MIN(kTile, rows - r),
                HWY_MIN(kTile, columns - c));
    }
  }
}

void add_transposed(float* out, std::size_t out_row, const float* in, std::size_t in_row, std::size_t rows,
                    std::size_t columns) {
  const F32 d;
  constexpr std::size_t kTile = 16;
  HWY_ALIGN float tile[kTile * kTile];
  for (std::size_t r = 0; r < rows; r += kTile) {
    const std::size_t lanes = HWY_MIN(kTile, rows - r);
    for (std::size_t c = 0; c < columns; c += kTile) {
      const std::size_t count = HWY_MIN(kTile, columns - c);
      turn_tile(tile, kTile, in + r * in_row + c, in_row, lanes, count);
      for (std::size_t k = 0; k < count; ++k) {
        float* to = out + (c + k) * out_row + r;
        for (std::size_t v = 0; v < lanes; v += kLanes) {
          const std::size_t here = HWY_MIN(kLanes, lanes - v);
          store_up_to(hn::Add(load_up_to(to + v, here), hn::Load(d, tile + k * kTile + v)), to + v, here);
        }
      }
    }
  }
}

void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out) {
  const std::size_t W = (T + 63) / 64;
  Scratch<float> turned(out * W * 64);
  const TrainForward p{turned.data(), trains, active, active_count, weight, bias, in, W};
  const std::size_t vectors = (T + kLanes - 1) / kLanes;
  std::size_t v = 0;
  for (; v + 4 <= vectors; v += 4) train_columns<4>(p, out, v * kLanes);
  switch (vectors - v) {
    case 3: train_columns<3>(p, out, v * kLanes); break;
    case 2: train_columns<2>(p, out, v * kLanes); break;
    case 1: train_columns<1>(p, out, v * kLanes); break;
    default: break;
  }
  transpose(y, turned.data(), out, T, W * 64);
}

// ---- weight gradient of spikes
// ------------------------------------------------------------------------------------

constexpr std::size_t kColumns = kGradientColumns;
constexpr std::size_t kColumnVectors = kColumns / kLanes;
constexpr std::size_t kChunkSteps = 128;  // steps that one table covers: 32 groups of four

/// table (groups, 16, kColumns): entry m of a group is the sum of those of its four rows of dy whose bit is
/// in m, added in the order of the steps. Rows beyond T and columns beyond `out` are 0.
HWY_INLINE void build_table(float* HWY_RESTRICT table, const float* dy, std::size_t steps, std::size_t out,
                            std::size_t columns) {
  const F32 d;
  for (std::size_t t = 0; t < steps; t += 4, table += 16 * kColumns) {
    for (std::size_t v = 0; v < kColumnVectors; ++v) {
      const std::size_t first = v * kLanes;
      const std::size_t lanes = first >= columns ? 0 : HWY_MIN(kLanes, columns - first);
      VF row[4];
      for (std::size_t k = 0; k < 4; ++k) {
        row[k] = t + k < steps && lanes > 0 ? load_first(dy + (t + k) * out + first, lanes) : hn::Zero(d);
      }
      VF sums[16];
      sums[0] = hn::Zero(d);
      for (std::size_t k = 0; k < 4; ++k) {
        sums[1u << k] = row[k];
        for (std::size_t m = 1; m < (1u << k); ++m) sums[m | 1u << k] = hn::Add(sums[m], row[k]);
      }
      for (std::size_t m = 0; m < 16; ++m) hn::Store(sums[m], d, table + m * kColumns + first);
    }
  }
}

/// The eight nibbles of `bits`, each times 16 in a byte of its own.
HWY_INLINE std::uint64_t spread_nibbles(std::uint32_t bits) {
  std::uint64_t x = bits;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  return (x & 0x000f000f000f000fu) << 4 | (x & 0x00f000f000f000f0u) << 8;
}

/// sums rows of kFeatures features += the table's entries at their trains' nibbles, in the order of time.
template <std::size_t kFeatures>
HWY_INLINE void add_from_table(float* HWY_RESTRICT sums, const float* HWY_RESTRICT table,
                               const std::uint32_t* features, const std::uint32_t* row_of,
                               std::size_t first_row, const std::uint64_t* trains, std::size_t W,
                               std::size_t word, std::size_t steps) {
  const F32 d;
  VF sum[kFeatures][kColumnVectors];
  unrolled<kFeatures>([&](auto i) {
    const float* row = sums + (row_of[features[i]] - first_row) * kColumns;
    unrolled<kColumnVectors>([&](auto v) { sum[i][v] = hn::Load(d, row + v * kLanes); });
  });
  for (std::size_t t = 0; t < steps; t += 32) {
    std::uint64_t nibbles[kFeatures];
    unrolled<kFeatures>([&](auto i) {
      const std::uint64_t bits = trains[i * W + word + t / 64] >> t % 64;
      nibbles[i] = spread_nibbles(static_cast<std::uint32_t>(bits));
    });
    const std::size_t groups = (HWY_MIN(std::size_t{32}, steps - t) + 3) / 4;
    for (std::size_t g = 0; g < groups; ++g, table += 16 * kColumns) {
      unrolled<kFeatures>([&](auto i) {
        const float* entry = table + (nibbles[i] & 0xff) * (kColumns / 16);
        nibbles[i] >>= 8;
        unrolled<kColumnVectors>(
            [&](auto v) { sum[i][v] = hn::Add(sum[i][v], hn::Load(d, entry + v * kLanes)); });
      });
    }
  }
  unrolled<kFeatures>([&](auto i) {
    float* row = sums + (row_of[features[i]] - first_row) * kColumns;
    unrolled<kColumnVectors>([&](auto v) { hn::Store(sum[i][v], d, row + v * kLanes); });
  });
}

/// Asks for a cache line of each of the rows, where they are far apart: the processor does not foresee those.
HWY_INLINE void prefetch_rows(const float* from, std::size_t rows, std::size_t row) {
  if (row <= 2 * kColumns) return;
  for (std::size_t r = 0; r < rows; ++r) __builtin_prefetch(from + r * row);
}

void linear_weight_gradient_trains(float* sums, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t columns, const std::uint32_t* row_of, std::size_t f_begin,
                                   std::size_t f_end, float* table) {
  // Features whose sums run side by side, to hide the latency of an addition.
  constexpr std::size_t kFeatures = kLanes == 16 ? 8 : 4;
  const std::size_t W = (x.T + 63) / 64;
  if (f_begin == f_end) return;
  const std::size_t first_row = row_of[f_begin];
  for (std::size_t n = 0; n < x.N; ++n) {
    const std::uint32_t* active = x.active + n * x.in;
    const std::uint32_t* first = std::lower_bound(active, active + x.active_count[n], f_begin);
    const std::uint32_t* last = std::lower_bound(first, active + x.active_count[n], f_end);
    if (first == last) continue;
    prefetch_rows(dy + (n + 1) * x.T * out, n + 1 < x.N ? x.T : 0, out);
    const std::uint64_t* trains = x.trains + (n * x.in + static_cast<std::size_t>(first - active)) * W;
    for (std::size_t t = 0; t < x.T; t += kChunkSteps) {
      const std::size_t steps = HWY_MIN(kChunkSteps, x.T - t);
      build_table(table, dy + (n * x.T + t) * out, steps, out, columns);
      const std::uint32_t* f = first;
      for (; f + kFeatures <= last; f += kFeatures) {
        add_from_table<kFeatures>(sums, table, f, row_of, first_row, trains + (f - first) * W, W, t / 64,
                                  steps);
      }
      for (; f < last; ++f)
        add_from_table<1>(sums, table, f, row_of, first_row, trains + (f - first) * W, W, t / 64, steps);
    }
  }
}

// ---- dense
// --------------------------------------------------------------------------------------------------------

// Vectors of C side by side: as many as the registers hold, beside what they are made from.
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kPanelVectors = kLanes == 16 ? 4 : 2;

constexpr std::size_t kRowsAhead = 8;

/// Asks for the cache lines of `columns` numbers.
HWY_INLINE void prefetch_row(const float* from, std::size_t columns) {
  for (std::size_t i = 0; i < columns; i += 16) __builtin_prefetch(from + i);
}

/// The part of a product that goes over `depth` of its k: B from this row and column on, with rows of b_row.
struct ProductPart {
  const float* a;
  std::size_t a_row, a_column;
  const float* b;
  std::size_t b_row;
  float* c;
  std::size_t c_row;
  std::size_t depth;
  bool from_c;  // whether the sums begin with what is in C, or with 0
};

template <std::size_t kCount, std::size_t kVectors, bool kFull>
HWY_INLINE void product_tile(const ProductPart& p, std::size_t i, std::size_t j,
                             const Row<kVectors, kFull>& row) {
  const F32 d;
  float* c = p.c + i * p.c_row + j;
  VF sum[kCount][kVectors];
  for (std::size_t r = 0; r < kCount; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v)
      sum[r][v] = p.from_c ? row.load(c + r * p.c_row, v) : hn::Zero(d);
  }
  const float* a = p.a + i * p.a_row;
  const float* b = p.b + j;
  for (std::size_t k = 0; k < p.depth; ++k, a += p.a_column, b += p.b_row) {
    VF values[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) values[v] = row.load(b, v);
    for (std::size_t r = 0; r < kCount; ++r) {
      const VF factor = hn::Set(d, a[r * p.a_row]);
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, values[v], sum[r][v]);
    }
  }
  for (std::size_t r = 0; r < kCount; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) row.store(sum[r][v], c + r * p.c_row, v);
  }
}

void matrix_product(const MatrixProduct& p, float* panel) {
  if (p.k == 0 && !p.accumulate) {  // sums of nothing
    for (std::size_t i = 0; i < p.m; ++i) std::fill_n(p.c + i * p.c_row, p.n, 0.0f);
  }
  for (std::size_t k = 0; k < p.k; k += kProductDepth) {
    const std::size_t depth = HWY_MIN(kProductDepth, p.k - k);
    for (std::size_t j = 0; j < p.n; j += kProductColumns) {
      const std::size_t columns = HWY_MIN(kProductColumns, p.n - j);
      ProductPart part{
          p.a + k * p.a_column, p.a_row, p.a_column, p.b + k * p.b_row + j, p.b_row, p.c + j, p.c_row, depth,
          p.accumulate || k > 0};
      if (p.m > 2 * kTileRows) {  // B is read often enough for a copy without gaps to be worth it
        for (std::size_t r = 0; r < depth; ++r) {
          // Rows are far apart: the processor does not foresee the next.
          if (r + kRowsAhead < depth) prefetch_row(part.b + (r + kRowsAhead) * p.b_row, columns);
          std::memcpy(panel + r * kProductColumns, part.b + r * p.b_row, columns * sizeof *panel);
        }
        part.b = panel;
        part.b_row = kProductColumns;
      }
      for_columns<kPanelVectors>(columns, [&](std::size_t o, const auto& row) {
        std::size_t i = 0;
        for (; i + kTileRows <= p.m; i += kTileRows) product_tile<kTileRows>(part, i, o, row);
        for (; i + 2 <= p.m; i += 2) product_tile<2>(part, i, o, row);
        for (; i < p.m; ++i) product_tile<1>(part, i, o, row);
      });
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(linear_forward_trains);
HWY_EXPORT(linear_weight_gradient_trains);
HWY_EXPORT(matrix_product);
HWY_EXPORT(transpose);
HWY_EXPORT(add_transposed);

void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out) {
  HWY_DYNAMIC_DISPATCH(linear_forward_trains)
  (y, trains, active, active_count, weight, bias, T, in, out);
}

void linear_weight_gradient_trains(float* sums, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t columns, const std::uint32_t* row_of, std::size_t f_begin,
                                   std::size_t f_end, float* scratch) {
  HWY_DYNAMIC_DISPATCH(linear_weight_gradient_trains)
  (sums, dy, x, out, columns, row_of, f_begin, f_end, scratch);
}

void matrix_product(const MatrixProduct& p, float* panel) { HWY_DYNAMIC_DISPATCH(matrix_product)(p, panel); }

void transpose(float* out, const float* in, std::size_t rows, std::size_t columns, std::size_t in_row) {
  HWY_DYNAMIC_DISPATCH(transpose)(out, in, rows, columns, in_row);
}

void add_transposed(float* out, std::size_t out_row, const float* in, std::size_t in_row, std::size_t rows,
                    std::size_t columns) {
  HWY_DYNAMIC_DISPATCH(add_transposed)(out, out_row, in, in_row, rows, columns);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

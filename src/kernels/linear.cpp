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

// ---- forward, lanes = outputs
// -------------------------------------------------------------------------------------

/// Outputs from `o` on of one row: to y, or to what it begins with, are added the weights of the listed
/// inputs.
template <std::size_t kVectors, bool kFull>
HWY_INLINE void gather_tile(float* y, const float* begin_with, const std::uint32_t* list, std::size_t count,
                            const float* weight, std::size_t columns, const Row<kVectors, kFull>& row) {
  VF sum[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    sum[v] = begin_with != nullptr ? row.load(begin_with, v) : hn::Zero(F32());
  }
  for (std::size_t i = 0; i < count; ++i) {
    const float* w = weight + list[i] * columns;
    for (std::size_t v = 0; v < kVectors; ++v) sum[v] = add_in_turn(v, sum[v], row.load(w, v));
  }
  for (std::size_t v = 0; v < kVectors; ++v) row.store(sum[v], y, v);
}

void linear_forward_steps(float* y, const std::uint64_t* steps, const float* weight, const float* bias,
                          std::size_t rows, std::size_t in, std::size_t out, std::uint32_t* list) {
  const std::size_t FW = (in + 63) / 64;
  std::size_t ends[kListRows + 1] = {};
  // So many rows, inputs and outputs at a time that the weights between them stay in the cache for all rows.
  for (std::size_t first = 0; first < rows; first += kListRows) {
    const std::size_t count = HWY_MIN(kListRows, rows - first);
    for (std::size_t f = 0; f < in; f += kListInputs) {
      for (std::size_t r = 0; r < count; ++r) {
        const std::uint64_t* words = steps + (first + r) * FW + f / 64;
        ends[r + 1] = ends[r] + list_bits(list + ends[r], words, HWY_MIN(kListInputs, in - f));
      }
      for (std::size_t o = 0; o < out; o += kStepColumns) {
        const std::size_t columns = HWY_MIN(kStepColumns, out - o);
        const float* panel = weight + o * in + f * columns;
        for_columns<8>(columns, [&](std::size_t c, const auto& row) {
          for (std::size_t r = 0; r < count; ++r) {
            float* to = y + (first + r) * out + o + c;
            const float* begin_with = f > 0 ? to : bias != nullptr ? bias + o + c : nullptr;
            gather_tile(to, begin_with, list + ends[r], ends[r + 1] - ends[r], panel + c, columns, row);
          }
        });
      }
    }
  }
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

/// panel rows of kFeatures features += the table's entries at their trains' nibbles, in the order of time.
template <std::size_t kFeatures>
HWY_INLINE void add_from_table(float* HWY_RESTRICT panel, const float* HWY_RESTRICT table,
                               const std::uint32_t* features, std::size_t f_begin,
                               const std::uint64_t* trains, std::size_t W, std::size_t word,
                               std::size_t steps) {
  const F32 d;
  VF sum[kFeatures][kColumnVectors];
  for (std::size_t i = 0; i < kFeatures; ++i) {
    const float* row = panel + (features[i] - f_begin) * kColumns;
    for (std::size_t v = 0; v < kColumnVectors; ++v) sum[i][v] = hn::Load(d, row + v * kLanes);
  }
  for (std::size_t t = 0; t < steps; t += 64, ++word) {
    std::uint64_t bits[kFeatures];
    for (std::size_t i = 0; i < kFeatures; ++i) bits[i] = trains[i * W + word];
    for (std::size_t k = t; k < HWY_MIN(t + 64, steps); k += 4, table += 16 * kColumns) {
      for (std::size_t i = 0; i < kFeatures; ++i) {
        const float* entry = table + (bits[i] & 15) * kColumns;
        bits[i] >>= 4;
        for (std::size_t v = 0; v < kColumnVectors; ++v) {
          sum[i][v] = hn::Add(sum[i][v], hn::Load(d, entry + v * kLanes));
        }
      }
    }
  }
  for (std::size_t i = 0; i < kFeatures; ++i) {
    float* row = panel + (features[i] - f_begin) * kColumns;
    for (std::size_t v = 0; v < kColumnVectors; ++v) hn::Store(sum[i][v], d, row + v * kLanes);
  }
}

/// Asks for a cache line of each of the rows, where they are far apart: the processor does not foresee those.
HWY_INLINE void prefetch_rows(const float* from, std::size_t rows, std::size_t row) {
  if (row <= 2 * kColumns) return;
  for (std::size_t r = 0; r < rows; ++r) __builtin_prefetch(from + r * row);
}

void linear_weight_gradient_trains(float* dweight, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t o_begin, std::size_t f_begin, std::size_t f_end,
                                   float* scratch) {
  constexpr std::size_t kFeatures = 4;  // whose sums run side by side, to hide the latency of an addition
  const std::size_t W = (x.T + 63) / 64;
  const std::size_t columns = HWY_MIN(kColumns, out - o_begin);
  float* panel = scratch;  // (f_end - f_begin, kColumns)
  float* table = scratch + (f_end - f_begin) * kColumns;
  std::fill(panel, table, 0.0f);
  for (std::size_t n = 0; n < x.N; ++n) {
    const std::uint32_t* active = x.active + n * x.in;
    const std::uint32_t* first = std::lower_bound(active, active + x.active_count[n], f_begin);
    const std::uint32_t* last = std::lower_bound(first, active + x.active_count[n], f_end);
    if (first == last) continue;
    prefetch_rows(dy + ((n + 1) * x.T) * out + o_begin, n + 1 < x.N ? x.T : 0, out);
    const std::uint64_t* trains = x.trains + (n * x.in + static_cast<std::size_t>(first - active)) * W;
    for (std::size_t t = 0; t < x.T; t += kChunkSteps) {
      const std::size_t steps = HWY_MIN(kChunkSteps, x.T - t);
      build_table(table, dy + (n * x.T + t) * out + o_begin, steps, out, columns);
      const std::uint32_t* f = first;
      for (; f + kFeatures <= last; f += kFeatures) {
        add_from_table<kFeatures>(panel, table, f, f_begin, trains + (f - first) * W, W, t / 64, steps);
      }
      for (; f < last; ++f)
        add_from_table<1>(panel, table, f, f_begin, trains + (f - first) * W, W, t / 64, steps);
    }
  }
  for (std::size_t o = 0; o < columns; ++o) {
    float* row = dweight + (o_begin + o) * x.in;
    for (std::size_t f = f_begin; f < f_end; ++f) row[f] += panel[(f - f_begin) * kColumns + o];
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
HWY_EXPORT(linear_forward_steps);
HWY_EXPORT(linear_weight_gradient_trains);
HWY_EXPORT(matrix_product);
HWY_EXPORT(transpose);

void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out) {
  HWY_DYNAMIC_DISPATCH(linear_forward_trains)
  (y, trains, active, active_count, weight, bias, T, in, out);
}

void linear_forward_steps(float* y, const std::uint64_t* steps, const float* weight, const float* bias,
                          std::size_t rows, std::size_t in, std::size_t out, std::uint32_t* list) {
  HWY_DYNAMIC_DISPATCH(linear_forward_steps)(y, steps, weight, bias, rows, in, out, list);
}

void linear_weight_gradient_trains(float* dweight, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t o_begin, std::size_t f_begin, std::size_t f_end,
                                   float* scratch) {
  HWY_DYNAMIC_DISPATCH(linear_weight_gradient_trains)(dweight, dy, x, out, o_begin, f_begin, f_end, scratch);
}

void linear_words(std::uint32_t* words, std::size_t stride, const std::uint64_t* steps, const RowList& rows,
                  std::size_t FW, std::size_t begin, std::size_t end) {
  for (std::size_t w = begin; w < end; ++w) {
    std::uint32_t* low = words + 2 * w * stride;
    std::uint32_t* high = low + stride;
    for (std::size_t r = 0; r < rows.count; ++r) {
      const std::uint64_t word = steps[rows.row[r] * FW + w];
      low[r] = static_cast<std::uint32_t>(word);
      high[r] = static_cast<std::uint32_t>(word >> 32);
    }
    std::fill(low + rows.count, low + stride, 0u);
    std::fill(high + rows.count, high + stride, 0u);
  }
}

void linear_forward_lookup(float* y, std::size_t out, const std::uint32_t* words, const float* weight,
                           const float* bias, const RowList& rows, std::size_t in, std::size_t outputs,
                           float* scratch) {
  const std::size_t stride = lookup_stride(rows.count);
  float* table = scratch;
  float* sums = scratch + lookup_table_size(kLookupWords * kWordNibbles);
  for (std::size_t o = 0; o < kLookupColumns; ++o) {
    std::fill_n(sums + o * stride, stride, bias != nullptr && o < outputs ? bias[o] : 0.0f);
  }
  constexpr std::size_t kInputs = kLookupWords * 32;
  for (std::size_t f = 0; f < in; f += kInputs, words += kLookupWords * stride) {
    const std::size_t inputs = std::min(kInputs, in - f), count = (inputs + 31) / 32;
    const NibbleWords bits{words, stride, rows.count, count, count, (inputs - 32 * (count - 1) + 3) / 4};
    for (std::size_t o = 0; o < outputs; o += kLookupOutputs) {
      const float* from = weight + o * in + f;
      const std::size_t here = std::min(kLookupOutputs, outputs - o);
      lookup_table(table, {from, in, 4, 1}, inputs / 4, 4, here);
      lookup_table(table + lookup_table_size(inputs / 4), {from + inputs / 4 * 4, in, 4, 1}, inputs % 4 != 0,
                   inputs % 4, here);
      lookup_add(sums + o * stride, stride, table, bits);
    }
  }
  for (std::size_t r = 0; r < rows.count; r += kLookupRows) {
    float block[kLookupRows * kLookupColumns];
    const std::size_t count = std::min(kLookupRows, rows.count - r);
    store_turned(block, kLookupColumns, sums + r, stride, count, outputs);
    for (std::size_t k = 0; k < count; ++k) {
      std::copy_n(block + k * kLookupColumns, outputs, y + rows.row[r + k] * out);
    }
  }
}

void step_weights(float* to, const float* weight, std::size_t in, std::size_t out, std::size_t panel) {
  const std::size_t o = panel * kStepColumns;
  transpose(to + o * in, weight + o * in, std::min(kStepColumns, out - o), in);
}

void matrix_product(const MatrixProduct& p, float* panel) { HWY_DYNAMIC_DISPATCH(matrix_product)(p, panel); }

void transpose(float* out, const float* in, std::size_t rows, std::size_t columns, std::size_t in_row) {
  HWY_DYNAMIC_DISPATCH(transpose)(out, in, rows, columns, in_row);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

#include "kernels/linear.hpp"

#include <algorithm>

#include "kernels/bits.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/linear.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

// ---- forward, lanes = time
// ----------------------------------------------------------------------------------------

struct TrainForward {
  float* y;
  const std::uint64_t* trains;
  const std::uint32_t* active;
  std::size_t active_count;
  const float* weight;
  const float* bias;
  std::size_t T, in, out, W;
};

/// kOutputs outputs from `o` on, kVectors vectors of steps from `t` on.
template <std::size_t kOutputs, std::size_t kVectors>
HWY_INLINE void train_tile(const TrainForward& p, std::size_t o, std::size_t t) {
  const F32 d;
  const VF one = hn::Set(d, 1.0f);
  VF sum[kOutputs][kVectors];
  for (std::size_t r = 0; r < kOutputs; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v)
      sum[r][v] = hn::Set(d, p.bias != nullptr ? p.bias[o + r] : 0.0f);
  }
  for (std::size_t a = 0; a < p.active_count; ++a) {
    const std::size_t f = p.active[a];
    const std::uint8_t* train = reinterpret_cast<const std::uint8_t*>(p.trains + a * p.W);
    MF fired[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
      fired[v] = mask_at(train, t + v * kLanes);
    }
    for (std::size_t r = 0; r < kOutputs; ++r) {
      const VF w = hn::Set(d, p.weight[(o + r) * p.in + f]);
      // An addition and a multiplication by one give the same bits; in turn they keep both kinds of unit
      // busy.
      for (std::size_t v = 0; v < kVectors; ++v) {
        const VF added = r % 2 == 0 ? hn::Add(sum[r][v], w) : hn::MulAdd(w, one, sum[r][v]);
        sum[r][v] = hn::IfThenElse(fired[v], added, sum[r][v]);
      }
    }
  }
  HWY_ALIGN float lanes[kVectors * kLanes];
  const std::size_t steps = HWY_MIN(kVectors * kLanes, p.T - t);
  for (std::size_t r = 0; r < kOutputs; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) hn::Store(sum[r][v], d, lanes + v * kLanes);
    for (std::size_t i = 0; i < steps; ++i) p.y[(t + i) * p.out + o + r] = lanes[i];
  }
}

template <std::size_t kVectors>
HWY_INLINE void train_columns(const TrainForward& p, std::size_t t) {
  std::size_t o = 0;
  for (; o + 4 <= p.out; o += 4) train_tile<4, kVectors>(p, o, t);
  for (; o + 2 <= p.out; o += 2) train_tile<2, kVectors>(p, o, t);
  for (; o < p.out; ++o) train_tile<1, kVectors>(p, o, t);
}

void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out) {
  const TrainForward p{y, trains, active, active_count, weight, bias, T, in, out, (T + 63) / 64};
  const std::size_t vectors = (T + kLanes - 1) / kLanes;
  std::size_t v = 0;
  for (; v + 4 <= vectors; v += 4) train_columns<4>(p, v * kLanes);
  switch (vectors - v) {
    case 3: train_columns<3>(p, v * kLanes); break;
    case 2: train_columns<2>(p, v * kLanes); break;
    case 1: train_columns<1>(p, v * kLanes); break;
    default: break;
  }
}

// ---- forward, lanes = outputs
// -------------------------------------------------------------------------------------

/// kVectors vectors of outputs from `o` on, of one row; `lanes` of the last vector are real.
template <std::size_t kVectors, bool kFull>
HWY_INLINE void gather_tile(float* y, const std::uint32_t* list, std::size_t count, const float* weight_t,
                            const float* bias, std::size_t out, std::size_t o, std::size_t lanes) {
  const F32 d;
  const auto load = [&](const float* p, std::size_t v) {
    return kFull || v + 1 < kVectors ? hn::LoadU(d, p + v * kLanes) : load_first(p + v * kLanes, lanes);
  };
  VF sum[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) sum[v] = bias != nullptr ? load(bias + o, v) : hn::Zero(d);
  for (std::size_t i = 0; i < count; ++i) {
    const float* row = weight_t + list[i] * out + o;
    for (std::size_t v = 0; v < kVectors; ++v) sum[v] = hn::Add(sum[v], load(row, v));
  }
  for (std::size_t v = 0; v < kVectors; ++v) {
    if (kFull || v + 1 < kVectors) {
      hn::StoreU(sum[v], d, y + o + v * kLanes);
    } else {
      store_first(sum[v], y + o + v * kLanes, lanes);
    }
  }
}

void linear_forward_steps(float* y, const std::uint64_t* steps, const float* weight_t, const float* bias,
                          std::size_t rows, std::size_t in, std::size_t out, std::uint32_t* list) {
  const std::size_t FW = (in + 63) / 64;
  std::size_t ends[kListRows];
  for (std::size_t first = 0; first < rows; first += kListRows) {
    const std::size_t count = HWY_MIN(kListRows, rows - first);
    std::size_t end = 0;
    for (std::size_t r = 0; r < count; ++r)
      ends[r] = end += list_bits(list + end, steps + (first + r) * FW, in);
    // A panel of columns at a time, so that its weights stay in the cache for all rows.
    constexpr std::size_t kPanel = 8;
    for (std::size_t o = 0; o < out;) {
      const std::size_t left = out - o;
      const std::size_t width = left >= kPanel * kLanes ? kPanel * kLanes : HWY_MIN(left, kLanes);
      for (std::size_t r = 0; r < count; ++r) {
        const std::size_t begin = r == 0 ? 0 : ends[r - 1];
        float* row = y + (first + r) * out;
        if (width == kPanel * kLanes) {
          gather_tile<kPanel, true>(row, list + begin, ends[r] - begin, weight_t, bias, out, o, kLanes);
        } else if (width == kLanes) {
          gather_tile<1, true>(row, list + begin, ends[r] - begin, weight_t, bias, out, o, kLanes);
        } else {
          gather_tile<1, false>(row, list + begin, ends[r] - begin, weight_t, bias, out, o, width);
        }
      }
      o += width;
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

template <std::size_t kRows, std::size_t kVectors, bool kFull>
HWY_INLINE void product_tile(const MatrixProduct& p, std::size_t i, std::size_t j, std::size_t lanes) {
  const F32 d;
  const auto load = [&](const float* at, std::size_t v) {
    return kFull || v + 1 < kVectors ? hn::LoadU(d, at + v * kLanes) : load_first(at + v * kLanes, lanes);
  };
  VF sum[kRows][kVectors];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (std::size_t k = 0; k < p.k; ++k) {
    VF b[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) b[v] = load(p.b + k * p.b_row + j, v);
    for (std::size_t r = 0; r < kRows; ++r) {
      const VF a = hn::Set(d, p.a[(i + r) * p.a_row + k * p.a_column]);
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(a, b[v], sum[r][v]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    float* c = p.c + (i + r) * p.c_row + j;
    for (std::size_t v = 0; v < kVectors; ++v) {
      const VF value = p.accumulate ? hn::Add(load(c, v), sum[r][v]) : sum[r][v];
      if (kFull || v + 1 < kVectors) {
        hn::StoreU(value, d, c + v * kLanes);
      } else {
        store_first(value, c + v * kLanes, lanes);
      }
    }
  }
}

template <std::size_t kVectors, bool kFull>
HWY_INLINE void product_rows(const MatrixProduct& p, std::size_t j, std::size_t lanes) {
  std::size_t i = 0;
  for (; i + 6 <= p.m; i += 6) product_tile<6, kVectors, kFull>(p, i, j, lanes);
  for (; i < p.m; ++i) product_tile<1, kVectors, kFull>(p, i, j, lanes);
}

void matrix_product(const MatrixProduct& p) {
  std::size_t j = 0;
  for (; j + 2 * kLanes <= p.n; j += 2 * kLanes) product_rows<2, true>(p, j, kLanes);
  for (; j + kLanes <= p.n; j += kLanes) product_rows<1, true>(p, j, kLanes);
  if (j < p.n) product_rows<1, false>(p, j, p.n - j);
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

void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out) {
  HWY_DYNAMIC_DISPATCH(linear_forward_trains)(y, trains, active, active_count, weight, bias, T, in, out);
}

void linear_forward_steps(float* y, const std::uint64_t* steps, const float* weight_t, const float* bias,
                          std::size_t rows, std::size_t in, std::size_t out, std::uint32_t* list) {
  HWY_DYNAMIC_DISPATCH(linear_forward_steps)(y, steps, weight_t, bias, rows, in, out, list);
}

void linear_weight_gradient_trains(float* dweight, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t o_begin, std::size_t f_begin, std::size_t f_end,
                                   float* scratch) {
  HWY_DYNAMIC_DISPATCH(linear_weight_gradient_trains)(dweight, dy, x, out, o_begin, f_begin, f_end, scratch);
}

void matrix_product(const MatrixProduct& p) { HWY_DYNAMIC_DISPATCH(matrix_product)(p); }

void transpose(float* out, const float* in, std::size_t rows, std::size_t columns) {
  constexpr std::size_t kTile = 16;  // a cache line of floats
  for (std::size_t r0 = 0; r0 < rows; r0 += kTile) {
    for (std::size_t c0 = 0; c0 < columns; c0 += kTile) {
      for (std::size_t c = c0; c < std::min(c0 + kTile, columns); ++c) {
        for (std::size_t r = r0; r < std::min(r0 + kTile, rows); ++r) out[c * rows + r] = in[r * columns + c];
      }
    }
  }
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/lookup.hpp"

namespace volley::kernels {

// Linear layers over spikes and over real values; twins in reference/linear.hpp, derivation in
// docs/math/linear.md. A row is one step of one sample. "Trains" and "steps" are the two bit orders of
// Spikes: trains (F, W) words with W = ceil(T / 64), of which row a holds the steps of feature active[a], the
// ascending list of the features that are not silent; steps (rows, FW) words with FW = ceil(F / 64).

/// y (T, out) of one sample, from trains, the lanes being time: a weight is added to the steps at which its
/// input fired. Best for few outputs. weight (out, in); bias (out) or null. Sums run over the inputs that
/// fired, ascending.
void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out);

/// Rows and inputs whose spikes linear_forward_steps lists before it walks the outputs, and the outputs in a
/// panel of its weights.
inline constexpr std::size_t kListRows = 256;
inline constexpr std::size_t kListInputs = 1024;
inline constexpr std::size_t kStepColumns = 128;
constexpr std::size_t linear_list_size(std::size_t rows, std::size_t in) {
  return std::min(rows, kListRows) * std::min(in, kListInputs);
}

/// y (rows, out) from steps, the lanes being outputs: the weight columns of the inputs that fired are added.
/// Best for many outputs and few spikes. `weight` as step_weights writes it; bias (out) or null; `list` has
/// room for linear_list_size numbers. Twin: linear_forward.
void linear_forward_steps(float* y, const std::uint64_t* steps, const float* weight, const float* bias,
                          std::size_t rows, std::size_t in, std::size_t out, std::uint32_t* list);

/// Its weights: panels of kStepColumns outputs, the last with fewer, each (in, its outputs), from weight
/// (out, in). Panel after panel, so that threads can share them.
constexpr std::size_t step_panels(std::size_t out) { return (out + kStepColumns - 1) / kStepColumns; }
void step_weights(float* to, const float* weight, std::size_t in, std::size_t out, std::size_t panel);

/// Rows of a pass, by number.
struct RowList {
  const std::uint32_t* row;
  std::size_t count;
};

/// The rows of `steps` (rows, FW) that are listed, as look-ups take them: words [begin, end) of each, as two
/// words of 32 inputs, to words (2 FW, stride), stride = lookup_stride(rows.count).
void linear_words(std::uint32_t* words, std::size_t stride, const std::uint64_t* steps, const RowList& rows,
                  std::size_t FW, std::size_t begin, std::size_t end);

/// The listed rows of y (rows, out), `outputs` <= kLookupColumns outputs of them, from linear_words, by
/// look-up: four inputs at a time. For many spikes. weight (outputs, in); bias (outputs) or null. `scratch`
/// has linear_lookup_scratch_size(rows.count) floats, 64-byte aligned. Twin: linear_forward_by_fours.
inline constexpr std::size_t kLookupColumns = 16;
inline constexpr std::size_t kLookupWords = 32;  // whose tables are in the cache at once
constexpr std::size_t linear_lookup_scratch_size(std::size_t rows) {
  return lookup_table_size(kLookupWords * kWordNibbles) + kLookupColumns * lookup_stride(rows);
}
void linear_forward_lookup(float* y, std::size_t out, const std::uint32_t* words, const float* weight,
                           const float* bias, const RowList& rows, std::size_t in, std::size_t outputs,
                           float* scratch);

/// Outputs that linear_weight_gradient_trains takes at a time.
inline constexpr std::size_t kGradientColumns = 16;
/// Floats of scratch that it needs for `features` features.
constexpr std::size_t linear_gradient_scratch_size(std::size_t features) {
  return features * kGradientColumns + 32 * 16 * kGradientColumns;
}

/// The spikes of a batch as trains: words (N, in, W), active (N, in), active_count (N); of each sample the
/// first active_count rows count.
struct TrainBatch {
  const std::uint64_t* trains;
  const std::uint32_t* active;
  const std::uint32_t* active_count;
  std::size_t N;
  std::size_t T;
  std::size_t in;
};

/// dweight (out, in) += dy^T x for outputs [o_begin, o_begin + 16) and inputs [f_begin, f_end), over all
/// samples; dy (N, T, out). Four steps at a time, through a table of their 16 subset sums: the twin is
/// linear_weight_gradient_by_fours. `scratch` has linear_gradient_scratch_size(f_end - f_begin) floats,
/// 64-byte aligned.
void linear_weight_gradient_trains(float* dweight, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t o_begin, std::size_t f_begin, std::size_t f_end,
                                   float* scratch);

/// C (m, n) = A B, or C += A B. A is read as a[i * a_row + k * a_column], B (k, n) and C have rows of b_row
/// and c_row floats. Each element is one sum over k, ascending, that begins with 0 or with what is in C.
struct MatrixProduct {
  const float* a;
  std::size_t a_row, a_column;
  const float* b;
  std::size_t b_row;
  float* c;
  std::size_t c_row;
  std::size_t m, n, k;
  bool accumulate;
};
/// Rows and columns of B that are copied side by side, into `panel`, to stay in the cache for all rows of A.
inline constexpr std::size_t kProductDepth = 1024;
inline constexpr std::size_t kProductColumns = 64;
constexpr std::size_t product_panel_size(std::size_t k) {
  return std::min(k, kProductDepth) * kProductColumns;
}
void matrix_product(const MatrixProduct& p, float* panel);

/// out (columns, rows) = in (rows, columns) turned; row r of `in` begins at in + r * in_row.
void transpose(float* out, const float* in, std::size_t rows, std::size_t columns, std::size_t in_row);
inline void transpose(float* out, const float* in, std::size_t rows, std::size_t columns) {
  transpose(out, in, rows, columns, columns);
}

}  // namespace volley::kernels

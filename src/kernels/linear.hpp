#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace volley::kernels {

// Linear layers over spikes and over real values; twins in spec/linear.hpp, derivation in
// docs/math/linear.md. A row is one step of one sample. "Trains" and "steps" are the two bit orders of
// Spikes: trains (F, W) words with W = ceil(T / 64), of which row a holds the steps of feature active[a], the
// ascending list of the features that are not silent; steps (rows, FW) words with FW = ceil(F / 64).

/// y (T, out) of one sample, from trains, the lanes being time: a weight is added to the steps at which its
/// input fired. Best for few outputs. weight (out, in); bias (out) or null. Sums run over the inputs that
/// fired, ascending.
void linear_forward_trains(float* y, const std::uint64_t* trains, const std::uint32_t* active,
                           std::size_t active_count, const float* weight, const float* bias, std::size_t T,
                           std::size_t in, std::size_t out);

/// Outputs that linear_weight_gradient_trains takes at a time.
inline constexpr std::size_t kGradientColumns = 16;
/// Floats of scratch that it needs.
inline constexpr std::size_t kGradientScratch = 32 * 16 * kGradientColumns;

/// The spikes of samples as trains: words (N, in, W), active (N, in), active_count (N); of each sample the
/// first active_count rows count.
struct TrainBatch {
  const std::uint64_t* trains;
  const std::uint32_t* active;
  const std::uint32_t* active_count;
  std::size_t N;
  std::size_t T;
  std::size_t in;

  /// Samples [first, first + count).
  TrainBatch part(std::size_t first, std::size_t count) const {
    return {trains + first * in * ((T + 63) / 64), active + first * in, active_count + first, count, T, in};
  }
};

/// sums (rows, kGradientColumns) += x^T dy for inputs [f_begin, f_end) and `columns` <= kGradientColumns
/// outputs, over the samples of one block; dy (N, T, out), from its first output on. The sums of input f are
/// row row_of[f] - row_of[f_begin]. Four steps at a time, through a table of their 16 subset sums: the twin
/// is linear_weight_gradient_by_fours. `sums` and `scratch`, kGradientScratch floats, are 64-byte aligned.
void linear_weight_gradient_trains(float* sums, const float* dy, const TrainBatch& x, std::size_t out,
                                   std::size_t columns, const std::uint32_t* row_of, std::size_t f_begin,
                                   std::size_t f_end, float* scratch);

/// C (m, n) = A B, or C += A B. A is read as a[i * a_row + k * a_column], B (k, n) and C have rows of b_row
/// and c_row floats. Each element is one sum over k, ascending, that begins with 0 or with what is in C.
struct MatrixProduct {
  const float* a;
  std::size_t a_row, a_column;
  const float* b;
  std::size_t b_row;
  float* c = nullptr;
  std::size_t c_row;
  std::size_t m, n, k;
  bool accumulate = false;
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
/// out (columns, rows) += in (rows, columns) turned; rows of out_row and in_row floats.
void add_transposed(float* out, std::size_t out_row, const float* in, std::size_t in_row, std::size_t rows,
                    std::size_t columns);

}  // namespace volley::kernels

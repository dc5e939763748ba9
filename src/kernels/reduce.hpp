#pragma once

#include <cstddef>
#include <cstdint>

namespace volley::kernels {

// Sums of many numbers, each in one order, whatever the vectors and the threads.

/// Sum i (of sixteen) of the squares of x[i], x[i + 16], x[i + 32], ...; then the sixteen, ascending.
double sum_of_squares(const float* x, std::size_t n);

/// sums[i] = terms[i] + sums[i].
void add_to(float* sums, const float* terms, std::size_t n);
void add_to(double* sums, const double* terms, std::size_t n);

/// sums (columns) += the sum of `rows` rows, ascending from 0; row r begins at x + r * row.
void add_rows(float* sums, const float* x, std::size_t rows, std::size_t columns, std::size_t row);

/// Bits that are 1 in `count` words.
std::size_t count_bits(const std::uint64_t* words, std::size_t count);
/// counts[features[a]] = the bits of train a, for `count` trains of W words.
void count_trains(std::uint32_t* counts, const std::uint64_t* trains, const std::uint32_t* features,
                  std::size_t count, std::size_t W);

/// counts (features) = how many of the rows, of `row_words` words each, have each bit.
void count_steps(std::uint32_t* counts, const std::uint64_t* steps, std::size_t rows, std::size_t row_words,
                 std::size_t features);

}  // namespace volley::kernels

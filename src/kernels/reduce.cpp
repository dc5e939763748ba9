#include "kernels/reduce.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/numerics.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

using F64 = hn::ScalableTag<double>;

double sum_of_squares(const float* x, std::size_t n) {
  const F64 d;
  const hn::Rebind<float, F64> d32;
  constexpr std::size_t kSums = numerics::kSumLanes;
  constexpr std::size_t kDoubles = hn::MaxLanes(d);
  constexpr std::size_t kVectors = kSums / kDoubles;
  hn::Vec<F64> vectors[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) vectors[v] = hn::Zero(d);
  std::size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      // The square of a float is exact in double: fused or not is the same.
      const auto value = hn::PromoteTo(d, hn::LoadU(d32, x + i + v * kDoubles));
      vectors[v] = hn::MulAdd(value, value, vectors[v]);
    }
  }
  HWY_ALIGN double sums[kSums];
  for (std::size_t v = 0; v < kVectors; ++v) hn::Store(vectors[v], d, sums + v * kDoubles);
  for (std::size_t k = 0; i < n; ++i, ++k) sums[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::accumulate(sums, sums + kSums, 0.0);
}

template <class Real>
HWY_INLINE void add_values(Real* sums, const Real* terms, std::size_t n) {
  const hn::ScalableTag<Real> d;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  std::size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    hn::StoreU(hn::Add(hn::LoadU(d, terms + i), hn::LoadU(d, sums + i)), d, sums + i);
  }
  for (; i < n; ++i) sums[i] += terms[i];
}
void add_floats(float* sums, const float* terms, std::size_t n) { add_values(sums, terms, n); }
void add_doubles(double* sums, const double* terms, std::size_t n) { add_values(sums, terms, n); }

template <std::size_t kVectors>
HWY_INLINE void add_rows_of(float* sums, const float* x, std::size_t rows, std::size_t lanes,
                            std::size_t row) {
  const F32 d;
  VF sum[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  for (std::size_t r = 0; r < rows; ++r, x += row) {
    for (std::size_t v = 0; v < kVectors; ++v) sum[v] = hn::Add(sum[v], load_up_to(x + v * kLanes, lanes));
  }
  for (std::size_t v = 0; v < kVectors; ++v) {
    store_first(hn::Add(load_up_to(sums + v * kLanes, lanes), sum[v]), sums + v * kLanes, lanes);
  }
}

void add_rows(float* sums, const float* x, std::size_t rows, std::size_t columns, std::size_t row) {
  std::size_t c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes) add_rows_of<4>(sums + c, x + c, rows, kLanes, row);
  for (; c + kLanes <= columns; c += kLanes) add_rows_of<1>(sums + c, x + c, rows, kLanes, row);
  if (c < columns) add_rows_of<1>(sums + c, x + c, rows, columns - c, row);
}

std::size_t count_bits(const std::uint64_t* words, std::size_t count) {
  std::size_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits += static_cast<std::size_t>(std::popcount(words[i]));
  return bits;
}

void count_trains(std::uint32_t* counts, const std::uint64_t* trains, const std::uint32_t* features,
                  std::size_t count, std::size_t W) {
  for (std::size_t a = 0; a < count; ++a, trains += W) {
    counts[features[a]] = static_cast<std::uint32_t>(count_bits(trains, W));
  }
}

void count_steps(std::uint32_t* counts, const std::uint64_t* steps, std::size_t rows, std::size_t row_words,
                 std::size_t features) {
  const hn::ScalableTag<std::uint8_t> d;
  constexpr std::size_t kBytes = HWY_MIN(64, hn::MaxLanes(d));
  std::fill_n(counts, features, 0u);
  for (std::size_t first = 0; first < features; first += kBytes) {
    const std::size_t lanes = HWY_MIN(kBytes, features - first);
    for (std::size_t r = 0; r < rows; r += 255) {  // as many as a byte can count
      auto fired = hn::Zero(d);
      for (std::size_t i = r; i < HWY_MIN(rows, r + 255); ++i) {
        const std::uint64_t bits = steps[i * row_words + first / 64] >> first % 64;
        const auto mask = hn::LoadMaskBits(d, reinterpret_cast<const std::uint8_t*>(&bits));
        fired = hn::Add(fired, hn::IfThenElseZero(mask, hn::Set(d, std::uint8_t{1})));
      }
      HWY_ALIGN std::uint8_t bytes[hn::MaxLanes(d)];
      hn::Store(fired, d, bytes);
      for (std::size_t k = 0; k < lanes; ++k) counts[first + k] += bytes[k];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(sum_of_squares);
HWY_EXPORT(add_floats);
HWY_EXPORT(add_doubles);
HWY_EXPORT(add_rows);
HWY_EXPORT(count_bits);
HWY_EXPORT(count_trains);
HWY_EXPORT(count_steps);

double sum_of_squares(const float* x, std::size_t n) { return HWY_DYNAMIC_DISPATCH(sum_of_squares)(x, n); }

void add_to(float* sums, const float* terms, std::size_t n) {
  HWY_DYNAMIC_DISPATCH(add_floats)(sums, terms, n);
}
void add_to(double* sums, const double* terms, std::size_t n) {
  HWY_DYNAMIC_DISPATCH(add_doubles)(sums, terms, n);
}

void add_rows(float* sums, const float* x, std::size_t rows, std::size_t columns, std::size_t row) {
  HWY_DYNAMIC_DISPATCH(add_rows)(sums, x, rows, columns, row);
}

std::size_t count_bits(const std::uint64_t* words, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(count_bits)(words, count);
}

void count_trains(std::uint32_t* counts, const std::uint64_t* trains, const std::uint32_t* features,
                  std::size_t count, std::size_t W) {
  HWY_DYNAMIC_DISPATCH(count_trains)(counts, trains, features, count, W);
}

void count_steps(std::uint32_t* counts, const std::uint64_t* steps, std::size_t rows, std::size_t row_words,
                 std::size_t features) {
  HWY_DYNAMIC_DISPATCH(count_steps)(counts, steps, rows, row_words, features);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE

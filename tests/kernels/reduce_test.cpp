#include "kernels/reduce.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "support/every_target.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

TEST(Reduce, SquaresAreSummedInSixteenSums) {
  test::on_every_target([] {
    for (const std::size_t n : {0u, 1u, 15u, 16u, 17u, 63u, 64u, 65u, 1000u}) {
      const std::vector<float> x = test::Random(static_cast<std::uint32_t>(n)).values<float>(n);
      std::array<double, 16> sums{};
      for (std::size_t i = 0; i < n; ++i)
        sums[i % 16] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      EXPECT_EQ(kernels::sum_of_squares(x.data(), n), std::accumulate(sums.begin(), sums.end(), 0.0)) << n;
    }
  });
}

TEST(Reduce, RowsAreAddedOneByOne) {
  test::on_every_target([] {
    for (const std::size_t columns : test::kEdgeSizes) {
      for (const std::size_t rows : {0u, 1u, 33u}) {
        const std::size_t row = columns + 3;
        const std::vector<float> x = test::Random(5).values<float>(rows * row + columns);
        std::vector<float> expected = test::Random(6).values<float>(columns), sums = expected;
        for (std::size_t c = 0; c < columns; ++c) {
          float sum = 0;
          for (std::size_t r = 0; r < rows; ++r) sum += x[r * row + c];
          expected[c] += sum;
        }
        kernels::add_rows(sums.data(), x.data(), rows, columns, row);
        ASSERT_EQ(sums, expected) << columns << " columns, " << rows << " rows";
      }
    }
  });
}

TEST(Reduce, BitsAreCountedByTrainAndByStep) {
  test::on_every_target([] {
    for (const std::size_t features : test::kEdgeSizes) {
      for (const std::size_t rows : {0u, 1u, 100u, 255u, 256u, 600u}) {
        const std::size_t W = (features + 63) / 64;
        test::Random random(static_cast<std::uint32_t>(features * 1000 + rows));
        std::vector<std::uint64_t> words(rows * W);
        std::vector<std::uint32_t> expected(features), counts(features, 7);
        std::size_t all = 0;
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t f = 0; f < features; ++f) {
            if (random.below(4) == 0 && f % 5 != 0) continue;  // every fifth fires at every step
            words[r * W + f / 64] |= std::uint64_t{1} << f % 64;
            ++expected[f];
            ++all;
          }
        }
        kernels::count_steps(counts.data(), words.data(), rows, W, features);
        ASSERT_EQ(counts, expected) << features << " features, " << rows << " steps";
        ASSERT_EQ(kernels::count_bits(words.data(), words.size()), all);
      }
    }
    const std::vector<std::uint64_t> trains{1, 3, 0, ~std::uint64_t{0}};
    const std::vector<std::uint32_t> listed{1, 4};
    std::vector<std::uint32_t> counts(6, 9);
    kernels::count_trains(counts.data(), trains.data(), listed.data(), 2, 2);
    EXPECT_EQ(counts, (std::vector<std::uint32_t>{9, 3, 9, 9, 64, 9}));
  });
}

}  // namespace
}  // namespace volley

// Sums by look-up against sums written out, on every target.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include <volley/buffer.hpp>

#include "kernels/lookup.hpp"
#include "support/every_target.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

constexpr std::size_t kOutputs = kernels::kLookupOutputs;

TEST(Lookup, TableHasEverySubsetSum) {
  test::on_every_target([] {
    constexpr std::size_t groups = 3;
    const std::vector<float> values = test::Random(1).values<float>(groups * kOutputs * 4);
    for (std::size_t terms = 1; terms <= 4; ++terms) {
      for (const std::size_t outputs : {std::size_t{1}, kOutputs}) {
        Buffer<float> table(kernels::lookup_table_size(groups));
        // Terms far apart, outputs side by side, as the gradient of y has them.
        kernels::lookup_table(table.data(), {values.data(), 1, kOutputs, groups * kOutputs}, groups, terms,
                              outputs);
        for (std::size_t i = 0; i < table.size(); ++i) {
          const std::size_t m = i % 16, o = i / 16 % kOutputs, g = i / 16 / kOutputs;
          float sum = 0;
          for (std::size_t k = 0; k < terms && o < outputs; ++k) {
            if ((m >> k & 1) != 0) sum += values[(k * groups + g) * kOutputs + o];
          }
          ASSERT_EQ(table[i], sum) << "entry " << m << " of output " << o << ", group " << g;
        }
      }
    }
  });
}

TEST(Lookup, AddsWhatTheNibblesNameInOneOrder) {
  test::on_every_target([] {
    for (const std::size_t rows : test::kEdgeSizes) {
      for (const auto& [words, period, last] : {std::array<std::size_t, 3>{1, 1, 1}, {1, 1, 8}, {6, 2, 3}}) {
        const std::size_t groups = words / period * (8 * (period - 1) + last);
        const std::size_t stride = kernels::lookup_stride(rows);
        std::vector<std::uint32_t> bits(words * stride);
        const auto bytes = test::Random(3).spikes<std::uint8_t>(bits.size() * 32, 0.4);
        for (std::size_t i = 0; i < bytes.size(); ++i) bits[i / 32] |= std::uint32_t{bytes[i]} << i % 32;
        const std::vector<float> values = test::Random(4).values<float>(kernels::lookup_table_size(groups));
        Buffer<float> table(values.size());
        std::copy(values.begin(), values.end(), table.data());
        std::vector<float> sums = test::Random(5).values<float>(kOutputs * stride), expected = sums;
        for (std::size_t o = 0; o < kOutputs; ++o) {
          for (std::size_t r = 0; r < rows; ++r) {
            const float* entries = values.data() + o * 16;
            for (std::size_t w = 0; w < words; ++w) {
              const std::size_t nibbles = w % period + 1 == period ? last : kernels::kWordNibbles;
              for (std::size_t k = 0; k < nibbles; ++k, entries += kOutputs * 16) {
                expected[o * stride + r] += entries[bits[w * stride + r] >> 4 * k & 15];
              }
            }
          }
        }
        kernels::lookup_add(sums.data(), stride, table.data(),
                            {bits.data(), stride, rows, words, period, last});
        for (std::size_t i = 0; i < sums.size(); ++i) {
          if (i % stride < rows) {
            ASSERT_EQ(sums[i], expected[i]) << rows << " rows, place " << i;
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace volley

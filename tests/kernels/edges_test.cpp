// Every kernel, with every instruction set, at and beside the edges of vectors and words, and at nothing:
// what it must write is right, and it writes nothing else.

#include <gtest/gtest.h>

#include <numeric>

#include <bit>
#include <limits>

#include "kernels/bits.hpp"
#include "kernels/limits.hpp"
#include "kernels/linear.hpp"
#include "kernels/neuron.hpp"
#include "kernels/poisson.hpp"
#include "kernels/update.hpp"
#include "spec/linear.hpp"
#include "spec/poisson.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all{0};
  all.insert(all.end(), std::begin(test::kEdgeSizes), std::end(test::kEdgeSizes));
  return all;
}

/// Values that a kernel may change, with some behind them that it may not.
template <class T>
class Fenced {
 public:
  explicit Fenced(std::size_t size, T value = T()) : all_(size + kFence, value) {
    for (std::size_t i = 0; i < kFence; ++i) all_[size + i] = static_cast<T>(77 + i);
  }
  explicit Fenced(const std::vector<T>& values) : Fenced(values.size()) {
    std::ranges::copy(values, all_.begin());
  }
  T* data() { return all_.data(); }
  std::vector<T> values() const {
    for (std::size_t i = 0; i < kFence; ++i)
      EXPECT_EQ(all_[all_.size() - kFence + i], static_cast<T>(77 + i)) << "beyond";
    return {all_.begin(), all_.end() - kFence};
  }

 private:
  static constexpr std::size_t kFence = 20;
  std::vector<T> all_;
};

std::vector<std::uint64_t> random_words(std::size_t n, std::uint32_t seed) {
  test::Random random(seed);
  std::vector<std::uint64_t> words(n);
  for (std::uint64_t& w : words) w = std::uint64_t{random.below(~0u)} << 32 | random.below(~0u);
  return words;
}

/// Spikes (rows, F) packed 64 features to a word, and the same as numbers.
struct StepSpikes {
  std::vector<std::uint64_t> words;
  std::vector<float> values;

  StepSpikes(std::size_t rows, std::size_t F, double rate, std::uint32_t seed)
      : words(rows * ((F + 63) / 64)), values(test::Random(seed).spikes<float>(rows * F, rate)) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i] != 0) words[i / F * ((F + 63) / 64) + i % F / 64] |= std::uint64_t{1} << i % F % 64;
  }
};

TEST(BitEdges, TransposeIsItsDefinition) {
  const std::vector<std::uint64_t> before = random_words(64, 1);
  std::vector<std::uint64_t> after = before;
  kernels::transpose_64x64(after.data());
  for (std::size_t r = 0; r < 64; ++r) {
    for (std::size_t c = 0; c < 64; ++c) ASSERT_EQ(after[c] >> r & 1, before[r] >> c & 1) << r << " " << c;
  }
}

TEST(BitEdges, ListsAreThePositions) {
  for (const std::size_t bits : sizes()) {
    for (const double rate : {0.0, 0.3, 1.0}) {
      const StepSpikes s(1, bits, rate, static_cast<std::uint32_t>(bits));
      std::vector<std::uint32_t> expected;
      for (std::uint32_t f = 0; f < bits; ++f)
        if (s.values[f] != 0) expected.push_back(f);
      Fenced<std::uint32_t> list(expected.size());
      EXPECT_EQ(kernels::list_bits(list.data(), s.words.data(), bits), expected.size());
      EXPECT_EQ(list.values(), expected);
    }
  }
}

TEST(BitEdges, OrdersTurnIntoEachOtherAndNoFurther) {
  for (const std::size_t F : sizes()) {
    for (const std::size_t T : {1u, 63u, 64u, 65u}) {
      const StepSpikes s(T, F, 0.1, static_cast<std::uint32_t>(F + T));
      Fenced<std::uint64_t> trains(F * ((T + 63) / 64)), back(s.words.size(), ~std::uint64_t{0});
      Fenced<std::uint32_t> active(F);
      const std::size_t count = kernels::steps_to_trains(trains.data(), active.data(), s.words.data(), T, F);
      kernels::trains_to_steps(back.data(), trains.data(), active.data(), count, T, F);
      EXPECT_EQ(back.values(), s.words) << "T " << T << " F " << F;
      trains.values(), active.values();
    }
  }
}

// The forward of trains and the weight gradient over the number of inputs; over outputs and steps:
// linear_test.cpp.
TEST(LinearEdges, AnyNumberOfInputsAndSilenceToo) {
  test::on_every_target([] {
    constexpr std::size_t T = 5, out = 17;
    for (const std::size_t in : test::kEdgeSizes) {
      for (const double rate : {0.0, 0.4, 1.0}) {
        const StepSpikes s(T, in, rate, static_cast<std::uint32_t>(in));
        std::vector<std::uint64_t> trains(in);
        std::vector<std::uint32_t> active(in);
        const auto count = static_cast<std::uint32_t>(
            kernels::steps_to_trains(trains.data(), active.data(), s.words.data(), T, in));
        const std::vector<float> weight = test::Random(1).dyadic(out * in, 16),
                                 bias = test::Random(2).dyadic(out, 16),
                                 dy = test::Random(3).dyadic(T * out, 16);
        std::vector<float> expected(T * out), gradient(out * in, 0.5f);
        spec::linear_forward(expected.data(), s.values.data(), weight.data(), bias.data(), T, in, out);
        spec::linear_weight_gradient(gradient.data(), dy.data(), s.values.data(), T, in, out);

        Fenced<float> y(T * out), dweight(out * in, 0.5f);
        kernels::linear_forward_trains(y.data(), trains.data(), active.data(), count, weight.data(),
                                       bias.data(), T, in, out);
        constexpr std::size_t kColumns = kernels::kGradientColumns;
        Buffer<float> scratch(kernels::kGradientScratch), sums(in * kColumns);
        std::vector<std::uint32_t> row_of(in + 1);
        std::iota(row_of.begin(), row_of.end(), 0u);
        for (std::size_t o = 0; o < out; o += kColumns) {
          const std::size_t columns = std::min(kColumns, out - o);
          sums.zero();
          kernels::linear_weight_gradient_trains(sums.data(), dy.data() + o,
                                                 {trains.data(), active.data(), &count, 1, T, in}, out,
                                                 columns, row_of.data(), 0, in, scratch.data());
          kernels::add_transposed(dweight.data() + o * in, in, sums.data(), kColumns, in, columns);
        }
        EXPECT_EQ(y.values(), expected) << "in " << in << " rate " << rate;
        EXPECT_EQ(dweight.values(), gradient) << "in " << in << " rate " << rate;
      }
    }
  });
}

TEST(LinearEdges, NoSamplesChangeNothing) {
  test::on_every_target([] {
    const std::vector<float> dy(17, 1.0f);
    Fenced<float> sums(65 * kernels::kGradientColumns, 0.5f);
    Buffer<float> scratch(kernels::kGradientScratch);
    const std::vector<std::uint32_t> row_of(66);
    kernels::linear_weight_gradient_trains(sums.data(), dy.data(), {nullptr, nullptr, nullptr, 0, 5, 65}, 17,
                                           16, row_of.data(), 0, 65, scratch.data());
    EXPECT_EQ(sums.values(), std::vector<float>(65 * kernels::kGradientColumns, 0.5f));
  });
}

// On dyadic numbers, whose sums are exact: no tolerance hides a term too few.
TEST(MatrixProductEdges, EverySizeFromNothingOn) {
  test::on_every_target([] {
    for (const std::size_t m : {0u, 1u, 5u, 6u, 7u, 13u, 14u}) {
      for (const std::size_t n : sizes()) {
        for (const std::size_t k : {0u, 1u, 2u, 63u, 64u, 65u}) {
          const std::vector<float> a = test::Random(1).dyadic(m * k, 16),
                                   b = test::Random(2).dyadic(k * n, 16);
          for (const bool turned : {false, true}) {
            for (const bool accumulate : {false, true}) {
              std::vector<float> expected(m * n);
              for (std::size_t i = 0; i < m * n; ++i) {
                float sum = 0;
                for (std::size_t j = 0; j < k; ++j)
                  sum += a[turned ? j * m + i / n : i / n * k + j] * b[j * n + i % n];
                expected[i] = sum + (accumulate ? 0.25f : 0.0f);
              }
              Fenced<float> c(m * n, 0.25f);
              Buffer<float> panel(kernels::product_panel_size(k));
              kernels::matrix_product(
                  {a.data(), turned ? 1 : k, turned ? m : 1, b.data(), n, c.data(), n, m, n, k, accumulate},
                  panel.data());
              ASSERT_EQ(c.values(), expected) << m << " " << n << " " << k << " " << turned << accumulate;
            }
          }
        }
      }
    }
  });
}

TEST(MatrixProductEdges, ColumnsBesideItStayAsTheyAre) {
  test::on_every_target([] {
    for (const std::size_t n : test::kEdgeSizes) {
      const std::size_t row = n + 3;
      const std::vector<float> a = test::Random(1).dyadic(7 * 4, 16), b = test::Random(2).dyadic(4 * row, 16);
      Fenced<float> c(7 * row, 0.25f);
      Buffer<float> panel(kernels::product_panel_size(4));
      kernels::matrix_product({a.data(), 4, 1, b.data(), row, c.data(), row, 7, n, 4, false}, panel.data());
      const std::vector<float> values = c.values();
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i % row < n) continue;
        ASSERT_EQ(values[i], 0.25f) << "n " << n;
      }
    }
  });
}

TEST(TransposeEdges, EverySizeFromNothingOn) {
  for (const std::size_t rows : sizes()) {
    for (const std::size_t columns : {0u, 1u, 15u, 16u, 17u, 65u}) {
      const std::vector<float> in = test::Random(1).values<float>(rows * columns);
      std::vector<float> expected(rows * columns);
      for (std::size_t i = 0; i < in.size(); ++i) expected[i % columns * rows + i / columns] = in[i];
      Fenced<float> out(rows * columns);
      kernels::transpose(out.data(), in.data(), rows, columns);
      ASSERT_EQ(out.values(), expected) << rows << " " << columns;
    }
  }
}

TEST(LIFEdges, EverySizeFromNothingOn) {
  const LIFOptions neuron;
  test::on_every_target([&] {
    for (const std::size_t N : {0u, 1u, 3u}) {
      for (const std::size_t F : sizes()) {
        constexpr std::size_t T = 3;
        const std::size_t words = (F + 63) / 64;
        const std::vector<float> x = test::Random(static_cast<std::uint32_t>(F)).dyadic(N * T * F, 40);
        Fenced<std::uint64_t> s(N * T * words, ~std::uint64_t{0});
        Fenced<float> dx(N * T * F, std::numeric_limits<float>::quiet_NaN());
        Buffer<float> scratch(kernels::neuron_scratch_size(T));
        const kernels::NeuronShape shape{N, T, 1, F, words};
        kernels::neuron_forward(s.data(), x.data(), ops::lower(neuron), {}, shape);
        kernels::neuron_backward({dx.data()}, x.data(), x.data(), ops::lower(neuron),
                                 ops::lower(neuron.surrogate), {}, shape, scratch.data());
        const std::vector<std::uint64_t> spikes = s.values();
        for (std::size_t i = 0; i < N * T * words; ++i) {
          const std::size_t used = std::min<std::size_t>(64, F - i % words * 64);
          EXPECT_EQ(used == 64 ? 0 : spikes[i] >> used, 0u) << "padding, F " << F;
        }
        for (const float v : dx.values()) ASSERT_TRUE(std::isfinite(v)) << "F " << F;
      }
    }
  });
}

// Each weight by itself: one cut anywhere gives the same bits, and none gives none.
TEST(UpdateEdges, AnyCutGivesTheSameBits) {
  const ops::AdamCoefficients adam{0.9f, 0.999f, 1e-8f, 0.02f, 0.037f, 18.3f};
  const ops::SgdCoefficients sgd{0.1f, 0.9f, 0.01f, true, false};
  test::on_every_target([&] {
    for (const std::size_t n : sizes()) {
      const std::vector<float> w0 = test::Random(1).values<float>(n), g = test::Random(2).values<float>(n),
                               m0 = test::Random(3).values<float>(n),
                               v0 = test::Random(4).values<float>(n, 0, 1);
      const auto run = [&](std::size_t cut, bool by_adam) {
        Fenced<float> w(w0), m(m0), v(v0);
        for (const auto& [begin, size] : {std::pair{std::size_t{0}, cut}, {cut, n - cut}}) {
          if (by_adam) {
            kernels::adam_step(w.data() + begin, m.data() + begin, v.data() + begin, g.data() + begin, adam,
                               size);
          } else {
            kernels::sgd_step(w.data() + begin, m.data() + begin, g.data() + begin, sgd, size);
          }
        }
        v.values();
        std::vector<float> all = w.values();
        std::ranges::copy(m.values(), std::back_inserter(all));
        return all;
      };
      for (const bool by_adam : {false, true}) {
        for (const std::size_t cut : {std::size_t{0}, n / 3, n - n / 2})
          ASSERT_EQ(run(cut, by_adam), run(n, by_adam));
      }
    }
  });
}

TEST(PoissonEdges, AnyNumberOfPixels) {
  const PhiloxKey key = philox_key(3, Purpose::encode_train, 1);
  test::on_every_target([&] {
    for (const std::size_t F : sizes()) {
      for (const bool silent : {false, true}) {
        constexpr std::size_t T = 20;
        std::vector<std::uint8_t> pixels(F);
        for (std::size_t f = 0; f < F && !silent; ++f) pixels[f] = static_cast<std::uint8_t>(f * 37 % 256);
        Fenced<std::uint64_t> trains(F);
        Fenced<std::uint32_t> active(F);
        const std::size_t count =
            kernels::poisson_encode(trains.data(), active.data(), pixels.data(), F, T, 5, key);
        const std::vector<std::uint64_t> words = trains.values();
        const std::vector<std::uint32_t> features = active.values();
        std::size_t a = 0;
        for (std::uint32_t f = 0; f < F; ++f) {
          std::uint64_t expected = 0;
          const std::uint64_t digits = spec::poisson_digits(pixels[f]);
          for (std::size_t t = 0; t < T; ++t)
            expected |= std::uint64_t{spec::poisson_fires(digits, t, f, 5, key)} << t;
          if (expected == 0) continue;
          ASSERT_LT(a, count);
          ASSERT_EQ(features[a], f);
          ASSERT_EQ(words[a], expected) << f;
          ++a;
        }
        EXPECT_EQ(count, a);
      }
    }
  });
}

TEST(LimitEdges, TriadIsItsDefinitionAndMultiplyAddsCount) {
  test::on_every_target([] {
    for (const std::size_t n : sizes()) {
      const std::vector<float> b = test::Random(1).dyadic(n, 16), c = test::Random(2).dyadic(n, 16);
      Fenced<float> a(n);
      kernels::triad(a.data(), b.data(), c.data(), 3.0f, n);
      const std::vector<float> values = a.values();
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(values[i], b[i] + 3.0f * c[i]);
    }
    float sum = 0;
    EXPECT_EQ(kernels::multiply_adds(&sum, 0), 0.0);
    EXPECT_EQ(kernels::multiply_adds(&sum, 20), 2 * kernels::multiply_adds(&sum, 10));
    EXPECT_TRUE(std::isfinite(sum));
  });
}

}  // namespace
}  // namespace volley

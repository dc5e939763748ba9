#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/poisson.hpp"
#include "spec/poisson.hpp"
#include "support/every_target.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

struct Encoded {
  std::vector<std::uint64_t> trains;
  std::vector<std::uint32_t> active;
};

Encoded encode(const std::vector<std::uint8_t>& pixels, std::size_t T, std::uint32_t sample, PhiloxKey key) {
  Encoded e{std::vector<std::uint64_t>(pixels.size() * ((T + 63) / 64), 0x5555555555555555),
            std::vector<std::uint32_t>(pixels.size())};
  e.active.resize(kernels::poisson_encode(e.trains.data(), e.active.data(), pixels.data(), pixels.size(), T,
                                          sample, key));
  // Rows of the silent features, put back where a test looks for them.
  const std::size_t W = (T + 63) / 64;
  std::vector<std::uint64_t> rows(e.trains.size());
  for (std::size_t a = 0; a < e.active.size(); ++a) std::copy_n(&e.trains[a * W], W, &rows[e.active[a] * W]);
  e.trains = rows;
  return e;
}

TEST(PoissonKernel, IsTheReferenceBitForBit) {
  test::on_every_target([] {
    for (const std::size_t T : {1u, 4u, 15u, 16u, 17u, 63u, 64u, 65u, 100u, 129u, 300u}) {
      test::Random random(static_cast<std::uint32_t>(T));
      std::vector<std::uint8_t> pixels(97);
      for (std::uint8_t& k : pixels)
        k = static_cast<std::uint8_t>(random.below(3) == 0 ? 0 : random.below(256));
      pixels[5] = 255, pixels[6] = 1, pixels[7] = 254;
      const PhiloxKey key = philox_key(123, Purpose::encode_train, 9);
      const Encoded e = encode(pixels, T, 77, key);
      const std::size_t W = (T + 63) / 64;
      for (std::size_t f = 0; f < pixels.size(); ++f) {
        for (std::size_t t = 0; t < W * 64; ++t) {
          const bool expected = t < T && spec::poisson_fires(spec::poisson_digits(pixels[f]), t,
                                                             static_cast<std::uint32_t>(f), 77, key);
          ASSERT_EQ(e.trains[f * W + t / 64] >> t % 64 & 1, expected) << "feature " << f << " step " << t;
        }
      }
      std::vector<std::uint32_t> loud;
      for (std::uint32_t f = 0; f < pixels.size(); ++f) {
        const auto row = e.trains.begin() + static_cast<std::ptrdiff_t>(f * W);
        if (std::any_of(row, row + static_cast<std::ptrdiff_t>(W), [](auto word) { return word != 0; })) {
          loud.push_back(f);
        }
      }
      EXPECT_EQ(e.active, loud);
    }
  });
}

// Of a real-valued probability the digits are exact from 2^-40 on, and never too large.
TEST(PoissonReference, DigitsAreTheProbability) {
  EXPECT_EQ(spec::poisson_digits(-0.5f), 0u);
  EXPECT_EQ(spec::poisson_digits(std::numeric_limits<float>::quiet_NaN()), 0u);
  EXPECT_EQ(spec::poisson_digits(1.0f), spec::kPoissonAlways);
  EXPECT_EQ(spec::poisson_digits(2.0f), spec::kPoissonAlways);
  EXPECT_EQ(spec::poisson_digits(std::nextafter(1.0f, 0.0f)), 0xFFFFFF0000000000u);
  test::Random random(3);
  for (int i = 0; i < 1000; ++i) {
    const float p = std::ldexp(0.5f + static_cast<float>(random.below(1u << 23)) * 0x1p-24f,
                               -static_cast<int>(random.below(39)));
    EXPECT_EQ(static_cast<double>(spec::poisson_digits(p)) * 0x1p-64, static_cast<double>(p)) << p;
  }
}

TEST(PoissonKernel, ProbabilitiesAreTheReferenceBitForBit) {
  test::on_every_target([] {
    for (const std::size_t F : {0u, 1u, 7u, 8u, 9u, 63u, 64u, 65u}) {
      constexpr std::size_t T = 100, W = 2;
      std::vector<float> p = test::Random(static_cast<std::uint32_t>(F)).values<float>(F);  // some below 0
      for (std::size_t f = 0; f < F; f += 5) p[f] = 0.5f;  // whose last digits are 0
      std::vector<std::uint64_t> trains(F * W), rows(F * W);
      std::vector<std::uint32_t> active(F);
      const PhiloxKey key = philox_key(1, Purpose::encode_test, 2);
      active.resize(kernels::poisson_encode(trains.data(), active.data(), p.data(), F, T, 9, key));
      for (std::size_t a = 0; a < active.size(); ++a) std::copy_n(&trains[a * W], W, &rows[active[a] * W]);
      for (std::uint32_t f = 0; f < F; ++f) {
        for (std::size_t t = 0; t < T; ++t) {
          ASSERT_EQ(rows[f * W + t / 64] >> t % 64 & 1,
                    spec::poisson_fires(spec::poisson_digits(p[f]), t, f, 9, key))
              << "feature " << f << " step " << t;
        }
      }
    }
  });
}

// Each of the 256 pixel values over a million steps: the count lies within five standard deviations of k /
// 255.
TEST(PoissonKernel, RatesAreThePixels) {
  constexpr std::size_t T = 8192, kSamples = 128;
  std::vector<std::uint8_t> pixels(256);
  for (std::size_t k = 0; k < 256; ++k) pixels[k] = static_cast<std::uint8_t>(k);
  std::vector<double> counts(256);
  double chi2 = 0;
  for (std::uint32_t sample = 0; sample < kSamples; ++sample) {
    const Encoded e = encode(pixels, T, sample, philox_key(1, Purpose::encode_test, 0));
    for (std::size_t i = 0; i < e.trains.size(); ++i) counts[i / (T / 64)] += std::popcount(e.trains[i]);
  }
  EXPECT_EQ(counts[0], 0);
  EXPECT_EQ(counts[255], T * kSamples);
  for (std::size_t k = 1; k < 255; ++k) {
    const double p = static_cast<double>(k) / 255;
    const double expected = p * T * kSamples;
    const double deviation = (counts[k] - expected) / std::sqrt(expected * (1 - p));
    EXPECT_LT(std::abs(deviation), 5) << "pixel " << k;
    chi2 += deviation * deviation;
  }
  EXPECT_NEAR(chi2, 254, 5 * std::sqrt(2 * 254.0));
}

// Counted, not sampled: of the 256^8 equally likely outcomes of the eight bytes, those that fire. A byte that
// differs from its digit decides, whatever comes behind it; so level by level, after ties alone, each of the
// 256 is tried.
long double counted_probability(std::uint64_t digits) {
  if (digits == spec::kPoissonAlways) return 1;
  long double probability = 0, reached = 1;  // of getting to a level
  for (std::uint32_t level = 0; level < spec::kPoissonLevels; ++level, reached /= 256) {
    const auto digit = [&](std::uint32_t at) { return static_cast<std::uint8_t>(digits >> (56 - 8 * at)); };
    for (unsigned r = 0; r < 256; ++r) {
      if (r == digit(level)) continue;
      std::uint32_t asked = 0;
      const bool fired = spec::poisson_fires(digits, [&](std::uint32_t at) {
        ++asked;
        return at == level ? static_cast<std::uint8_t>(r) : digit(at);
      });
      EXPECT_EQ(asked, level + 1) << "the bytes behind the one that decides are not looked at";
      if (fired) probability += reached / 256;
    }
  }
  return probability;
}

TEST(PoissonReference, ProbabilityIsThePixelsShareOf255AndThatOfARealValueItself) {
  for (unsigned k = 0; k < 256; ++k) {
    const auto counted = counted_probability(spec::poisson_digits(static_cast<std::uint8_t>(k)));
    EXPECT_NEAR(static_cast<double>(counted), k / 255.0, 1e-15) << "pixel " << k;
  }
  for (const float p : {0.0f, 1e-9f, 1e-3f, 0.1f, 1.0f / 3, 0.5f, 0.7f, 0.999999f, 1.0f}) {
    const auto counted = counted_probability(spec::poisson_digits(p));
    EXPECT_NEAR(static_cast<double>(counted), static_cast<double>(p), 1e-15) << p;
  }
  EXPECT_EQ(counted_probability(spec::poisson_digits(-0.5f)), 0);
  EXPECT_EQ(counted_probability(spec::poisson_digits(1.5f)), 1);
}

// What a comparison of one byte alone would give: k / 256. The digits after it are what makes k / 255.
TEST(PoissonReference, TiesAreDecidedByTheNextByte) {
  std::size_t later = 0, fired_later = 0;
  const PhiloxKey key = philox_key(5, Purpose::encode_train, 0);
  for (std::uint32_t sample = 0; sample < 200000; ++sample) {
    const PhiloxCounter block = philox({0, 0, sample, 0}, key);
    if ((block[0] & 0xFF) != 200) continue;
    ++later;
    fired_later += spec::poisson_fires(spec::poisson_digits(std::uint8_t{200}), 0, 0, sample, key);
  }
  EXPECT_GT(later, 600u);
  EXPECT_NEAR(static_cast<double>(fired_later) / static_cast<double>(later), 200.0 / 255, 0.08);
}

TEST(PoissonKernel, EveryPartOfTheAddressMatters) {
  const std::vector<std::uint8_t> pixels(8, 128);
  const auto trains = [&](std::uint32_t sample, PhiloxKey key) {
    return encode(pixels, 64, sample, key).trains;
  };
  const auto base = trains(0, philox_key(0, Purpose::encode_train, 0));
  EXPECT_EQ(base, trains(0, philox_key(0, Purpose::encode_train, 0)));
  EXPECT_NE(base, trains(1, philox_key(0, Purpose::encode_train, 0)));
  EXPECT_NE(base, trains(0, philox_key(1, Purpose::encode_train, 0)));
  EXPECT_NE(base, trains(0, philox_key(0, Purpose::encode_test, 0)));
  EXPECT_NE(base, trains(0, philox_key(0, Purpose::encode_train, 1)));
  EXPECT_NE(base[0], base[1]);
}

}  // namespace
}  // namespace volley

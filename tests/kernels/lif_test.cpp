#include <gtest/gtest.h>

#include <cmath>

#include <volley/buffer.hpp>

#include "kernels/neuron.hpp"
#include "reference/lif.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using reference::Fire;
using reference::LIFParameters;

kernels::LIFKernel lower(const LIFParameters<float>& p) {
  const float inv_tau = 1 / p.tau;
  return {{p.v_threshold, p.kappa(), p.c(), p.rest(), p.detach_reset},
          inv_tau,
          p.decay_input ? inv_tau : 1.0f,
          1 - inv_tau,
          p.decay_input};
}

struct Result {
  std::vector<float> s, dx;
  std::vector<std::uint64_t> words;
};

/// What the kernels make of N samples of currents x (N, T, F).
Result run_kernel(const std::vector<float>& x, const std::vector<float>& ds, const LIFParameters<float>& p,
                  const Surrogate& surrogate, std::size_t N, std::size_t T, std::size_t F) {
  const std::size_t row_words = (F + 63) / 64;
  const kernels::NeuronShape shape{N, T, F, row_words};
  Result r{std::vector<float>(N * T * F), std::vector<float>(N * T * F),
           std::vector<std::uint64_t>(N * T * row_words, 0xAAAAAAAAAAAAAAAA)};
  Buffer<float> scratch(kernels::neuron_scratch_size(T));
  kernels::lif_forward(r.words.data(), x.data(), lower(p), shape);
  kernels::lif_backward(r.dx.data(), ds.data(), x.data(), lower(p), surrogate, shape, scratch.data());
  for (std::size_t row = 0; row < N * T; ++row) {
    for (std::size_t f = 0; f < F; ++f) {
      r.s[row * F + f] = static_cast<float>(r.words[row * row_words + f / 64] >> f % 64 & 1);
    }
  }
  return r;
}

template <class Real>
void run_reference(std::vector<Real>& s, std::vector<Real>& h, std::vector<Real>& dx,
                   const std::vector<Real>& x, const std::vector<Real>& ds, const LIFParameters<Real>& p,
                   const Surrogate& surrogate, std::size_t N, std::size_t T, std::size_t F) {
  s = h = dx = std::vector<Real>(N * T * F);
  for (std::size_t n = 0; n < N; ++n) {
    const std::size_t i = n * T * F;
    reference::lif_forward(&s[i], &h[i], &x[i], p, surrogate, Fire::hard, T, F);
    reference::lif_backward(&dx[i], &ds[i], &s[i], &h[i], p, surrogate, T, F);
  }
}

// With tau 2, thresholds and currents that are multiples of 1/16 the first steps are exact in float, so
// spikes must agree without exception, on every target and at every size.
TEST(LIFKernel, SpikesAreExactOnDyadicData) {
  test::on_every_target([] {
    for (const std::size_t F : test::kEdgeSizes) {
      for (const std::size_t T : {1u, 2u, 7u}) {
        for (const std::size_t N : {1u, 3u, 5u}) {
          for (const std::optional<float> v_reset :
               {std::optional<float>{0.0f}, std::optional<float>{-0.25f}, std::optional<float>{}}) {
            for (const bool decay_input : {true, false}) {
              const LIFParameters<float> p{.v_reset = v_reset, .decay_input = decay_input};
              const std::vector<float> x = test::Random(static_cast<std::uint32_t>(F)).dyadic(N * T * F, 40);
              std::vector<float> s, h, dx;
              run_reference(s, h, dx, x, x, p, ATan{}, N, T, F);
              ASSERT_EQ(run_kernel(x, x, p, ATan{}, N, T, F).s, s) << "N " << N << " T " << T << " F " << F;
            }
          }
        }
      }
    }
  });
}

TEST(LIFKernel, PaddingBitsAreNought) {
  test::on_every_target([] {
    const std::vector<float> x(3 * 4 * 70, 5.0f);  // all fire at every step
    const Result r = run_kernel(x, x, {}, ATan{}, 3, 4, 70);
    for (std::size_t i = 0; i < r.words.size(); i += 2) {
      EXPECT_EQ(r.words[i], ~std::uint64_t{0});
      EXPECT_EQ(r.words[i + 1], (std::uint64_t{1} << 6) - 1);
    }
  });
}

// Against the reference in double: spikes wherever h is not within rounding of the threshold, gradients of
// trains whose spikes all agree.
TEST(LIFKernel, FollowsTheDoubleReferenceWithEveryOption) {
  constexpr std::size_t N = 6, T = 100, F = 37;
  std::size_t close = 0;
  test::on_every_target([&] {
    for (const float tau : {2.0f, 3.7f, 20.0f}) {
      for (const std::optional<float> v_reset :
           {std::optional<float>{0.0f}, std::optional<float>{0.1f}, std::optional<float>{}}) {
        for (const bool decay_input : {true, false}) {
          for (const bool detach_reset : {true, false}) {
            for (const Surrogate& surrogate : {Surrogate{ATan{}}, Surrogate{Sigmoid{}}}) {
              const LIFParameters<float> p{tau, 0.9f, v_reset, decay_input, detach_reset};
              LIFParameters<double> pd{.tau = static_cast<double>(tau),
                                       .v_threshold = static_cast<double>(p.v_threshold),
                                       .decay_input = decay_input,
                                       .detach_reset = detach_reset};
              pd.v_reset.reset();
              if (v_reset.has_value()) pd.v_reset = static_cast<double>(*v_reset);
              test::Random random(static_cast<std::uint32_t>(tau * 10));
              const double high = decay_input ? 4.0 : 4.0 / static_cast<double>(tau);
              const std::vector<float> x = random.values<float>(N * T * F, -high / 4, high);
              const std::vector<float> ds = random.values<float>(N * T * F);
              const Result r = run_kernel(x, ds, p, surrogate, N, T, F);
              std::vector<double> s, h, dx;
              run_reference<double>(s, h, dx, {x.begin(), x.end()}, {ds.begin(), ds.end()}, pd, surrogate, N,
                                    T, F);
              for (std::size_t n = 0; n < N; ++n) {
                for (std::size_t f = 0; f < F; ++f) {
                  double scale = 0, error = 0;
                  bool same = true;
                  for (std::size_t t = 0; t < T && same; ++t) {
                    const std::size_t i = (n * T + t) * F + f;
                    same = static_cast<double>(r.s[i]) == s[i];
                    if (!same) {
                      EXPECT_LT(std::abs(h[i] - pd.v_threshold), 1e-5)
                          << "a spike differs far from the threshold";
                      ++close;
                    }
                    scale = std::max(scale, std::abs(dx[i]));
                    error = std::max(error, std::abs(static_cast<double>(r.dx[i]) - dx[i]));
                  }
                  if (same) {
                    EXPECT_LT(error, 1e-5 * (scale + 1e-3));
                  }
                }
              }
            }
          }
        }
      }
    }
  });
  EXPECT_LT(close, 20u) << "spikes too close to the threshold to compare";
}

TEST(LIFKernel, FusedTargetsGiveTheSameBits) {
  constexpr std::size_t N = 5, T = 100, F = 75;
  const std::vector<float> x = test::Random(5).values<float>(N * T * F, -1, 4);
  const std::vector<float> ds = test::Random(6).values<float>(N * T * F);
  for (const Surrogate& surrogate : {Surrogate{ATan{}}, Surrogate{Sigmoid{}}}) {
    std::vector<Result> results;
    test::on_every_target([&] {
      const std::string target = kernels::active_target();
      if (target == "avx2" || target == "avx512") {
        results.push_back(run_kernel(x, ds, {.tau = 3.3f}, surrogate, N, T, F));
      }
    });
    for (const Result& r : results) {
      EXPECT_EQ(r.words, results.front().words);
      EXPECT_EQ(r.dx, results.front().dx);
    }
  }
}

TEST(LIFKernel, SigmoidFarFromTheThresholdIsNoughtNotNaN) {
  test::on_every_target([] {
    const std::vector<float> x{-1e30f, 1e30f, -1e4f, 1e4f};
    const Result r = run_kernel(x, std::vector<float>(4, 1.0f), {}, Sigmoid{25.0f}, 1, 1, 4);
    for (const float dx : r.dx) EXPECT_EQ(dx, 0.0f);
  });
}

}  // namespace
}  // namespace volley

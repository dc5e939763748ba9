#include <gtest/gtest.h>

#include <numeric>

#include <volley/buffer.hpp>

#include "kernels/bits.hpp"
#include "kernels/linear.hpp"
#include "kernels/update.hpp"
#include "spec/linear.hpp"
#include "spec/optimizer.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

/// Spikes x (N, T, F) in both bit orders.
struct PackedSpikes {
  std::size_t N, T, F, FW, W;
  std::vector<float> x;
  std::vector<std::uint64_t> steps, trains;
  std::vector<std::uint32_t> active, active_count;

  PackedSpikes(std::size_t samples, std::size_t T_, std::size_t F_, double rate, std::uint32_t seed)
      : N(samples), T(T_), F(F_), FW((F_ + 63) / 64), W((T_ + 63) / 64) {
    x = test::Random(seed).spikes<float>(N * T * F, rate);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (i % F % 3 == 0) x[i] = 0;  // some features are silent
    }
    steps.resize(N * T * FW);
    trains.resize(N * F * W);
    active.resize(N * F);
    active_count.resize(N);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] != 0) steps[i / F * FW + i % F / 64] |= std::uint64_t{1} << i % F % 64;
    }
    for (std::size_t n = 0; n < N; ++n) {
      active_count[n] = static_cast<std::uint32_t>(
          kernels::steps_to_trains(&trains[n * F * W], &active[n * F], &steps[n * T * FW], T, F));
    }
  }
  kernels::TrainBatch batch() const { return {trains.data(), active.data(), active_count.data(), N, T, F}; }
};

TEST(Bits, OrdersTurnIntoEachOther) {
  for (const std::size_t F : test::kEdgeSizes) {
    for (const std::size_t T : {1u, 63u, 64u, 65u, 130u}) {
      const PackedSpikes p(1, T, F, 0.3, static_cast<std::uint32_t>(F * T));
      std::size_t a = 0;
      for (std::size_t f = 0; f < F; ++f) {
        bool any = false;
        for (std::size_t t = 0; t < T; ++t) any = any || p.x[t * F + f] != 0;
        if (!any) continue;
        ASSERT_LT(a, p.active_count[0]);
        ASSERT_EQ(p.active[a], f);
        for (std::size_t t = 0; t < p.W * 64; ++t) {
          const bool expected = t < T && p.x[t * F + f] != 0;
          ASSERT_EQ(p.trains[a * p.W + t / 64] >> t % 64 & 1, expected);
        }
        ++a;
      }
      ASSERT_EQ(a, p.active_count[0]);
      std::vector<std::uint64_t> back(p.steps.size(), ~std::uint64_t{0});
      kernels::trains_to_steps(back.data(), p.trains.data(), p.active.data(), p.active_count[0], T, F);
      ASSERT_EQ(back, p.steps);
    }
  }
}

// The kernel adds the same numbers in the same order as the reference, so it gives its very bits.
TEST(LinearKernel, TheForwardOfTrainsIsTheReferenceBitForBit) {
  test::on_every_target([] {
    for (const std::size_t out : {1u, 2u, 3u, 7u, 10u, 16u, 17u, 33u, 130u, 200u}) {
      for (const std::size_t T : {1u, 4u, 16u, 65u, 100u, 150u}) {
        for (const std::size_t in : {1u, 3u, 4u, 64u, 70u, T == 4 ? 1100u : 65u}) {
          const PackedSpikes p(2, T, in, 0.2, static_cast<std::uint32_t>(out * T));
          const std::vector<float> weight = test::Random(1).values<float>(out * in);
          const std::vector<float> bias = test::Random(2).values<float>(out);
          for (const float* b : {bias.data(), static_cast<const float*>(nullptr)}) {
            std::vector<float> expected(2 * T * out), y(2 * T * out);
            spec::linear_forward(expected.data(), p.x.data(), weight.data(), b, 2 * T, in, out);
            for (std::size_t n = 0; n < 2; ++n) {
              kernels::linear_forward_trains(&y[n * T * out], &p.trains[n * in * p.W], &p.active[n * in],
                                             p.active_count[n], weight.data(), b, T, in, out);
            }
            ASSERT_EQ(y, expected) << "in " << in << " out " << out << " T " << T;
          }
        }
      }
    }
  });
}

TEST(LinearKernel, WeightGradientIsTheReferenceByFoursBitForBit) {
  test::on_every_target([] {
    for (const std::size_t out : {1u, 10u, 16u, 21u}) {
      for (const std::size_t T : {1u, 3u, 4u, 64u, 67u, 100u, 130u, 257u}) {
        const std::size_t N = 3, in = 45;
        const PackedSpikes p(N, T, in, 0.3, static_cast<std::uint32_t>(out + T));
        const std::vector<float> dy = test::Random(3).values<float>(N * T * out);
        const std::vector<float> before = test::Random(4).values<float>(out * in);
        std::vector<float> expected = before, dw = before;
        spec::linear_weight_gradient_by_fours(expected.data(), dy.data(), p.x.data(), N, T, in, out);
        constexpr std::size_t kColumns = kernels::kGradientColumns;
        Buffer<float> scratch(kernels::kGradientScratch), sums(in * kColumns);
        std::vector<std::uint32_t> row_of(in + 1);
        std::iota(row_of.begin(), row_of.end(), 0u);
        for (std::size_t o = 0; o < out; o += kColumns) {
          const std::size_t columns = std::min(kColumns, out - o);
          for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 20}, {20, in}}) {
            sums.zero();
            kernels::linear_weight_gradient_trains(sums.data(), &dy[o], p.batch(), out, columns,
                                                   row_of.data(), first, last, scratch.data());
            kernels::add_transposed(&dw[o * in + first], in, sums.data(), kColumns, last - first, columns);
          }
        }
        ASSERT_EQ(dw, expected) << "out " << out << " T " << T;

        std::vector<double> plain(before.begin(), before.end());
        spec::linear_weight_gradient<double>(plain.data(), std::vector<double>(dy.begin(), dy.end()).data(),
                                             std::vector<double>(p.x.begin(), p.x.end()).data(), N * T, in,
                                             out);
        EXPECT_LT(test::relative_error(dw, plain), 1e-5);
      }
    }
  });
}

TEST(MatrixProduct, AllThreeUsesAgreeWithTheReference) {
  test::on_every_target([] {
    for (const std::size_t in : {1u, 15u, 16u, 17u, 33u, 65u}) {
      for (const std::size_t out : {1u, 6u, 7u, 40u}) {
        const std::size_t rows = 13;
        const std::vector<double> x = test::Random(1).values<double>(rows * in),
                                  w = test::Random(2).values<double>(out * in),
                                  dy = test::Random(3).values<double>(rows * out), dw0(out * in, 0.5);
        const std::vector<float> xf(x.begin(), x.end()), wf(w.begin(), w.end()), dyf(dy.begin(), dy.end());
        std::vector<float> w_t(in * out), y(rows * out), dx(rows * in), dw(out * in, 0.5f);
        kernels::transpose(w_t.data(), wf.data(), out, in);
        Buffer<float> panel(kernels::product_panel_size(std::max({in, out, rows})));
        float* p = panel.data();
        kernels::matrix_product({xf.data(), in, 1, w_t.data(), out, y.data(), out, rows, out, in, false}, p);
        kernels::matrix_product({dyf.data(), out, 1, wf.data(), in, dx.data(), in, rows, in, out, false}, p);
        kernels::matrix_product({dyf.data(), 1, out, xf.data(), in, dw.data(), in, out, in, rows, true}, p);
        std::vector<double> y2(rows * out), dx2(rows * in), dw2 = dw0;
        spec::linear_forward<double>(y2.data(), x.data(), w.data(), nullptr, rows, in, out);
        spec::linear_input_gradient(dx2.data(), dy.data(), w.data(), rows, in, out);
        spec::linear_weight_gradient(dw2.data(), dy.data(), x.data(), rows, in, out);
        EXPECT_LT(test::relative_error(y, y2), 1e-5);
        EXPECT_LT(test::relative_error(dx, dx2), 1e-5);
        EXPECT_LT(test::relative_error(dw, dw2), 1e-5);
      }
    }
  });
}

// Each element is one sum over k, ascending, however many rows there are and however deep it is.
TEST(MatrixProduct, SumsInOneOrderWhateverIsBesideThem) {
  const std::size_t m = 14, n = 70, k = kernels::kProductDepth + 9;
  const std::vector<float> a = test::Random(1).values<float>(m * k), b = test::Random(2).values<float>(k * n);
  std::vector<float> expected(m * n, 0.5f);
  for (std::size_t i = 0; i < m * n; ++i) {
    for (std::size_t j = 0; j < k; ++j)
      expected[i] = std::fma(a[i / n * k + j], b[j * n + i % n], expected[i]);
  }
  Buffer<float> panel(kernels::product_panel_size(k));
  test::on_every_target([&] {
    if (!kernels::active_target().starts_with("avx")) return;  // others may not fuse
    for (const std::size_t rows : {std::size_t{1}, std::size_t{7}, m}) {
      std::vector<float> c(rows * n, 0.5f);
      kernels::matrix_product({a.data(), k, 1, b.data(), n, c.data(), n, rows, n, k, true}, panel.data());
      ASSERT_TRUE(std::equal(c.begin(), c.end(), expected.begin())) << rows << " rows";
    }
  });
}

TEST(UpdateKernels, FollowTheReferenceInDouble) {
  test::on_every_target([] {
    for (const std::size_t n : test::kEdgeSizes) {
      test::Random random(static_cast<std::uint32_t>(n));
      const std::vector<float> w0 = random.values<float>(n);
      for (const bool nesterov : {false, true}) {
        for (const float momentum : {0.0f, 0.9f}) {
          std::vector<float> w = w0, b(n);
          std::vector<double> wd(w0.begin(), w0.end()), bd(n);
          for (int k = 0; k < 4; ++k) {
            const std::vector<float> g = random.values<float>(n);
            kernels::sgd_step(w.data(), b.data(), g.data(),
                              {0.1f, momentum, 0.01f, nesterov && momentum > 0, k == 0}, n);
            spec::sgd_step<double>(
                wd.data(), bd.data(), std::vector<double>(g.begin(), g.end()).data(),
                {0.1, static_cast<double>(momentum), 0.01, nesterov && momentum > 0, k == 0}, n);
          }
          EXPECT_LT(test::relative_error(w, wd), 1e-6);
        }
      }
      std::vector<float> w = w0, m(n), v(n);
      std::vector<double> wd(w0.begin(), w0.end()), md(n), vd(n);
      for (int k = 1; k <= 6; ++k) {
        const std::vector<float> g = random.values<float>(n);
        auto c = spec::adam_coefficients<float>(0.01, 0.9, 0.999, 1e-8, 0.02, k);
        auto cd = spec::adam_coefficients<double>(0.01, 0.9, 0.999, 1e-8, 0.02, k);
        c.keep = k > 3 ? spec::decoupled_keep<float>(0.01, 30) : 1;  // AdamW's
        cd.keep = k > 3 ? spec::decoupled_keep<double>(0.01, 30) : 1;
        kernels::adam_step(
            w.data(), m.data(), v.data(), g.data(),
            {c.beta1, c.beta2, c.eps, c.weight_decay, c.step_size, c.inverse_sqrt_bias2, c.keep}, n);
        spec::adam_step<double>(wd.data(), md.data(), vd.data(),
                                std::vector<double>(g.begin(), g.end()).data(), cd, n);
      }
      EXPECT_LT(test::relative_error(w, wd), 1e-5);
    }
  });
}

TEST(Targets, OneCanBeForcedAndAWrongOneIsRefused) {
  const std::vector<std::string> supported = kernels::supported_targets();
  ASSERT_FALSE(supported.empty());
  try {
    kernels::force_target("mmx");
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_EQ(std::string(error.what()).rfind("[instruction set] target must be one of ", 0), 0u)
        << error.what();
  }
  EXPECT_EQ(kernels::active_target(), supported.front());
}

}  // namespace
}  // namespace volley

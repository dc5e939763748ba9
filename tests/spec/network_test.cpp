// The whole unrolling at once: linear, LIF, linear, LIF, rate, loss, in double with the smooth step, against
// finite differences with respect to every weight.

#include <gtest/gtest.h>

#include "spec/lif.hpp"
#include "spec/linear.hpp"
#include "spec/loss.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using namespace spec;
using Values = std::vector<double>;

constexpr std::size_t N = 3, T = 7, kIn = 5, kHidden = 6, kOut = 4;

struct Network {
  LIFNeuron<double> p;
  Surrogate surrogate;
  bool cross_entropy = false;
  Values x = test::Random(1).spikes<double>(N * T * kIn, 0.4);
  std::vector<std::uint32_t> labels{2, 0, 3};

  struct Pass {
    Values a1 = Values(N * T * kHidden), s1 = a1, h1 = a1;
    Values a2 = Values(N * T * kOut), s2 = a2, h2 = a2;
    Values rates = Values(N * kOut);
    double loss = 0;
  };

  /// Weights of both layers in one list. `frozen`: the pass whose spikes a detached reset uses.
  Pass forward(const Values& w, const Pass* frozen = nullptr) const {
    Pass q;
    linear_forward<double>(q.a1.data(), x.data(), w.data(), nullptr, N * T, kIn, kHidden);
    for (std::size_t n = 0; n < N; ++n) {
      const std::size_t i = n * T * kHidden;
      neuron_forward(&q.s1[i], &q.h1[i], &q.a1[i], everywhere(p), surrogate, Fire::smooth, T, kHidden,
                     frozen != nullptr ? &frozen->s1[i] : nullptr);
    }
    linear_forward<double>(q.a2.data(), q.s1.data(), w.data() + kIn * kHidden, nullptr, N * T, kHidden, kOut);
    for (std::size_t n = 0; n < N; ++n) {
      const std::size_t i = n * T * kOut;
      neuron_forward(&q.s2[i], &q.h2[i], &q.a2[i], everywhere(p), surrogate, Fire::smooth, T, kOut,
                     frozen != nullptr ? &frozen->s2[i] : nullptr);
      for (std::size_t k = 0; k < kOut; ++k) {
        for (std::size_t t = 0; t < T; ++t) q.rates[n * kOut + k] += q.s2[i + t * kOut + k] / T;
      }
    }
    q.loss = cross_entropy ? mean_cross_entropy_forward(q.rates.data(), labels.data(), 0.0, N, kOut)
                           : mse_forward(q.rates.data(), labels.data(), 1.0, 1.0, 0.0, N, kOut);
    return q;
  }

  Values backward(const Values& w, const Pass& q) const {
    Values dr(N * kOut), ds2(N * T * kOut), da2 = ds2, ds1(N * T * kHidden), da1 = ds1;
    if (cross_entropy) {
      mean_cross_entropy_backward(dr.data(), q.rates.data(), labels.data(), 0.0, N, kOut);
    } else {
      mse_backward(dr.data(), q.rates.data(), labels.data(), 1.0, 1.0, 0.0, N, kOut);
    }
    for (std::size_t i = 0; i < ds2.size(); ++i) ds2[i] = dr[i / (T * kOut) * kOut + i % kOut] / T;
    for (std::size_t n = 0; n < N; ++n) {
      const std::size_t i = n * T * kOut;
      neuron_backward<double>(&da2[i], nullptr, &ds2[i], &q.s2[i], &q.h2[i], &q.a2[i], everywhere(p),
                              surrogate, T, kOut);
    }
    linear_input_gradient(ds1.data(), da2.data(), w.data() + kIn * kHidden, N * T, kHidden, kOut);
    for (std::size_t n = 0; n < N; ++n) {
      const std::size_t i = n * T * kHidden;
      neuron_backward<double>(&da1[i], nullptr, &ds1[i], &q.s1[i], &q.h1[i], &q.a1[i], everywhere(p),
                              surrogate, T, kHidden);
    }
    Values dw(w.size());
    linear_weight_gradient(dw.data(), da1.data(), x.data(), N * T, kIn, kHidden);
    linear_weight_gradient(dw.data() + kIn * kHidden, da2.data(), q.s1.data(), N * T, kHidden, kOut);
    return dw;
  }
};

TEST(NetworkReference, GradientOfTheWholeUnrolling) {
  const Values w = test::Random(2).values<double>(kIn * kHidden + kHidden * kOut, -1, 2);
  for (const bool cross_entropy : {false, true}) {
    for (const bool detach_reset : {false, true}) {
      for (const std::optional<double> v_reset : {std::optional<double>{0.0}, std::optional<double>{}}) {
        LIFNeuron<double> p;
        p.v_reset = v_reset;
        p.detach_reset = detach_reset;
        const Network net{p, ATan{}, cross_entropy};
        const Network::Pass base = net.forward(w);
        const auto loss = [&](const Values& at) {
          return net.forward(at, detach_reset ? &base : nullptr).loss;
        };
        EXPECT_LT(test::gradient_error(loss, w, net.backward(w, base)), 1e-6);
        Network wrong = net;
        wrong.p.detach_reset = !detach_reset;
        EXPECT_GT(test::gradient_error(loss, w, wrong.backward(w, base)), 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace volley

#include "kernels/groups.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include <volley/threads.hpp>

#include "cpu/cpu_executor.hpp"
#include "cpu/group_lists.hpp"
#include "signal/spike_words.hpp"
#include "spec/linear.hpp"
#include "support/every_target.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

struct Case {
  std::size_t N, T, in;
  double rate;
  std::vector<float> x;
  Spikes spikes;

  Case(std::size_t samples, std::size_t steps, std::size_t inputs, double spike_rate)
      : N(samples), T(steps), in(inputs), rate(spike_rate) {
    x = test::Random(static_cast<std::uint32_t>(T + in)).spikes<float>(N * T * in, rate);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (i % in / 4 % 5 == 0) x[i] = 0;  // some groups are silent
    }
    std::uint64_t* words = SpikeWords::make_steps(spikes, {N, T, in});
    const std::size_t FW = SpikeWords::row_words(spikes);
    std::fill_n(words, N * T * FW, std::uint64_t{0});
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] != 0) words[i / in * FW + i % in / 64] |= std::uint64_t{1} << i % in % 64;
    }
  }
  std::vector<float> expected(const std::vector<float>& weight, const float* bias, std::size_t out) const {
    std::vector<float> y(N * T * out);
    spec::linear_forward_by_fours(y.data(), x.data(), weight.data(), bias, N * T, in, out);
    return y;
  }
};

ops::SpikesView view_of(const Spikes& spikes) {
  static ThreadPool caller(1);
  static cpu::CpuExecutor device(caller);
  return SpikeWords::view(spikes, device);
}

std::vector<float> forward(const GroupLists& lists, const Case& c, const std::vector<float>& weight,
                           const float* bias, std::size_t out) {
  std::vector<float> y(c.N * c.T * out, 7.0f);
  Buffer<float> scratch(kernels::group_scratch_size(c.N * c.T));
  constexpr std::size_t kOutputs = kernels::kGroupOutputs;
  for (std::size_t o = 0; o < out; o += kOutputs) {
    kernels::group_forward(&y[o], out, lists.rows(), lists.weights(&weight[o * c.in], c.in),
                           bias != nullptr ? bias + o : nullptr, std::min(kOutputs, out - o), scratch.data());
  }
  return y;
}

// Few spikes are walked row by row, many in blocks; both must be met here.
TEST(Groups, AreTheReferenceBitForBitHoweverRowsAreWalked) {
  bool met[2] = {};
  test::on_every_target([&] {
    ThreadPool threads(2);
    for (const double rate : {0.0, 0.02, 0.4, 1.0}) {
      for (const auto& [N, T] :
           {std::pair<std::size_t, std::size_t>{1, 1}, {5, 4}, {2, 12}, {2, 13}, {3, 25}, {1, 65}}) {
        for (const std::size_t in : {1u, 3u, 4u, 63u, 64u, 65u, 1030u}) {
          const Case c(N, T, in, rate);
          GroupLists lists;
          lists.list(view_of(c.spikes), threads);
          met[lists.rows().single] = true;
          for (const std::size_t out : {1u, 16u, 33u, 130u}) {
            const std::vector<float> weight = test::Random(1).values<float>(out * in);
            const std::vector<float> bias = test::Random(2).values<float>(out);
            for (const float* b : {bias.data(), static_cast<const float*>(nullptr)}) {
              ASSERT_EQ(forward(lists, c, weight, b, out), c.expected(weight, b, out))
                  << "N " << N << " T " << T << " in " << in << " out " << out << " rate " << rate;
            }
          }
        }
      }
    }
  });
  EXPECT_TRUE(met[0]);
  EXPECT_TRUE(met[1]);
}

// The order of a step's sum depends on that step's spikes alone: no cut of time changes a bit.
TEST(Groups, CutsOfTimeChangeNoBit) {
  test::on_every_target([] {
    ThreadPool threads(2);
    constexpr std::size_t T = 25, in = 300, out = 70;
    const std::vector<float> weight = test::Random(1).values<float>(out * in);
    for (const double rate : {0.02, 0.1, 0.4}) {
      const Case whole(1, T, in, rate);
      GroupLists lists;
      lists.list(view_of(whole.spikes), threads);
      const std::vector<float> y = forward(lists, whole, weight, nullptr, out);
      for (const std::size_t steps : {std::size_t{1}, std::size_t{7}}) {
        for (std::size_t t = 0; t < T; t += steps) {
          const std::size_t count = std::min(steps, T - t);
          Case part(1, count, in, 0);
          std::copy_n(SpikeWords::steps(whole.spikes, 0) + t * SpikeWords::row_words(whole.spikes),
                      count * SpikeWords::row_words(whole.spikes),
                      SpikeWords::make_steps(part.spikes, {1, count, in}));
          lists.list(view_of(part.spikes), threads);
          ASSERT_EQ(forward(lists, part, weight, nullptr, out),
                    std::vector<float>(y.begin() + static_cast<std::ptrdiff_t>(t * out),
                                       y.begin() + static_cast<std::ptrdiff_t>((t + count) * out)))
              << "rate " << rate << " steps " << steps << " from " << t;
        }
      }
    }
  });
}

// An empty sum is bias + 0: a bias of -0 gives +0 in the specification, whether groups are added or left out.
TEST(Groups, ASumIsNeverMinusZero) {
  ThreadPool threads(1);
  const Case c(1, 3, 8, 0.0);
  GroupLists lists;
  lists.list(view_of(c.spikes), threads);
  const std::vector<float> weight(8 * 40, 1.0f), bias(40, -0.0f);
  for (const float y : forward(lists, c, weight, bias.data(), 40)) EXPECT_FALSE(std::signbit(y));
  for (const float y : c.expected(weight, bias.data(), 40)) EXPECT_FALSE(std::signbit(y));
}

}  // namespace
}  // namespace volley

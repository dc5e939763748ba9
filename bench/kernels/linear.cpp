#include "kernels/linear.hpp"

#include <bit>
#include <numeric>
#include <string>
#include <vector>

#include "cpu/cpu_executor.hpp"
#include "cpu/group_lists.hpp"
#include "kernels/bits.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/common.hpp"
#include "kernels/poisson.hpp"
#include "signal/spike_words.hpp"
#include "spec/linear.hpp"

namespace volley::bench {
namespace {

constexpr std::size_t kSamples = 64;

/// A layer's input: Poisson spikes of MNIST where it has 784 features, else spikes at the 13 % of the steps
/// that a hidden layer of LIF neurons fires at.
struct Input {
  std::size_t N = kSamples, T, F, FW, W;
  Buffer<std::uint64_t> steps, trains;
  Buffer<std::uint32_t> active, active_count;
  double spikes = 0;

  Input(std::size_t T_, std::size_t F_)
      : T(T_),
        F(F_),
        FW((F_ + 63) / 64),
        W((T_ + 63) / 64),
        steps(N * T * FW),
        trains(N * F * W),
        active(N * F),
        active_count(N) {
    steps.zero();
    trains.zero();
    if (F == 784) {
      encode_pictures();
    } else {
      draw_steps();
    }
    for (const std::uint64_t word : steps.span()) spikes += std::popcount(word);
  }

  void encode_pictures() {
    for (std::uint32_t n = 0; n < N; ++n) {
      const std::size_t count =
          kernels::poisson_encode(&trains[n * F * W], &active[n * F], pictures(N).picture(n).data(), F, T, n,
                                  philox_key(0, Purpose::encode_test, 1));
      active_count[n] = static_cast<std::uint32_t>(count);
      kernels::trains_to_steps(&steps[n * T * FW], &trains[n * F * W], &active[n * F], count, T, F);
    }
  }
  void draw_steps() {
    PhiloxSequence random({1, 0});
    for (std::size_t row = 0; row < N * T; ++row) {
      for (std::size_t f = 0; f < F; ++f) {
        if (random.uniform() < 0.13) steps[row * FW + f / 64] |= std::uint64_t{1} << f % 64;
      }
    }
    for (std::size_t n = 0; n < N; ++n) {
      active_count[n] = static_cast<std::uint32_t>(
          kernels::steps_to_trains(&trains[n * F * W], &active[n * F], &steps[n * T * FW], T, F));
    }
  }

  kernels::TrainBatch batch() const { return {trains.data(), active.data(), active_count.data(), N, T, F}; }
  /// (N, T, F), 0 or 1
  std::vector<double> dense(std::size_t samples) const {
    std::vector<double> x(samples * T * F);
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<double>(steps[i / F * FW + i % F / 64] >> i % F % 64 & 1);
    return x;
  }
};

std::vector<double> as_double(const Buffer<float>& values) {
  return {values.data(), values.data() + values.size()};
}

/// The arguments of a benchmark: a layer of `in` inputs and `out` outputs over T steps.
struct Sizes {
  std::size_t in, out, T;
  explicit Sizes(const benchmark::State& state)
      : in(static_cast<std::size_t>(state.range(0))),
        out(static_cast<std::size_t>(state.range(1))),
        T(static_cast<std::size_t>(state.range(2))) {}
};

// The reference is slow: it is asked for a few of the samples, and a sample is independent of the others.
constexpr std::size_t kVerified = 2;

double forward_error(const Buffer<float>& y, const Input& x, const Buffer<float>& weight, const Sizes& s) {
  std::vector<double> expected(kVerified * s.T * s.out);
  spec::linear_forward<double>(expected.data(), x.dense(kVerified).data(), as_double(weight).data(), nullptr,
                               kVerified * s.T, s.in, s.out);
  return relative_error(y, expected);
}

/// Forward and gradients over spikes count an addition for each spike and output.
Work additions(const Input& x, const Sizes& s) {
  return {.item = "image", .items = kSamples, .flops = x.spikes * static_cast<double>(s.out)};
}

void linear_forward_trains(benchmark::State& state) {
  const Sizes s(state);
  const Input x(s.T, s.in);
  const Buffer<float> weight = random_values(s.out * s.in, 1);
  Buffer<float> y(x.N * s.T * s.out);
  const auto forward = [&] {
    for (std::size_t n = 0; n < x.N; ++n) {
      kernels::linear_forward_trains(&y[n * s.T * s.out], &x.trains[n * s.in * x.W], &x.active[n * s.in],
                                     x.active_count[n], weight.data(), nullptr, s.T, s.in, s.out);
    }
  };
  forward();
  if (!agrees(state, forward_error(y, x, weight, s), 1e-5)) return;
  time_runs(state, additions(x, s), forward);
}

/// With all preparation: the groups are listed, the tables are built.
void group_forward(benchmark::State& state) {
  const Sizes s(state);
  const Input x(s.T, s.in);
  Spikes spikes;
  std::ranges::copy(x.steps.span(), SpikeWords::make_steps(spikes, {x.N, s.T, s.in}));
  const Buffer<float> weight = random_values(s.out * s.in, 1);
  Buffer<float> y(x.N * s.T * s.out), scratch(kernels::group_scratch_size(x.N * s.T));
  ThreadPool threads(1);
  GroupLists lists;
  cpu::CpuExecutor device(threads);
  const auto forward = [&] {
    lists.list(SpikeWords::view(spikes, device), threads);
    constexpr std::size_t kOutputs = kernels::kGroupOutputs;
    for (std::size_t o = 0; o < s.out; o += kOutputs) {
      kernels::group_forward(y.data() + o, s.out, lists.rows(), lists.weights(weight.data() + o * s.in, s.in),
                             nullptr, std::min(kOutputs, s.out - o), scratch.data());
    }
  };
  forward();
  if (!agrees(state, forward_error(y, x, weight, s), 1e-5)) return;
  time_runs(state, additions(x, s), forward);
}

void linear_weight_gradient_trains(benchmark::State& state) {
  const Sizes s(state);
  const Input x(s.T, s.in);
  const Buffer<float> dy = random_values(x.N * s.T * s.out, 2);
  constexpr std::size_t kColumns = kernels::kGradientColumns;
  const std::size_t size = s.in * kColumns;
  Buffer<float> dweight(s.out * s.in), scratch(kernels::kGradientScratch),
      memory(kernels::BlockTree<float>::memory(size, x.N));
  std::vector<std::uint32_t> row_of(s.in + 1);
  std::iota(row_of.begin(), row_of.end(), 0u);
  const auto gradient = [&](std::size_t samples) {
    for (std::size_t o = 0; o < s.out; o += kColumns) {
      const std::size_t columns = std::min(kColumns, s.out - o);
      kernels::BlockTree<float> tree(memory.data(), size, samples);
      kernels::for_each_block(samples, [&](std::size_t first, std::size_t count) {
        kernels::linear_weight_gradient_trains(tree.sums(), dy.data() + first * s.T * s.out + o,
                                               x.batch().part(first, count), s.out, columns, row_of.data(), 0,
                                               s.in, scratch.data());
        tree.close_block();
      });
      kernels::add_transposed(dweight.data() + o * s.in, s.in, tree.root(), kColumns, s.in, columns);
    }
  };
  dweight.zero();
  gradient(kVerified);
  std::vector<double> expected(s.out * s.in);
  spec::linear_weight_gradient<double>(expected.data(), as_double(dy).data(), x.dense(kVerified).data(),
                                       kVerified * s.T, s.in, s.out);
  if (!agrees(state, relative_error(dweight, expected), 1e-5)) return;
  time_runs(state, additions(x, s), [&] { gradient(x.N); });
}

/// The gradient with respect to the input: dx (rows, in) = dy (rows, out) weight (out, in).
void matrix_product(benchmark::State& state) {
  const Sizes s(state);
  const std::size_t rows = kSamples * s.T;
  const Buffer<float> dy = random_values(rows * s.out, 2), weight = random_values(s.out * s.in, 1);
  Buffer<float> dx(rows * s.in), panel(kernels::product_panel_size(s.out));
  const auto multiply = [&] {
    kernels::matrix_product(
        {dy.data(), s.out, 1, weight.data(), s.in, dx.data(), s.in, rows, s.in, s.out, false}, panel.data());
  };
  multiply();
  std::vector<double> expected(kVerified * s.T * s.in);
  spec::linear_input_gradient<double>(expected.data(), as_double(dy).data(), as_double(weight).data(),
                                      kVerified * s.T, s.in, s.out);
  if (!agrees(state, relative_error(dx, expected), 1e-5)) return;
  const double products = static_cast<double>(rows) * static_cast<double>(s.in) * static_cast<double>(s.out);
  time_runs(state, {.item = "image", .items = kSamples, .flops = 2 * products}, multiply);
}

// {in, out, T} of the tutorial network's layer, of the two of 784-800-10, and of one between such layers.
const std::vector<std::int64_t> kTutorial{784, 10, 100}, kFirst{784, 800, 25}, kLast{800, 10, 25},
    kHidden{800, 800, 25};
const std::vector<std::string> kNames{"in", "out", "T"};

BENCHMARK(linear_forward_trains)->Apply(usual)->ArgNames(kNames)->Args(kTutorial)->Args(kLast);
BENCHMARK(group_forward)->Apply(usual)->ArgNames(kNames)->Args(kFirst)->Args(kHidden);
BENCHMARK(linear_weight_gradient_trains)
    ->Apply(usual)
    ->ArgNames(kNames)
    ->Args(kTutorial)
    ->Args(kFirst)
    ->Args(kHidden)
    ->Args(kLast);
BENCHMARK(matrix_product)->Apply(usual)->ArgNames(kNames)->Args(kLast)->Args(kHidden);

}  // namespace
}  // namespace volley::bench

#include <gtest/gtest.h>

#include <volley/kernels.hpp>
#include <volley/volley.hpp>

#include "core/numerics.hpp"
#include "core/tree_sum.hpp"
#include "kernels/block_tree.hpp"
#include "support/random.hpp"

// Gradients are sums over samples: a tree over blocks of them. Here one process plays the ranks of a cluster:
// each computes the subtrees of its blocks in passes of their own, and the joined gradient must have the bits
// of one pass over the whole batch.

namespace volley {
namespace {

constexpr std::size_t kBlock = numerics::kBlockSamples;

struct Values : std::vector<float> {
  friend Values operator+(Values a, const Values& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }
};

struct Problem {
  std::unique_ptr<Layer> layer;
  Shape x_shape;  // of all samples
  std::vector<float> x;
  bool spikes;
  std::vector<float> dy;

  Problem(std::unique_ptr<Layer> layer_, const Shape& features, std::size_t N, std::size_t T, bool of_spikes)
      : layer(std::move(layer_)), x_shape(features.after({N, T})), spikes(of_spikes) {
    x = spikes ? test::Random(1).spikes<float>(x_shape.size(), 0.3)
               : test::Random(1).values<float>(x_shape.size());
    dy = test::Random(2).values<float>(layer->output_shape(features).after({N, T}).size());
  }

  /// The gradients of all parameters, one behind another, of samples [first, first + count).
  Values gradients(std::size_t first, std::size_t count, ThreadPool& threads) const {
    const std::size_t N = x_shape[0], T = x_shape[1], x_size = x.size() / N, y_size = dy.size() / N;
    Tensor values(x_shape.from(1).after({count}));
    std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(first * x_size), count * x_size, values.data());
    Tensor gradient(layer->output_shape(x_shape.from(2)).after({count, T}));
    std::copy_n(dy.begin() + static_cast<std::ptrdiff_t>(first * y_size), count * y_size, gradient.data());
    std::vector<std::uint8_t> bytes(values.values().begin(), values.values().end());
    const Spikes bits = spikes ? Spikes::from_bytes(values.shape(), bytes) : Spikes();
    Tape tape(threads);
    zero_gradients(layer->parameters());
    layer->forward(spikes ? Signal(bits) : Signal(values), tape);
    layer->backward(tape, gradient);
    Values all;
    for (const NamedParameter& p : layer->parameters()) {
      const auto g = p.parameter->gradient.values();
      all.insert(all.end(), g.begin(), g.end());
    }
    return all;
  }

  Values played_by(std::size_t ranks, ThreadPool& threads) const {
    const std::size_t N = x_shape[0], blocks = (N + kBlock - 1) / kBlock;
    TreeSum<Values> sum;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      const std::size_t last = (rank + 1) * blocks / ranks;
      for (std::size_t b = rank * blocks / ranks; b < last;) {
        const std::size_t level = subtree_level(b, last), end = b + (std::size_t{1} << level);
        sum.add(gradients(b * kBlock, std::min(N, end * kBlock) - b * kBlock, threads), level);
        b = end;
      }
    }
    return sum.total();
  }
};

void expect_the_same_bits(const std::string& name, const auto& make) {
  ThreadPool two(2), three(3);
  for (const std::size_t N : {1u, 16u, 17u, 50u, 90u, 128u}) {
    const Problem problem = make(N);
    const Values whole = problem.gradients(0, N, two);
    ASSERT_EQ(problem.gradients(0, N, three), whole) << name << ", 3 threads";
    std::size_t other = 0;
    for (const float g : whole) other += g != 0;
    ASSERT_GT(other, 0u) << name << ": a gradient of zeros proves nothing";
    for (const std::size_t ranks : {1u, 2u, 3u, 4u, 5u}) {
      ASSERT_EQ(problem.played_by(ranks, two), whole)
          << name << ", " << N << " samples, " << ranks << " ranks";
    }
  }
}

template <class Made, class... Arguments>
auto problem_of(const Shape& features, std::size_t T, bool spikes, const Arguments&... arguments) {
  return [=](std::size_t N) {
    auto layer = std::make_unique<Made>(arguments...);
    layer->initialize(1);
    return Problem(std::move(layer), features, N, T, spikes);
  };
}

TEST(BlockOrder, GradientsAreThoseOfAnyPartitionOfTheBlocks) {
  expect_the_same_bits("linear, real values", problem_of<Linear>({20}, 3, false, 20, 17));
  expect_the_same_bits("linear, trains", problem_of<Linear>({70}, 9, true, 70, 10));
  expect_the_same_bits("linear, fours of steps", problem_of<Linear>({530}, 4, true, 530, 40));
  expect_the_same_bits("conv, real values",
                       problem_of<Conv2d>({3, 6, 5}, 2, false, 3, 5, Size2{3, 3}, Conv2dOptions{}));
  expect_the_same_bits("conv, spikes",
                       problem_of<Conv2d>({6, 6, 5}, 5, true, 6, 5, Size2{3, 3}, Conv2dOptions{}));
  expect_the_same_bits("conv1d, spikes",
                       problem_of<Conv1d>({6, 9}, 5, true, 6, 5, std::size_t{3}, Conv1dOptions{}));
  for (const bool spikes : {false, true}) {
    expect_the_same_bits("transposed conv",
                         problem_of<ConvTranspose2d>({6, 4, 3}, 5, spikes, 6, 5, Size2{3, 3},
                                                     ConvTranspose2dOptions{.stride = 2}));
  }
  expect_the_same_bits("group norm", problem_of<GroupNorm>({6, 3, 2}, 3, false, 2, 6));
  expect_the_same_bits("layer norm", problem_of<LayerNorm>({4, 9}, 3, false, std::vector<std::size_t>{9}));
  expect_the_same_bits("plif", problem_of<PLIF>({40}, 6, false));
  expect_the_same_bits("plif by channel", problem_of<PLIF>({4, 5, 3}, 6, false, PLIFOptions{.channels = 4}));
  expect_the_same_bits("sliding psn", problem_of<SlidingPSN>({12}, 5, false, SlidingPSNOptions{.k = 3}));
  expect_the_same_bits("psn", problem_of<PSN>({12}, 5, false, PSNOptions{.steps = 5}));
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    expect_the_same_bits(
        "recurrent", problem_of<Recurrent>({20}, 6, false, 20,
                                           RecurrentOptions{.feedback = feedback, .neuron = PLIFOptions{}}));
  }
}

TEST(BlockOrder, AWholeNetworkToo) {
  expect_the_same_bits("network", [](std::size_t N) {
    auto net = std::make_unique<Sequential>(
        Conv2d(2, 4, Size2{3, 3}, Conv2dOptions{.padding = {1, 1}}), IF(), MaxPool2d(Size2{2, 2}),
        Conv2d(4, 6, Size2{3, 3}, Conv2dOptions{}), LIF(LIFOptions{.tau = 1.5f, .v_threshold = 0.1f}),
        Flatten(), Linear(24, 40), PLIF(PLIFOptions{.v_threshold = 0.1f}), Linear(40, 10));
    net->initialize(1);
    return Problem(std::move(net), {2, 8, 8}, N, 4, false);
  });
}

// The sums of batch-norm are in double, and each rank needs them whole: they are joined before they are used.
TEST(BlockOrder, SumsOfBatchNormAreTheTree) {
  constexpr std::size_t C = 3, P = 4, T = 2;
  for (const std::size_t N : {1u, 17u, 90u}) {
    BatchNorm norm(C);
    Tensor x({N, T, C, 2, 2}), dy(x.shape());
    std::ranges::copy(test::Random(1).values<float>(x.size()), x.data());
    std::ranges::copy(test::Random(2).values<float>(x.size()), dy.data());
    for (const bool training : {false, true}) {
      ThreadPool threads(3);
      Tape tape(threads);
      tape.set_context({.training = training});
      zero_gradients(norm.parameters());
      norm.forward(x, tape);
      norm.backward(tape, dy);
      for (std::size_t c = 0; c < C; ++c) {
        TreeSum<double> sum;
        kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
          double block = 0;
          for (std::size_t n = first; n < first + count; ++n) {
            double sample = 0;
            for (std::size_t t = 0; t < T; ++t) {
              for (std::size_t p = 0; p < P; ++p) {
                sample += static_cast<double>(dy.data()[((n * T + t) * C + c) * P + p]);
              }
            }
            block += sample;
          }
          sum.add(block);
        });
        EXPECT_EQ(norm.parameters()[1].parameter->gradient.data()[c], static_cast<float>(sum.total())) << N;
      }
    }
  }
}

TEST(BlockOrder, TheTreeIsThatOfTreeSum) {
  for (std::size_t samples = 0; samples <= 40 * kBlock; samples += 7) {
    const std::size_t blocks = kernels::BlockTree<float>::blocks(samples);
    Buffer<float> memory(kernels::BlockTree<float>::memory(3, samples));
    kernels::BlockTree<float> tree(memory.data(), 3, samples);
    TreeSum<float> sum;
    test::Random random(static_cast<std::uint32_t>(samples));
    kernels::for_each_block(samples, [&](std::size_t, std::size_t) {
      const float term = random.values<float>(1)[0];
      for (std::size_t i = 0; i < 3; ++i) tree.sums()[i] += term;
      tree.close_block();
      sum.add(term);
    });
    const float* root = tree.root();
    for (std::size_t i = 0; i < 3; ++i) ASSERT_EQ(root[i], sum.total()) << blocks << " blocks";
  }
}

}  // namespace
}  // namespace volley

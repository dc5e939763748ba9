#include <algorithm>
#include <numeric>

#include "core/numerics.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/group_lists.hpp"
#include "cpu/spikes.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/conv.hpp"
#include "kernels/linear.hpp"
#include "kernels/reduce.hpp"
#include "ops/sample_source.hpp"

namespace volley::cpu {
namespace {

// Rows of a matrix product in one piece of work: a multiple of the six that it takes side by side, and so
// many that they are worth its copy of the other factor.
constexpr std::size_t kRows = 96;
// Up to so many steps spikes in step order are not turned to trains for the weight gradient.
constexpr std::size_t kGroupSteps = 16;

constexpr std::size_t kColumns = 64;  // of a matrix, that one piece of work covers
// Weights that stay in the second cache beside a sample: their dx is computed as it is read.
constexpr std::size_t kCachedWeights = 1u << 14;

/// dx, from dy and the weights.
struct Gradient final : SampleSource {
  Signal dy;
  kernels::MatrixProduct first;  // of sample 0

  void read(float* to, std::size_t n) const override {
    kernels::MatrixProduct product = first;
    product.a += n * product.m * product.a_row;
    product.c = to;
    Scratch<float> panel(kernels::product_panel_size(product.k));
    kernels::matrix_product(product, panel.data());
  }
  const Signal& made_from() const override { return dy; }
};

/// Of one linear layer.
struct LinearWorkspace final : ops::Workspace {
  Buffer<float> weight_t;         // (in, out), for real values
  SpikesMemory other_order;       // the input's spikes, in the order that a kernel wants
  bool turned = false;            // whether other_order holds this pass's input
  GroupLists lists;               // of the input's spikes
  Buffer<std::uint8_t> subset;    // (rows / 4, in), as conv_subsets writes them
  Buffer<std::uint32_t> before;   // see count_active
  Buffer<std::int32_t> position;  // (rows / 4), ascending
  Gradient dx;
};

/// p, cut into pieces of C. For each, B is copied: rows are cut only where there are too few columns for the
/// threads.
void product(ThreadPool& threads, const kernels::MatrixProduct& p) {
  const std::size_t columns = (p.n + kernels::kProductColumns - 1) / kernels::kProductColumns;
  const std::size_t piece_rows = columns < 4 * threads.size() ? kRows : std::max<std::size_t>(p.m, 1);
  const std::size_t rows = (p.m + piece_rows - 1) / piece_rows;
  parallel_for(threads, rows * columns, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> panel(kernels::product_panel_size(p.k));
    for (std::size_t piece = begin; piece < end; ++piece) {
      const std::size_t i = piece % rows * piece_rows;
      const std::size_t j = piece / rows * kernels::kProductColumns;
      kernels::MatrixProduct part = p;
      part.a += i * p.a_row;
      part.b += j;
      part.c += i * p.c_row + j;
      part.m = std::min(piece_rows, p.m - i);
      part.n = std::min(kernels::kProductColumns, p.n - j);
      kernels::matrix_product(part, panel.data());
    }
  });
}

/// What a backward adds to: of the weights (out, in), and of the biases (out) or null.
struct Gradients {
  float* weight;
  float* bias;
};

/// The gradient of the biases [o, o + columns), taken while their dy is in the cache for the weights'.
class BiasGradient {
 public:
  /// `wanted`: whether this piece of work is the one that takes it.
  BiasGradient(float* dbias, bool wanted, std::size_t o, std::size_t columns, std::size_t samples)
      : dbias_(wanted && dbias != nullptr ? dbias + o : nullptr),
        sums_(dbias_ != nullptr ? columns : 0, samples) {}
  void add_block(const float* dy, std::size_t samples, std::size_t sample_rows, std::size_t out) {
    if (dbias_ != nullptr) sums_.add_block(dy, samples, sample_rows, out);
  }
  void finish() {
    if (dbias_ != nullptr) sums_.add_root_to(dbias_);
  }

 private:
  float* dbias_;
  kernels::RowSums sums_;
};

/// Whether T steps are few, and fours of them leave no rest.
bool falls_into_fours(std::size_t T) { return T <= 4 || (T % 4 == 0 && T <= kGroupSteps); }

/// The weight gradient of spikes in step order. Four steps of a sample are a position of a convolution that
/// looks at one position alone.
void add_by_groups(const Gradients& to, const float* dy, LinearWorkspace& saved,
                   const ops::SpikesView& spikes, std::size_t out, ThreadPool& threads) {
  const std::size_t steps = std::min<std::size_t>(4, spikes.T), N = spikes.N, in = spikes.F;
  const std::size_t sample_positions = spikes.T / steps, positions = N * sample_positions;
  const std::size_t row = spikes.row_words;
  saved.subset.resize(positions * in);
  saved.position.resize(positions);
  std::iota(saved.position.data(), saved.position.data() + positions, 0);
  parallel_for(threads, positions, 8, [&](std::size_t begin, std::size_t end) {
    kernels::conv_subsets(saved.subset.data() + begin * in,
                          {spikes.words + begin * steps * row, steps * row, 0}, row, steps, end - begin, in);
  });
  // Sums of so many outputs and inputs stay in the cache while blocks are joined.
  constexpr std::size_t kOutputs = 32, kInputs = 512, kSize = kOutputs * kInputs;
  const std::size_t output_pieces = (out + kOutputs - 1) / kOutputs;
  const std::size_t input_pieces = (in + kInputs - 1) / kInputs;
  parallel_for(threads, output_pieces * input_pieces, 1, [&](std::size_t piece, std::size_t) {
    Scratch<float> sums(kernels::BlockTree<float>::memory(kSize, N));
    Scratch<float> tables(kernels::kGroupGradientTables);
    const std::size_t o = piece / input_pieces * kOutputs, f = piece % input_pieces * kInputs;
    const std::size_t columns = std::min(kOutputs, out - o), end = std::min(in, f + kInputs);
    kernels::BlockTree<float> tree(sums.data(), kSize, N);
    BiasGradient bias(to.bias, f == 0, o, columns, N);
    kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
      const std::size_t place = first * sample_positions;
      const kernels::Taps taps{saved.position.data(), count * sample_positions, 1};
      kernels::group_gradient(
          tree.sums(), kOutputs,
          {saved.subset.data() + place * in, in, dy + place * steps * out + o, steps * out, out, steps, taps},
          f, end, columns, tables.data());
      tree.close_block();
      bias.add_block(dy + place * steps * out + o, count, spikes.T, out);
    });
    bias.finish();
    kernels::add_transposed(to.weight + o * in + f, in, tree.root(), kOutputs, end - f, columns);
  });
}

ops::SpikesView as_trains(LinearWorkspace& saved, const ops::SpikesView& x, ThreadPool& threads) {
  if (x.trains) return x;
  if (!saved.turned) to_trains(saved.other_order, x, threads);
  saved.turned = true;
  return saved.other_order.view;
}

ops::SpikesView as_steps(LinearWorkspace& saved, const ops::SpikesView& x, ThreadPool& threads) {
  if (!x.trains) return x;
  to_steps(saved.other_order, x, threads);
  return saved.other_order.view;
}

/// y of spikes for many outputs.
void forward_by_groups(float* y, GroupLists& lists, const ops::SpikesView& spikes, const float* weight,
                       const float* bias, std::size_t out, ThreadPool& threads) {
  if (spikes.N == 0) return;
  lists.list(spikes, threads);
  const kernels::GroupRows rows = lists.rows();
  const std::size_t in = spikes.F, count = spikes.N * spikes.T;
  const std::size_t piece = rows.single ? kernels::kGroupOutputs : kernels::kGroupOutputs / 4;
  parallel_for(threads, (out + piece - 1) / piece, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> scratch(kernels::group_scratch_size(count));
    for (std::size_t o = begin * piece; o < std::min(out, end * piece); o += piece) {
      kernels::group_forward(y + o, out, rows, lists.weights(weight + o * in, in),
                             bias != nullptr ? bias + o : nullptr, std::min(piece, out - o), scratch.data());
    }
  });
}

/// before (in + 1): how many of the inputs before each fired in the batch.
void count_active(Buffer<std::uint32_t>& before, const kernels::TrainBatch& trains) {
  before.resize(trains.in + 1);
  before.zero();
  for (std::size_t n = 0; n < trains.N; ++n) {
    const std::uint32_t* active = trains.active + n * trains.in;
    for (std::size_t a = 0; a < trains.active_count[n]; ++a) before[active[a] + 1] = 1;
  }
  for (std::size_t f = 0; f < trains.in; ++f) before[f + 1] += before[f];
}

/// The weight gradient of spikes by their trains, in pieces of 16 outputs; where there are too few of these
/// for the threads, the features are cut too. Each cut costs one more table of subset sums a sample, and
/// changes no result. Inputs that are silent in the whole batch have no sums.
void add_by_trains(const Gradients& to, const float* dy, LinearWorkspace& saved,
                   const kernels::TrainBatch& trains, std::size_t out, ThreadPool& threads) {
  const std::size_t in = trains.in;
  const std::size_t output_pieces = (out + kernels::kGradientColumns - 1) / kernels::kGradientColumns;
  const std::size_t feature_pieces = (threads.size() + output_pieces - 1) / output_pieces;
  const std::size_t piece_features = (in + feature_pieces - 1) / feature_pieces;
  constexpr std::size_t kOutputs = kernels::kGradientColumns;
  count_active(saved.before, trains);
  const std::uint32_t* before = saved.before.data();
  parallel_for(threads, feature_pieces * output_pieces, 1, [&](std::size_t piece, std::size_t) {
    const std::size_t o = piece / feature_pieces * kOutputs, columns = std::min(kOutputs, out - o);
    const std::size_t f = std::min(in, piece % feature_pieces * piece_features);
    const std::size_t end = std::min(in, f + piece_features), size = (before[end] - before[f]) * kOutputs;
    Scratch<float> sums(kernels::BlockTree<float>::memory(size, trains.N));
    Scratch<float> table(kernels::kGradientScratch);
    kernels::BlockTree<float> tree(sums.data(), size, trains.N);
    BiasGradient bias(to.bias, f == 0, o, columns, trains.N);
    kernels::for_each_block(trains.N, [&](std::size_t first, std::size_t count) {
      const float* block = dy + first * trains.T * out + o;
      kernels::linear_weight_gradient_trains(tree.sums(), block, trains.part(first, count), out, columns,
                                             before, f, end, table.data());
      tree.close_block();
      bias.add_block(block, count, trains.T, out);
    });
    bias.finish();
    const float* root = tree.root();
    for (std::size_t i = f; i < end;) {  // by runs of neighbours that are not silent
      std::size_t last = i;
      while (last < end && before[last] != before[last + 1]) ++last;
      kernels::add_transposed(to.weight + o * in + i, in, root, kOutputs, last - i, columns);
      root += (last - i) * kOutputs;
      i = last + 1;
    }
  });
}

/// The weight gradient of real values: dy (rows, out), x (rows, in), sample_rows rows a sample.
void add_by_products(const Gradients& to, const float* dy, const float* x, std::size_t samples,
                     std::size_t sample_rows, std::size_t in, std::size_t out, ThreadPool& threads) {
  constexpr std::size_t kInputs = kernels::kProductColumns;
  const std::size_t input_pieces = (in + kInputs - 1) / kInputs, output_pieces = (out + kRows - 1) / kRows;
  parallel_for(threads, output_pieces * input_pieces, 1, [&](std::size_t piece, std::size_t) {
    constexpr std::size_t kSize = kRows * kInputs;
    Scratch<float> sums(kernels::BlockTree<float>::memory(kSize, samples));
    Scratch<float> panel(kernels::product_panel_size(numerics::kBlockSamples * sample_rows));
    const std::size_t o = piece / input_pieces * kRows, f = piece % input_pieces * kInputs;
    const std::size_t rows = std::min(kRows, out - o), columns = std::min(kInputs, in - f);
    kernels::BlockTree<float> tree(sums.data(), kSize, samples);
    BiasGradient bias(to.bias, f == 0, o, rows, samples);
    kernels::for_each_block(samples, [&](std::size_t first, std::size_t count) {
      const float* block = dy + first * sample_rows * out + o;
      kernels::matrix_product({.a = block,
                               .a_row = 1,
                               .a_column = out,
                               .b = x + first * sample_rows * in + f,
                               .b_row = in,
                               .c = tree.sums(),
                               .c_row = kInputs,
                               .m = rows,
                               .n = columns,
                               .k = count * sample_rows,
                               .accumulate = true},
                              panel.data());
      tree.close_block();
      bias.add_block(block, count, sample_rows, out);
    });
    bias.finish();
    const float* root = tree.root();
    for (std::size_t r = 0; r < rows; ++r) {
      kernels::add_to(to.weight + (o + r) * in + f, root + r * kInputs, columns);
    }
  });
}

}  // namespace

void run(ThreadPool& threads, const ops::LinearForward& op) {
  LinearWorkspace& saved = ops::workspace<LinearWorkspace>(*op.slot);
  saved.turned = false;
  const std::size_t in = op.x.F, out = op.out;
  if (op.x.is_spikes && out <= numerics::kUngroupedOutputs) {
    const ops::SpikesView spikes = as_trains(saved, op.x.spikes, threads);
    const std::size_t T = spikes.T;
    parallel_for(threads, spikes.N, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n) {
        kernels::linear_forward_trains(op.y + n * T * out, spikes.sample(n), spikes.active + n * in,
                                       spikes.active_count[n], op.weight, op.bias, T, in, out);
      }
    });
    return;
  }
  if (op.x.is_spikes) {
    forward_by_groups(op.y, saved.lists, as_steps(saved, op.x.spikes, threads), op.weight, op.bias, out,
                      threads);
    return;
  }
  saved.weight_t.resize(in * out);
  float* weight_t = saved.weight_t.data();
  parallel_for(threads, in, kColumns, [&](std::size_t begin, std::size_t end) {
    kernels::transpose(weight_t + begin * out, op.weight + begin, out, end - begin, in);
  });
  const std::size_t rows = op.x.rows();
  for (std::size_t r = 0; op.bias != nullptr && r < rows; ++r) std::copy_n(op.bias, out, op.y + r * out);
  product(threads, {.a = op.x.values,
                    .a_row = in,
                    .a_column = 1,
                    .b = weight_t,
                    .b_row = out,
                    .c = op.y,
                    .c_row = out,
                    .m = rows,
                    .n = out,
                    .k = in,
                    .accumulate = op.bias != nullptr});
}

void run(ThreadPool& threads, const ops::LinearGradient& op) {
  LinearWorkspace& saved = ops::workspace<LinearWorkspace>(*op.slot);
  const ops::SpikesView& spikes = op.x.spikes;
  const Gradients to{op.weight, op.bias};
  if (!op.x.is_spikes) {
    add_by_products(to, op.dy, op.x.values, op.x.N, op.x.S, op.x.F, op.out, threads);
  } else if (!spikes.trains && op.out > numerics::kUngroupedOutputs && falls_into_fours(spikes.T)) {
    add_by_groups(to, op.dy, saved, spikes, op.out, threads);
  } else {
    const ops::SpikesView trains = as_trains(saved, spikes, threads);
    add_by_trains(to, op.dy, saved,
                  {trains.words, trains.active, trains.active_count, trains.N, trains.T, trains.F}, op.out,
                  threads);
  }
}

namespace {

kernels::MatrixProduct product_of(const ops::LinearInputGradient& op) {
  return {.a = op.dy,
          .a_row = op.out,
          .a_column = 1,
          .b = op.weight,
          .b_row = op.in,
          .c = op.dx,
          .c_row = op.in,
          .m = op.rows,
          .n = op.in,
          .k = op.out};
}

}  // namespace

void run(ThreadPool& threads, const ops::LinearInputGradient& op) { product(threads, product_of(op)); }

const SampleSource* defer(ThreadPool&, const ops::LinearInputGradient& op, const Signal& dy,
                          ops::Slot& slot) {
  if (op.in * op.out > kCachedWeights) return nullptr;
  Gradient& dx = ops::workspace<LinearWorkspace>(slot).dx;
  dx.dy = dy;
  dx.first = product_of(op);
  dx.first.m = op.rows / std::max<std::size_t>(1, dy.samples());
  return &dx;
}

}  // namespace volley::cpu

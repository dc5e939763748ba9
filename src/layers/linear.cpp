#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <volley/error.hpp>
#include <volley/layers.hpp>

#include "core/numerics.hpp"
#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/conv.hpp"
#include "kernels/linear.hpp"
#include "kernels/reduce.hpp"
#include "layers/group_lists.hpp"
#include "layers/layer_access.hpp"
#include "layers/sample_source.hpp"
#include "layers/spike_words.hpp"

namespace volley {
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

struct Saved {
  Signal x;
  Tensor y;
  Tensor weight_t;                // (in, out), for real values
  Spikes other_order;             // the input's spikes, turned to the order that a kernel wants
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
void add_by_groups(const Gradients& to, const float* dy, Saved& saved, std::size_t in, std::size_t out,
                   ThreadPool& threads) {
  const Spikes& spikes = saved.x.spikes();
  const std::size_t steps = std::min<std::size_t>(4, spikes.steps()), N = spikes.samples();
  const std::size_t sample_positions = spikes.steps() / steps, positions = N * sample_positions;
  const std::size_t row = SpikeWords::row_words(spikes);
  saved.subset.resize(positions * in);
  saved.position.resize(positions);
  std::iota(saved.position.data(), saved.position.data() + positions, 0);
  parallel_for(threads, positions, 8, [&](std::size_t begin, std::size_t end) {
    kernels::conv_subsets(saved.subset.data() + begin * in,
                          {SpikeWords::steps(spikes, 0) + begin * steps * row, steps * row, 0}, row, steps,
                          end - begin, in);
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
      bias.add_block(dy + place * steps * out + o, count, spikes.steps(), out);
    });
    bias.finish();
    kernels::add_transposed(to.weight + o * in + f, in, tree.root(), kOutputs, end - f, columns);
  });
}

const Spikes& as_trains(Saved& saved, ThreadPool& threads) {
  if (SpikeWords::in_trains(saved.x.spikes())) return saved.x.spikes();
  if (!saved.turned) SpikeWords::to_trains(saved.other_order, saved.x.spikes(), threads);
  saved.turned = true;
  return saved.other_order;
}

const Spikes& as_steps(Saved& saved, ThreadPool& threads) {
  if (!SpikeWords::in_trains(saved.x.spikes())) return saved.x.spikes();
  SpikeWords::to_steps(saved.other_order, saved.x.spikes(), threads);
  return saved.other_order;
}

/// y of spikes for many outputs.
void forward_by_groups(float* y, GroupLists& lists, const Spikes& spikes, const float* weight,
                       const float* bias, std::size_t out, ThreadPool& threads) {
  if (spikes.samples() == 0) return;
  lists.list(spikes, threads);
  const kernels::GroupRows rows = lists.rows();
  const std::size_t in = spikes.features(), count = spikes.samples() * spikes.steps();
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
void add_by_trains(const Gradients& to, const float* dy, Saved& saved, const kernels::TrainBatch& trains,
                   std::size_t out, ThreadPool& threads) {
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

Linear::Linear(std::size_t in, std::size_t out, const LinearOptions& options)
    : in_(in), out_(out), options_(options), weight_(Shape{out, in}) {
  check_range(LinearOptions::kKind, "in", static_cast<double>(in), at_least(1));
  check_range(LinearOptions::kKind, "out", static_cast<double>(out), at_least(1));
  if (options.bias) bias_ = Parameter(Shape{out});
  Linear::draw_parameters(0, 0);
}

Shape Linear::output_shape(const Shape& features) const {
  if (features != Shape{in_}) {
    throw ShapeError(kind(), fmt::format("input features must be {}", Shape{in_}.text()), features);
  }
  return {out_};
}

std::vector<NamedParameter> Linear::own_parameters() {
  std::vector<NamedParameter> all{{"weight", &weight_}};
  if (options_.bias) all.push_back({"bias", &bias_});
  return all;
}

void Linear::draw_parameters(std::uint32_t seed, std::uint32_t place) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place);
  const double bound = 1 / std::sqrt(static_cast<double>(in_));
  const auto uniform = [&] { return static_cast<float>((2 * random.uniform() - 1) * bound); };
  const auto normal = [&] {  // Box and Muller, 1958; 1 - u is never 0
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
  };
  for (float& w : weight_.value.values()) w = options_.init == Init::normal ? normal() : uniform();
  if (options_.bias) {
    for (float& b : bias_.value.values()) b = uniform();
  }
}

Form Linear::reads(const Shape&) const { return {.values = Form::Values::any, .constant = true}; }

void Linear::check_parameters() const {
  check_parameter(kind(), "weight", weight_, {out_, in_});
  if (options_.bias) check_parameter(kind(), "bias", bias_, {out_});
}

Signal Linear::do_forward(const Signal& x, Tape& tape) const {
  check_parameters();
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.turned = false;
  const std::size_t N = x.samples();
  const std::size_t T = x.steps();
  const std::size_t rows = N * x.stored_steps();
  saved.y.resize({N, x.stored_steps(), out_});
  float* y = saved.y.data();
  const float* weight = weight_.value.data();
  const float* bias = options_.bias ? bias_.value.data() : nullptr;

  if (x.is_spikes() && out_ <= numerics::kUngroupedOutputs) {
    const Spikes& spikes = as_trains(saved, tape.threads());
    parallel_for(tape.threads(), N, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n) {
        const auto active = SpikeWords::active(spikes, n);
        kernels::linear_forward_trains(y + n * T * out_, SpikeWords::trains(spikes, n), active.data(),
                                       active.size(), weight, bias, T, in_, out_);
      }
    });
    return saved.y;
  }

  if (x.is_spikes()) {
    forward_by_groups(y, saved.lists, as_steps(saved, tape.threads()), weight, bias, out_, tape.threads());
    return saved.y;
  }
  saved.weight_t.resize({in_, out_});
  float* weight_t = saved.weight_t.data();
  parallel_for(tape.threads(), in_, kColumns, [&](std::size_t begin, std::size_t end) {
    kernels::transpose(weight_t + begin * out_, weight + begin, out_, end - begin, in_);
  });
  for (std::size_t r = 0; bias != nullptr && r < rows; ++r) std::copy_n(bias, out_, y + r * out_);
  product(tape.threads(), {.a = x.values(),
                           .a_row = in_,
                           .a_column = 1,
                           .b = weight_t,
                           .b_row = out_,
                           .c = y,
                           .c_row = out_,
                           .m = rows,
                           .n = out_,
                           .k = in_,
                           .accumulate = bias != nullptr});
  return {saved.y, {N, T, out_}};
}

Signal Linear::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Saved& saved = tape.saved<Saved>();
  ThreadPool& threads = tape.threads();
  const Signal& x = saved.x;
  const std::size_t rows = x.samples() * x.stored_steps();
  const float* dout = dy.values();
  const Gradients to{weight_.gradient.data(), options_.bias ? bias_.gradient.data() : nullptr};
  if (!x.is_spikes()) {
    add_by_products(to, dout, x.values(), x.samples(), x.stored_steps(), in_, out_, threads);
  } else if (!SpikeWords::in_trains(x.spikes()) && out_ > numerics::kUngroupedOutputs &&
             falls_into_fours(x.steps())) {
    add_by_groups(to, dout, saved, in_, out_, threads);
  } else {
    add_by_trains(to, dout, saved, SpikeWords::batch(as_trains(saved, threads)), out_, threads);
  }

  if (!tape.needs_input_gradient()) return {};
  kernels::MatrixProduct whole{.a = dout,
                               .a_row = out_,
                               .a_column = 1,
                               .b = weight_.value.data(),
                               .b_row = in_,
                               .c_row = in_,
                               .m = rows,
                               .n = in_,
                               .k = out_};
  if (TapeAccess::dx_by_sample(tape) && in_ * out_ <= kCachedWeights) {
    saved.dx.dy = dy;
    saved.dx.first = whole;
    saved.dx.first.m = x.stored_steps();
    return with_source(x, saved.dx);
  }
  Tensor& dx = tape.dx_memory();
  dx.resize(x.stored_shape());
  whole.c = dx.data();
  product(threads, whole);
  return x.with_values(dx);
}

}  // namespace volley

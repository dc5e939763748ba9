#include <algorithm>
#include <atomic>
#include <vector>

#include "core/numerics.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/group_lists.hpp"
#include "kernels/bits.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/conv.hpp"
#include "kernels/groups.hpp"
#include "kernels/reduce.hpp"
#include "kernels/winograd.hpp"
#include "ops/sample_source.hpp"

namespace volley::cpu {
namespace {

struct ConvWorkspace;

/// y, from x.
struct Output final : SampleSource {
  const ConvWorkspace* own = nullptr;
  ops::ConvForward op;
  Signal x;

  void read(float* to, std::size_t n) const override;
  bool repeatable() const override { return false; }
  const Signal& made_from() const override { return x; }
};

/// What one thread adds up of dweight: `columns` of a group's output channels from `channel` on, rows [begin,
/// end) of (taps, in).
struct GradientPiece {
  std::size_t group, channel, columns, begin, end;
  Buffer<float> memory;
  kernels::BlockTree<float> sums;  // (rows, kConvColumns)
};

/// Of one convolution.
struct ConvWorkspace final : ops::Workspace {
  Output y;
  Buffer<float> weight;                          // (groups, taps, in, out); backward (groups, taps, out, in)
  Buffer<float> turned_weight, turned_gradient;  // of a transposed convolution, (out, in / groups, taps)
  Buffer<float> zeros;
  Buffer<float> table;  // of spikes: (groups, panels of kGroupOutputs outputs, tables of all slots)
  bool single = false;  // whether rows of spikes are taken one by one
  std::vector<GradientPiece> pieces;
  Buffer<float> bias_memory;
  kernels::BlockTree<float> bias_sums;
  Buffer<float> dy_made;  // some samples of dy
};

/// Sizes of a pass, and of one group in it.
struct Sizes {
  std::size_t groups, in, out, steps, x_positions, y_positions, taps;

  explicit Sizes(const ops::ConvShape& shape)
      : groups(shape.groups),
        in(shape.in),
        out(shape.out),
        steps(shape.S),
        x_positions(shape.x.area()),
        y_positions(shape.y.area()),
        taps(shape.taps.taps) {}

  std::size_t group_weights() const { return taps * in * out; }
  std::size_t winograd_weights() const { return kernels::kWinogradPlaces * in * out; }
  std::size_t slots() const { return taps * ((in + 3) / 4); }
  std::size_t panels() const { return (out + kernels::kGroupOutputs - 1) / kernels::kGroupOutputs; }
  std::size_t x_step() const { return x_positions * groups * in; }
  std::size_t y_step() const { return y_positions * groups * out; }
  kernels::ConvShape forward(const ops::Taps& seen) const {
    return {seen, in, out, groups * in, groups * out, x_positions};
  }
  /// The convolution whose output is dx.
  kernels::ConvShape turned(const ops::Taps& seen) const {
    return {seen, out, in, groups * out, groups * in, y_positions};
  }
};

/// The spikes of one sample, from step `step` and the first channel of group `group` on.
kernels::PictureBits bits_of(const ops::SpikesView& spikes, std::size_t sample, std::size_t step,
                             std::size_t group, std::size_t in) {
  const std::size_t row = spikes.row_words;
  return {spikes.sample(sample) + step * row, row / spikes.positions, group * in};
}

/// The weights of a transposed convolution as one of a convolution has them, or back: (groups, first, second,
/// taps) -> (groups, second, first, taps), added to what is there.
void add_turned(float* to, const float* from, std::size_t groups, std::size_t first, std::size_t second,
                std::size_t taps) {
  for (std::size_t g = 0; g < groups; ++g, to += first * second * taps) {
    for (std::size_t i = 0; i < first; ++i) {
      for (std::size_t j = 0; j < second; ++j, from += taps) {
        for (std::size_t tap = 0; tap < taps; ++tap) to[(j * first + i) * taps + tap] += from[tap];
      }
    }
  }
}

/// The weights (out, in / groups, taps): where they are, or a copy.
const float* ordered_weight(ConvWorkspace& own, const float* weight, bool transposed, const Sizes& s) {
  if (!transposed) return weight;
  own.turned_weight.resize(s.groups * s.group_weights());
  own.turned_weight.zero();
  add_turned(own.turned_weight.data(), weight, s.groups, s.in, s.out, s.taps);
  return own.turned_weight.data();
}

/// What taps outside of the picture read. No code writes to it.
void make_zeros(ConvWorkspace& own, std::size_t size) {
  if (own.zeros.size() >= size) return;
  own.zeros.resize(size);
  own.zeros.zero();
}

void forward_dense(float* y, const ConvWorkspace& own, const ops::ConvForward& op, const Sizes& s,
                   std::size_t sample) {
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::conv_dense(y + g * s.out, op.x.values + sample * s.steps * s.x_step() + g * s.in,
                        own.weight.data() + g * s.group_weights(),
                        op.bias != nullptr ? op.bias + g * s.out : nullptr, own.zeros.data(),
                        s.forward(op.shape.taps), s.steps);
  }
}

void forward_spikes(float* y, const ConvWorkspace& own, const ops::ConvForward& op, const Sizes& s,
                    std::size_t sample) {
  constexpr std::size_t kBlocks = 128, kOutputs = kernels::kGroupOutputs;  // of one round
  const kernels::ConvShape shape = s.forward(op.shape.taps);
  const std::size_t rows = s.steps * s.y_positions, most = own.single ? 1 : kernels::kGroupRows;
  Scratch<std::uint64_t> channels(kernels::conv_channels_size(shape, s.steps));
  Scratch<kernels::GroupEntry> entries(kBlocks * s.slots());
  Scratch<std::size_t> start(kBlocks);
  Scratch<std::uint32_t> end(kBlocks * kernels::group_chunks(s.slots())), first_row(kBlocks + 1);
  Scratch<float> sums(kBlocks * most * kOutputs);
  const kernels::GroupScratch lists{entries.data(), start.data(), end.data(), first_row.data()};
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::conv_channels(channels.data(), bits_of(op.x.spikes, sample, 0, g, s.in), op.x.spikes.row_words,
                           s.steps, shape);
    for (std::size_t row = 0; row < rows; row += kBlocks * most) {
      const std::size_t last = std::min(rows, row + kBlocks * most);
      const kernels::GroupRows part =
          kernels::conv_groups(lists, channels.data(), shape, row, last, own.single);
      for (std::size_t o = 0; o < s.out; o += kOutputs) {
        const std::size_t channel = g * s.out + o;
        const float* table =
            own.table.data() + (g * s.panels() + o / kOutputs) * kernels::group_table_size(s.slots());
        kernels::group_forward(y + row * s.groups * s.out + channel, s.groups * s.out, part, table, s.slots(),
                               op.bias != nullptr ? op.bias + channel : nullptr,
                               std::min(kOutputs, s.out - o), sums.data());
      }
    }
  }
}

/// Whether rows of the spikes are best taken one by one.
bool takes_single_rows(const ops::SpikesView& spikes, std::size_t in, ThreadPool& threads) {
  const std::size_t words = spikes.T * spikes.row_words;
  std::atomic<std::size_t> of_rows = 0;
  parallel_for(threads, spikes.N, 16, [&](std::size_t begin, std::size_t end) {
    std::size_t count = 0;
    for (std::size_t n = begin; n < end; ++n) count += kernels::count_groups(spikes.sample(n), words);
    of_rows += count;
  });
  return best_taken_singly(of_rows, spikes.N * spikes.T * spikes.positions * ((in + 3) / 4));
}

/// The tables of the weights.
void prepare_spikes(ConvWorkspace& own, const ops::SpikesView& spikes, const float* weight, const Sizes& s,
                    ThreadPool& threads) {
  own.single = takes_single_rows(spikes, s.groups * s.in, threads);
  const std::size_t padded = s.slots() * 4, size = kernels::group_table_size(s.slots());
  own.weight.resize(s.groups * s.out * padded);
  kernels::conv_weight_groups(own.weight.data(), weight, s.groups * s.out, s.taps, s.in);
  own.table.resize(s.groups * s.panels() * size);
  parallel_for(threads, s.groups * s.panels(), 1, [&](std::size_t piece, std::size_t) {
    const std::size_t g = piece / s.panels(), o = piece % s.panels() * kernels::kGroupOutputs;
    kernels::group_table(own.table.data() + piece * size,
                         {own.weight.data() + (g * s.out + o) * padded, padded, nullptr, s.slots()},
                         std::min(kernels::kGroupOutputs, s.out - o), own.single);
  });
}

void Output::read(float* to, std::size_t n) const {
  const auto forward = op.x.is_spikes ? forward_spikes : forward_dense;
  forward(to, *own, op, Sizes(op.shape), n);
}

/// Lays out the weights for y.
Output& prepare(const ops::ConvForward& op, ThreadPool& threads) {
  ConvWorkspace& own = ops::workspace<ConvWorkspace>(*op.slot);
  const Sizes s(op.shape);
  make_zeros(own, std::max(s.in, s.out));
  const float* ordered = ordered_weight(own, op.weight, op.shape.transposed, s);
  if (op.x.is_spikes) {
    prepare_spikes(own, op.x.spikes, ordered, s, threads);
  } else {
    own.weight.resize(s.groups * s.group_weights());
    kernels::conv_weight_forward(own.weight.data(), ordered, s.groups, s.taps, s.in, s.out);
  }
  own.y.own = &own;
  own.y.op = op;
  return own.y;
}

/// dy of samples [first, first + count), in memory: whole blocks of the sums over samples.
struct Part {
  const float* dy;
  std::size_t first, count;
};

/// Adds the samples [first, first + count) of a part, a block of the sum, to a piece.
void add_values(GradientPiece& piece, const Part& part, std::size_t first, std::size_t count,
                const ops::ConvBackward& op, const Sizes& s) {
  const kernels::ConvShape shape = s.forward(op.shape.taps);
  const float* x = op.x.values + (part.first + first) * s.steps * s.x_step() + piece.group * s.in;
  const float* dy = part.dy + first * s.steps * s.y_step() + piece.channel;
  for (std::size_t n = 0; n < count * s.steps; ++n) {
    kernels::conv_weight_gradient(piece.sums.sums(), x + n * s.x_step(), dy + n * s.y_step(), shape,
                                  piece.begin, piece.end, piece.columns);
  }
}

void add_spikes(GradientPiece& piece, const Part& part, std::size_t first, std::size_t count,
                const ops::ConvBackward& op, const Sizes& s) {
  Scratch<std::uint8_t> subset(s.x_positions * s.in);
  Scratch<float> tables(kernels::kGroupGradientTables);
  const ops::SpikesView& spikes = op.x.spikes;
  kernels::GroupGradient x{subset.data(), s.in, nullptr, s.groups * s.out, s.y_step(), 0, op.shape.taps};
  for (std::size_t n = first; n < first + count; ++n) {
    x.dy = part.dy + n * s.steps * s.y_step() + piece.channel;
    for (std::size_t t = 0; t < s.steps; t += 4, x.dy += 4 * s.y_step()) {
      x.steps = std::min<std::size_t>(4, s.steps - t);
      kernels::conv_subsets(subset.data(), bits_of(spikes, part.first + n, t, piece.group, s.in),
                            spikes.row_words, x.steps, s.x_positions, s.in);
      kernels::group_gradient(piece.sums.sums(), kernels::kConvColumns, x, piece.begin, piece.end,
                              piece.columns, tables.data());
    }
  }
}

void add_part(GradientPiece& piece, const Part& part, const ops::ConvBackward& op, const Sizes& s) {
  kernels::for_each_block(part.count, [&](std::size_t first, std::size_t count) {
    (op.x.is_spikes ? add_spikes : add_values)(piece, part, first, count, op, s);
    piece.sums.close_block();
  });
}

/// dweight in pieces of kConvColumns outputs; where these are too few for the threads, the rows are cut too.
/// No cut changes a result.
void make_pieces(ConvWorkspace& own, const Sizes& s, std::size_t N, std::size_t threads) {
  constexpr std::size_t panel = kernels::kConvColumns;
  const std::size_t panels = (s.out + panel - 1) / panel;
  const std::size_t cuts = (threads + s.groups * panels - 1) / (s.groups * panels);
  const std::size_t rows = s.taps * s.in;
  const std::size_t piece_rows = (rows + cuts - 1) / cuts;
  own.pieces.resize(s.groups * panels * cuts);
  for (std::size_t i = 0; i < own.pieces.size(); ++i) {
    GradientPiece& piece = own.pieces[i];
    piece.group = i / cuts / panels;
    const std::size_t out = i / cuts % panels * panel;
    piece.channel = piece.group * s.out + out;
    piece.columns = std::min(panel, s.out - out);
    piece.begin = std::min(rows, i % cuts * piece_rows);
    piece.end = std::min(rows, piece.begin + piece_rows);
    const std::size_t size = (piece.end - piece.begin) * panel;
    piece.memory.resize(kernels::BlockTree<float>::memory(size, N));
    piece.sums = {piece.memory.data(), size, N};
  }
}

void add_piece(float* dweight, GradientPiece& piece, const Sizes& s) {
  kernels::conv_add_gradient(dweight + piece.channel * s.taps * s.in, piece.sums.root(), s.taps, s.in,
                             piece.begin, piece.end, piece.columns);
}

/// dx of a part of the samples.
void input_gradient(const ConvWorkspace& own, const Part& part, const ops::ConvBackward& op, const Sizes& s,
                    ThreadPool& threads) {
  parallel_for(threads, part.count, 1, [&](std::size_t n, std::size_t) {
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::conv_dense(op.dx + (part.first + n) * s.steps * s.x_step() + g * s.in,
                          part.dy + n * s.steps * s.y_step() + g * s.out,
                          own.weight.data() + g * s.group_weights(), nullptr, own.zeros.data(),
                          s.turned(op.turned), s.steps);
    }
  });
}

void input_gradient_winograd(const ConvWorkspace& own, const Part& part, const ops::ConvBackward& op,
                             const Sizes& s, ThreadPool& threads) {
  const kernels::WinogradShape shape{.x = op.shape.y,
                                     .y = op.shape.x,
                                     .before = op.before,
                                     .in = s.out,
                                     .out = s.in,
                                     .x_row = s.groups * s.out,
                                     .y_row = s.groups * s.in};
  constexpr std::size_t kSamples = 4;  // so that their tiles come out about even
  parallel_for(threads, part.count, kSamples, [&](std::size_t begin, std::size_t end) {
    Scratch<float> scratch(kernels::winograd_scratch_size(s.out, s.in));
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd(op.dx + (part.first + begin) * s.steps * s.x_step() + g * s.in,
                        part.dy + begin * s.steps * s.y_step() + g * s.out,
                        own.weight.data() + g * s.winograd_weights(), own.zeros.data(), shape,
                        (end - begin) * s.steps, scratch.data());
    }
  });
}

/// Lays out the weights for dx.
void prepare_input_gradient(ConvWorkspace& own, const ops::ConvBackward& op, const Sizes& s) {
  const float* weight = ordered_weight(own, op.weight, op.shape.transposed, s);
  if (op.winograd) {
    own.weight.resize(s.groups * s.winograd_weights());
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd_weights_backward(own.weight.data() + g * s.winograd_weights(),
                                         weight + g * s.group_weights(), s.out, s.in);
    }
    return;
  }
  own.weight.resize(s.groups * s.group_weights());
  kernels::conv_weight_backward(own.weight.data(), weight, s.groups, s.taps, s.in, s.out);
}

/// How many samples of dy a part has: what is made of them is in the cache when dweight and dx are computed
/// from it. No result depends on it.
std::size_t part_size(const Sizes& s, std::size_t threads) {
  constexpr std::size_t kSamples = 8, kValues = 1 << 20, kBlock = numerics::kBlockSamples;
  const std::size_t size =
      std::max(kSamples * threads, kValues / std::max<std::size_t>(1, s.steps * s.y_step()));
  return (size + kBlock - 1) / kBlock * kBlock;
}

/// dy of samples [first, first + count), in memory.
Part part_of(ConvWorkspace& own, const ops::Values& dy, std::size_t first, std::size_t count,
             std::size_t size, ThreadPool& threads) {
  if (dy.source == nullptr) return {dy.memory + first * size, first, count};
  own.dy_made.resize(count * size);
  float* const made = own.dy_made.data();
  parallel_for(threads, count, 1,
               [&](std::size_t n, std::size_t) { dy.source->read(made + n * size, first + n); });
  return {made, first, count};
}

void add_bias_part(ConvWorkspace& own, const Part& part, std::size_t size, std::size_t columns) {
  kernels::for_each_block(part.count, [&](std::size_t begin, std::size_t count) {
    for (std::size_t n = begin; n < begin + count; ++n) {
      kernels::add_rows(own.bias_sums.sums(), part.dy + n * size, size / columns, columns, columns);
    }
    own.bias_sums.close_block();
  });
}

/// Adds the sums of all pieces to dweight.
void add_pieces(ConvWorkspace& own, const ops::ConvBackward& op, const Sizes& s, ThreadPool& threads) {
  const bool transposed = op.shape.transposed;
  if (transposed) {
    own.turned_gradient.resize(s.groups * s.group_weights());
    own.turned_gradient.zero();
  }
  float* to = transposed ? own.turned_gradient.data() : op.dweight;
  parallel_for(threads, own.pieces.size(), 1,
               [&](std::size_t i, std::size_t) { add_piece(to, own.pieces[i], s); });
  if (transposed) add_turned(op.dweight, to, s.groups, s.out, s.in, s.taps);
}

}  // namespace

void run(ThreadPool& threads, const ops::ConvForward& op) {
  const Output& y = prepare(op, threads);
  const std::size_t size = op.shape.S * Sizes(op.shape).y_step();
  parallel_for(threads, op.shape.N, 1, [&](std::size_t n, std::size_t) { y.read(op.y + n * size, n); });
}

const SampleSource* defer(ThreadPool& threads, const ops::ConvForward& op, const Signal& x, ops::Slot&) {
  Output& y = prepare(op, threads);
  y.x = x;
  return &y;
}

void run(ThreadPool& threads, const ops::ConvBackward& op) {
  ConvWorkspace& own = ops::workspace<ConvWorkspace>(*op.slot);
  const Sizes s(op.shape);
  const std::size_t N = op.shape.N, size = s.steps * s.y_step(), columns = s.groups * s.out;
  make_pieces(own, s, N, threads.size());
  own.bias_memory.resize(kernels::BlockTree<float>::memory(columns, N));
  own.bias_sums = {own.bias_memory.data(), columns, N};
  if (op.dx != nullptr) prepare_input_gradient(own, op, s);
  const std::size_t most = part_size(s, threads.size());
  for (std::size_t first = 0; first < N; first += most) {
    const Part part = part_of(own, op.dy, first, std::min(most, N - first), size, threads);
    parallel_for(threads, own.pieces.size(), 1,
                 [&](std::size_t i, std::size_t) { add_part(own.pieces[i], part, op, s); });
    if (op.dbias != nullptr) add_bias_part(own, part, size, columns);
    if (op.dx == nullptr) continue;
    (op.winograd ? input_gradient_winograd : input_gradient)(own, part, op, s, threads);
  }
  add_pieces(own, op, s, threads);
  if (op.dbias != nullptr) kernels::add_to(op.dbias, own.bias_sums.root(), columns);
}

}  // namespace volley::cpu

#include "layers/conv_pass.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/numerics.hpp"
#include "core/workspace.hpp"
#include "cpu/group_lists.hpp"
#include "kernels/bits.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/conv.hpp"
#include "kernels/groups.hpp"
#include "kernels/reduce.hpp"
#include "kernels/winograd.hpp"
#include "layers/layer_access.hpp"
#include "layers/signal_forms.hpp"
#include "layers/spike_words.hpp"
#include "layers/taps.hpp"

namespace volley {
namespace {

struct Saved;

/// y, from x.
struct Output final : SampleSource {
  const Saved* saved = nullptr;
  const float* bias = nullptr;

  void read(float* to, std::size_t n) const override;
  bool repeatable() const override { return false; }
  const Signal& made_from() const override;
};

/// What one thread adds up of dweight: `columns` of a group's output channels from `channel` on, rows [begin,
/// end) of (taps, in).
struct GradientPiece {
  std::size_t group, channel, columns, begin, end;
  Buffer<float> memory;
  kernels::BlockTree<float> sums;  // (rows, kConvColumns)
};

struct Saved {
  ConvPass pass;
  Signal x;  // channels-last
  Output y;
  Tensor y_memory;
  Tensor* dx = nullptr;                          // tape.dx_memory()
  TapTable taps;                                 // of outputs on inputs
  TapTable turned_taps;                          // of inputs on outputs
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

  explicit Sizes(const Saved& saved)
      : groups(saved.pass.sizes.groups),
        in(saved.pass.sizes.in / groups),
        out(saved.pass.sizes.out / groups),
        steps(saved.x.stored_steps()),
        x_positions(saved.pass.x.area()),
        y_positions(saved.pass.y.area()),
        taps(saved.pass.sizes.window.kernel_size.area()) {}

  std::size_t group_weights() const { return taps * in * out; }
  std::size_t winograd_weights() const { return kernels::kWinogradPlaces * in * out; }
  std::size_t slots() const { return taps * ((in + 3) / 4); }
  std::size_t panels() const { return (out + kernels::kGroupOutputs - 1) / kernels::kGroupOutputs; }
  const float* table(const Saved& saved, std::size_t group, std::size_t panel) const {
    return saved.table.data() + (group * panels() + panel) * kernels::group_table_size(slots());
  }
  std::size_t x_step() const { return x_positions * groups * in; }
  std::size_t y_step() const { return y_positions * groups * out; }
  kernels::ConvShape forward(const Saved& saved) const {
    return {saved.taps.view(), in, out, groups * in, groups * out, x_positions};
  }
  /// The convolution whose output is dx.
  kernels::ConvShape turned(const Saved& saved) const {
    return {saved.turned_taps.view(), out, in, groups * out, groups * in, y_positions};
  }
};

/// The spikes of one sample, from step `step` and the first channel of group `group` on.
kernels::PictureBits bits_of(const Spikes& spikes, std::size_t sample, std::size_t step, std::size_t group,
                             std::size_t in) {
  const std::size_t row = SpikeWords::row_words(spikes);
  return {SpikeWords::steps(spikes, sample) + step * row, row / SpikeWords::positions(spikes), group * in};
}

/// What the positions of y see in x, or, `turned`, those of x in y: of the convolution that the sizes
/// describe, which maps y to x where the layer is transposed.
void make_taps(TapTable& taps, const ConvPass& pass, bool turned) {
  const bool transposed = pass.sizes.transposed;
  const Size2 picture = transposed ? pass.y : pass.x, outputs = transposed ? pass.x : pass.y;
  if (turned) {
    TapTable::turned_window(taps, pass.sizes.window, picture, outputs);
  } else {
    TapTable::window(taps, pass.sizes.window, picture, outputs);
  }
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
const float* ordered_weight(Saved& saved, const float* weight, const Sizes& s) {
  if (!saved.pass.sizes.transposed) return weight;
  saved.turned_weight.resize(s.groups * s.group_weights());
  saved.turned_weight.zero();
  add_turned(saved.turned_weight.data(), weight, s.groups, s.in, s.out, s.taps);
  return saved.turned_weight.data();
}

/// What taps outside of the picture read. No code writes to it.
void make_zeros(Saved& saved, std::size_t size) {
  if (saved.zeros.size() >= size) return;
  saved.zeros.resize(size);
  saved.zeros.zero();
}

void forward_dense(float* y, const Saved& saved, const float* bias, const Sizes& s, std::size_t sample) {
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::conv_dense(y + g * s.out, saved.x.values() + sample * s.steps * s.x_step() + g * s.in,
                        saved.weight.data() + g * s.group_weights(),
                        bias != nullptr ? bias + g * s.out : nullptr, saved.zeros.data(), s.forward(saved),
                        s.steps);
  }
}

void forward_spikes(float* y, const Saved& saved, const float* bias, const Sizes& s, std::size_t sample) {
  constexpr std::size_t kBlocks = 128, kOutputs = kernels::kGroupOutputs;  // of one round
  const kernels::ConvShape shape = s.forward(saved);
  const std::size_t rows = s.steps * s.y_positions, most = saved.single ? 1 : kernels::kGroupRows;
  Scratch<std::uint64_t> channels(kernels::conv_channels_size(shape, s.steps));
  Scratch<kernels::GroupEntry> entries(kBlocks * s.slots());
  Scratch<std::size_t> start(kBlocks);
  Scratch<std::uint32_t> end(kBlocks * kernels::group_chunks(s.slots())), first_row(kBlocks + 1);
  Scratch<float> sums(kBlocks * most * kOutputs);
  const kernels::GroupScratch lists{entries.data(), start.data(), end.data(), first_row.data()};
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::conv_channels(channels.data(), bits_of(saved.x.spikes(), sample, 0, g, s.in),
                           SpikeWords::row_words(saved.x.spikes()), s.steps, shape);
    for (std::size_t row = 0; row < rows; row += kBlocks * most) {
      const std::size_t last = std::min(rows, row + kBlocks * most);
      const kernels::GroupRows part =
          kernels::conv_groups(lists, channels.data(), shape, row, last, saved.single);
      for (std::size_t o = 0; o < s.out; o += kOutputs) {
        const std::size_t channel = g * s.out + o;
        kernels::group_forward(y + row * s.groups * s.out + channel, s.groups * s.out, part,
                               s.table(saved, g, o / kOutputs), s.slots(),
                               bias != nullptr ? bias + channel : nullptr, std::min(kOutputs, s.out - o),
                               sums.data());
      }
    }
  }
}

/// Whether rows of the spikes are best taken one by one.
bool takes_single_rows(const Spikes& spikes, std::size_t in, ThreadPool& threads) {
  const std::size_t words = spikes.steps() * SpikeWords::row_words(spikes);
  std::atomic<std::size_t> of_rows = 0;
  parallel_for(threads, spikes.samples(), 16, [&](std::size_t begin, std::size_t end) {
    std::size_t count = 0;
    for (std::size_t n = begin; n < end; ++n)
      count += kernels::count_groups(SpikeWords::steps(spikes, n), words);
    of_rows += count;
  });
  const std::size_t rows = spikes.samples() * spikes.steps() * SpikeWords::positions(spikes);
  return best_taken_singly(of_rows, rows * ((in + 3) / 4));
}

/// The tables of the weights.
void prepare_spikes(Saved& saved, const float* weight, const Sizes& s, ThreadPool& threads) {
  saved.single = takes_single_rows(saved.x.spikes(), s.groups * s.in, threads);
  const std::size_t padded = s.slots() * 4, size = kernels::group_table_size(s.slots());
  saved.weight.resize(s.groups * s.out * padded);
  kernels::conv_weight_groups(saved.weight.data(), weight, s.groups * s.out, s.taps, s.in);
  saved.table.resize(s.groups * s.panels() * size);
  parallel_for(threads, s.groups * s.panels(), 1, [&](std::size_t piece, std::size_t) {
    const std::size_t g = piece / s.panels(), o = piece % s.panels() * kernels::kGroupOutputs;
    kernels::group_table(saved.table.data() + piece * size,
                         {saved.weight.data() + (g * s.out + o) * padded, padded, nullptr, s.slots()},
                         std::min(kernels::kGroupOutputs, s.out - o), saved.single);
  });
}

void Output::read(float* to, std::size_t n) const {
  const auto forward = saved->x.is_spikes() ? forward_spikes : forward_dense;
  forward(to, *saved, bias, Sizes(*saved), n);
}
const Signal& Output::made_from() const { return saved->x; }

/// dy of samples [first, first + count), in memory: whole blocks of the sums over samples.
struct Part {
  const float* dy;
  std::size_t first, count;
};

/// Adds the samples [first, first + count) of a part, a block of the sum, to a piece.
void add_values(GradientPiece& piece, const Part& part, std::size_t first, std::size_t count,
                const Saved& saved, const Sizes& s) {
  const kernels::ConvShape shape = s.forward(saved);
  const float* x = saved.x.values() + (part.first + first) * s.steps * s.x_step() + piece.group * s.in;
  const float* dy = part.dy + first * s.steps * s.y_step() + piece.channel;
  for (std::size_t n = 0; n < count * s.steps; ++n) {
    kernels::conv_weight_gradient(piece.sums.sums(), x + n * s.x_step(), dy + n * s.y_step(), shape,
                                  piece.begin, piece.end, piece.columns);
  }
}

void add_spikes(GradientPiece& piece, const Part& part, std::size_t first, std::size_t count,
                const Saved& saved, const Sizes& s) {
  Scratch<std::uint8_t> subset(s.x_positions * s.in);
  Scratch<float> tables(kernels::kGroupGradientTables);
  const Spikes& spikes = saved.x.spikes();
  kernels::GroupGradient x{subset.data(), s.in, nullptr, s.groups * s.out, s.y_step(), 0, saved.taps.view()};
  for (std::size_t n = first; n < first + count; ++n) {
    x.dy = part.dy + n * s.steps * s.y_step() + piece.channel;
    for (std::size_t t = 0; t < s.steps; t += 4, x.dy += 4 * s.y_step()) {
      x.steps = std::min<std::size_t>(4, s.steps - t);
      kernels::conv_subsets(subset.data(), bits_of(spikes, part.first + n, t, piece.group, s.in),
                            SpikeWords::row_words(spikes), x.steps, s.x_positions, s.in);
      kernels::group_gradient(piece.sums.sums(), kernels::kConvColumns, x, piece.begin, piece.end,
                              piece.columns, tables.data());
    }
  }
}

void add_part(GradientPiece& piece, const Part& part, const Saved& saved, const Sizes& s) {
  kernels::for_each_block(part.count, [&](std::size_t first, std::size_t count) {
    (saved.x.is_spikes() ? add_spikes : add_values)(piece, part, first, count, saved, s);
    piece.sums.close_block();
  });
}

/// dweight in pieces of kConvColumns outputs; where these are too few for the threads, the rows are cut too.
/// No cut changes a result.
void make_pieces(Saved& saved, const Sizes& s, std::size_t threads) {
  constexpr std::size_t panel = kernels::kConvColumns;
  const std::size_t panels = (s.out + panel - 1) / panel;
  const std::size_t cuts = (threads + s.groups * panels - 1) / (s.groups * panels);
  const std::size_t rows = s.taps * s.in;
  const std::size_t piece_rows = (rows + cuts - 1) / cuts;
  saved.pieces.resize(s.groups * panels * cuts);
  for (std::size_t i = 0; i < saved.pieces.size(); ++i) {
    GradientPiece& piece = saved.pieces[i];
    piece.group = i / cuts / panels;
    const std::size_t out = i / cuts % panels * panel;
    piece.channel = piece.group * s.out + out;
    piece.columns = std::min(panel, s.out - out);
    piece.begin = std::min(rows, i % cuts * piece_rows);
    piece.end = std::min(rows, piece.begin + piece_rows);
    const std::size_t size = (piece.end - piece.begin) * panel;
    piece.memory.resize(kernels::BlockTree<float>::memory(size, saved.x.samples()));
    piece.sums = {piece.memory.data(), size, saved.x.samples()};
  }
}

void add_piece(float* dweight, GradientPiece& piece, const Sizes& s) {
  kernels::conv_add_gradient(dweight + piece.channel * s.taps * s.in, piece.sums.root(), s.taps, s.in,
                             piece.begin, piece.end, piece.columns);
}

/// dx of a part of the samples.
void input_gradient(Saved& saved, const Part& part, const Sizes& s, ThreadPool& threads) {
  parallel_for(threads, part.count, 1, [&](std::size_t n, std::size_t) {
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::conv_dense(saved.dx->data() + (part.first + n) * s.steps * s.x_step() + g * s.in,
                          part.dy + n * s.steps * s.y_step() + g * s.out,
                          saved.weight.data() + g * s.group_weights(), nullptr, saved.zeros.data(),
                          s.turned(saved), s.steps);
    }
  });
}

/// Whether dx goes by Winograd's algorithm, which adds in another order. A question of the shape alone.
bool takes_winograd(const detail::ConvSizes& sizes, const Sizes& s) {
  constexpr std::size_t kChannels = numerics::kWinogradChannels;  // with fewer its transforms cost too much
  const Window& w = sizes.window;
  return !sizes.transposed && w.kernel_size == Size2{3, 3} && w.stride == Size2{1, 1} &&
         w.dilation == Size2{1, 1} && w.padding.h <= 2 && w.padding.w <= 2 && s.in >= kChannels &&
         s.out >= kChannels;
}

void input_gradient_winograd(Saved& saved, const Part& part, const Sizes& s, ThreadPool& threads) {
  const Window& window = saved.pass.sizes.window;
  const kernels::WinogradShape shape{.x = saved.pass.y,
                                     .y = saved.pass.x,
                                     .before = {2 - window.padding.h, 2 - window.padding.w},
                                     .in = s.out,
                                     .out = s.in,
                                     .x_row = s.groups * s.out,
                                     .y_row = s.groups * s.in};
  constexpr std::size_t kSamples = 4;  // so that their tiles come out about even
  parallel_for(threads, part.count, kSamples, [&](std::size_t begin, std::size_t end) {
    Scratch<float> scratch(kernels::winograd_scratch_size(s.out, s.in));
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd(saved.dx->data() + (part.first + begin) * s.steps * s.x_step() + g * s.in,
                        part.dy + begin * s.steps * s.y_step() + g * s.out,
                        saved.weight.data() + g * s.winograd_weights(), saved.zeros.data(), shape,
                        (end - begin) * s.steps, scratch.data());
    }
  });
}

/// Lays out the weights for dx.
void prepare_input_gradient(Saved& saved, const float* weight, bool by_winograd, const Sizes& s) {
  if (by_winograd) {
    saved.weight.resize(s.groups * s.winograd_weights());
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd_weights_backward(saved.weight.data() + g * s.winograd_weights(),
                                         weight + g * s.group_weights(), s.out, s.in);
    }
    return;
  }
  make_taps(saved.turned_taps, saved.pass, !saved.pass.sizes.transposed);
  saved.weight.resize(s.groups * s.group_weights());
  kernels::conv_weight_backward(saved.weight.data(), weight, s.groups, s.taps, s.in, s.out);
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
Part part_of(Saved& saved, const Signal& dy, std::size_t first, std::size_t count, std::size_t size,
             ThreadPool& threads) {
  if (source_of(dy) == nullptr) return {dy.values() + first * size, first, count};
  saved.dy_made.resize(count * size);
  parallel_for(threads, count, 1, [&](std::size_t n, std::size_t) {
    source_of(dy)->read(saved.dy_made.data() + n * size, first + n);
  });
  return {saved.dy_made.data(), first, count};
}

void add_bias_part(Saved& saved, const Part& part, std::size_t size, std::size_t columns) {
  kernels::for_each_block(part.count, [&](std::size_t begin, std::size_t count) {
    for (std::size_t n = begin; n < begin + count; ++n) {
      kernels::add_rows(saved.bias_sums.sums(), part.dy + n * size, size / columns, columns, columns);
    }
    saved.bias_sums.close_block();
  });
}

/// Adds the sums of all pieces to dweight.
void add_pieces(float* dweight, Saved& saved, const Sizes& s, ThreadPool& threads) {
  const bool transposed = saved.pass.sizes.transposed;
  if (transposed) {
    saved.turned_gradient.resize(s.groups * s.group_weights());
    saved.turned_gradient.zero();
  }
  float* to = transposed ? saved.turned_gradient.data() : dweight;
  parallel_for(threads, saved.pieces.size(), 1,
               [&](std::size_t i, std::size_t) { add_piece(to, saved.pieces[i], s); });
  if (transposed) add_turned(dweight, to, s.groups, s.out, s.in, s.taps);
}

}  // namespace

Signal conv_forward(const ConvPass& pass, const Signal& x, const float* weight, const float* bias,
                    Tape& tape) {
  Saved& saved = tape.saved<Saved>();
  saved.pass = pass;
  saved.x = x;
  make_taps(saved.taps, pass, pass.sizes.transposed);
  const Sizes s(saved);
  make_zeros(saved, std::max(s.in, s.out));
  const float* ordered = ordered_weight(saved, weight, s);
  if (saved.x.is_spikes()) {
    prepare_spikes(saved, ordered, s, tape.threads());
  } else {
    saved.weight.resize(s.groups * s.group_weights());
    kernels::conv_weight_forward(saved.weight.data(), ordered, s.groups, s.taps, s.in, s.out);
  }
  saved.y.saved = &saved;
  saved.y.bias = bias;
  const Shape shape = pass.features.after({x.samples(), x.steps()});
  const Signal y = SignalAccess::make(saved.y, shape, Layout::channels_last, s.steps);
  if (TapeAccess::y_by_sample(tape)) return y;
  saved.y_memory.resize(y.stored_shape());
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t n, std::size_t) {
    saved.y.read(saved.y_memory.data() + n * s.steps * s.y_step(), n);
  });
  return y.with_values(saved.y_memory);
}

Signal conv_backward(Tape& tape, const Signal& dy, const float* weight, float* dweight, float* dbias) {
  Saved& saved = tape.saved<Saved>();
  ThreadPool& threads = tape.threads();
  const Sizes s(saved);
  const bool by_winograd = takes_winograd(saved.pass.sizes, s);
  const std::size_t size = s.steps * s.y_step(), columns = saved.pass.sizes.out;
  make_pieces(saved, s, threads.size());
  saved.bias_memory.resize(kernels::BlockTree<float>::memory(columns, dy.samples()));
  saved.bias_sums = {saved.bias_memory.data(), columns, dy.samples()};
  if (tape.needs_input_gradient()) {
    saved.dx = &tape.dx_memory();
    saved.dx->resize(saved.x.stored_shape());
    prepare_input_gradient(saved, ordered_weight(saved, weight, s), by_winograd, s);
  }
  const std::size_t most = part_size(s, threads.size());
  for (std::size_t first = 0; first < dy.samples(); first += most) {
    const Part part = part_of(saved, dy, first, std::min(most, dy.samples() - first), size, threads);
    parallel_for(threads, saved.pieces.size(), 1,
                 [&](std::size_t i, std::size_t) { add_part(saved.pieces[i], part, saved, s); });
    if (dbias != nullptr) add_bias_part(saved, part, size, columns);
    if (!tape.needs_input_gradient()) continue;
    if (by_winograd) {
      input_gradient_winograd(saved, part, s, threads);
    } else {
      input_gradient(saved, part, s, threads);
    }
  }
  add_pieces(dweight, saved, s, threads);
  if (dbias != nullptr) kernels::add_to(dbias, saved.bias_sums.root(), columns);
  if (!tape.needs_input_gradient()) return {};
  return {*saved.dx, saved.x.shape(), Layout::channels_last};
}

}  // namespace volley

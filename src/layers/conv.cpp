#include <volley/conv.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include <volley/error.hpp>

#include "core/numerics.hpp"
#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "kernels/bits.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/conv.hpp"
#include "kernels/groups.hpp"
#include "kernels/reduce.hpp"
#include "kernels/winograd.hpp"
#include "layers/group_lists.hpp"
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
  const Conv2dOptions* options = nullptr;
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
  Signal x;  // channels-last
  Output y;
  Tensor y_memory;
  Tensor* dx = nullptr;  // tape.dx_memory()
  TapTable taps;         // of outputs on inputs
  TapTable turned_taps;  // of inputs on outputs
  Buffer<float> weight;  // (groups, taps, in, out); backward (groups, taps, out, in)
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

  Sizes(const Conv2dOptions& o, const Saved& saved)
      : groups(o.groups),
        in(o.in_channels / o.groups),
        out(o.out_channels / o.groups),
        steps(saved.x.stored_steps()),
        x_positions(saved.x.shape().from(3).size()),
        y_positions(saved.taps.positions()),
        taps(o.kernel_size.area()) {}

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

/// What taps outside of the picture read; nobody writes there.
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
  forward(to, *saved, bias, Sizes(*options, *saved), n);
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

/// dweight in pieces of so many outputs; where these are too few for the threads, the rows are cut too. No
/// cut changes a result.
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
bool takes_winograd(const Conv2dOptions& o, const Sizes& s) {
  constexpr std::size_t kChannels = numerics::kWinogradChannels;  // with fewer its transforms cost too much
  return o.kernel_size == Size2{3, 3} && o.stride == Size2{1, 1} && o.dilation == Size2{1, 1} &&
         o.padding.h <= 2 && o.padding.w <= 2 && s.in >= kChannels && s.out >= kChannels;
}

void input_gradient_winograd(Saved& saved, const Part& part, const Window& window, const Sizes& s,
                             ThreadPool& threads) {
  const Size2 x{saved.x.shape()[3], saved.x.shape()[4]};
  const kernels::WinogradShape shape{.x = window.outputs(x),
                                     .y = x,
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
void prepare_input_gradient(Saved& saved, const float* weight, const Window& window, bool by_winograd,
                            const Sizes& s) {
  if (by_winograd) {
    saved.weight.resize(s.groups * s.winograd_weights());
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd_weights_backward(saved.weight.data() + g * s.winograd_weights(),
                                         weight + g * s.group_weights(), s.out, s.in);
    }
    return;
  }
  TapTable::turned_window(saved.turned_taps, window, {saved.x.shape()[3], saved.x.shape()[4]});
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

Shape weight_shape(const Conv2dOptions& o) {
  return {o.out_channels, o.in_channels / o.groups, o.kernel_size.h, o.kernel_size.w};
}

}  // namespace

Conv2d::Conv2d(const Conv2dOptions& options) : options_(options) {
  check_fields(Conv2dOptions::kKind, options);
  const auto check_groups = [&](std::string_view name, std::size_t channels) {
    if (channels % options.groups == 0) return;
    throw ArgumentError("conv2d", fmt::format("{} must be a multiple of groups", name),
                        fmt::format("{} and {}", channels, options.groups));
  };
  check_groups("in_channels", options.in_channels);
  check_groups("out_channels", options.out_channels);
  weight_ = Parameter(weight_shape(options));
  if (options.bias) bias_ = Parameter(Shape{options.out_channels});
  Conv2d::draw_parameters(0, 0);
}

Conv2d::Conv2d(std::size_t in_channels, std::size_t out_channels, const Size2& kernel_size,
               Conv2dOptions options)
    : Conv2d([&] {
        options.in_channels = in_channels;
        options.out_channels = out_channels;
        options.kernel_size = kernel_size;
        return options;
      }()) {}

std::size_t Conv2d::macs(const Shape& features) const {
  return output_shape(features).size() * (weight_shape(options_).size() / options_.out_channels);
}

Shape Conv2d::output_shape(const Shape& features) const {
  if (features.rank() != 3 || features[0] != options_.in_channels) {
    throw ShapeError(kind(), fmt::format("input features must be ({}, H, W)", options_.in_channels),
                     features);
  }
  const Size2 outputs = window().check_outputs(Conv2dOptions::kKind, features);
  return {options_.out_channels, outputs.h, outputs.w};
}

std::vector<NamedParameter> Conv2d::own_parameters() {
  std::vector<NamedParameter> all{{"weight", &weight_}};
  if (options_.bias) all.push_back({"bias", &bias_});
  return all;
}

void Conv2d::draw_parameters(std::uint32_t seed, std::uint32_t place) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place);
  const std::size_t fan_in = options_.in_channels / options_.groups * options_.kernel_size.area();
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  for (const NamedParameter& p : own_parameters()) {
    for (float& w : p.parameter->value.values()) w = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
}

Form Conv2d::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = Layout::channels_last, .constant = true};
}

void Conv2d::check_parameters() const {
  check_parameter(kind(), "weight", weight_, weight_shape(options_));
  if (options_.bias) check_parameter(kind(), "bias", bias_, {options_.out_channels});
}

Signal Conv2d::do_forward(const Signal& x, Tape& tape) const {
  check_parameters();
  const Shape features = output_shape(x.shape().from(2));
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  TapTable::window(saved.taps, window(), {x.shape()[3], x.shape()[4]});
  const Sizes s(options_, saved);
  make_zeros(saved, std::max(s.in, s.out));
  if (saved.x.is_spikes()) {
    prepare_spikes(saved, weight_.value.data(), s, tape.threads());
  } else {
    saved.weight.resize(weight_.value.size());
    kernels::conv_weight_forward(saved.weight.data(), weight_.value.data(), s.groups, s.taps, s.in, s.out);
  }
  saved.y.saved = &saved;
  saved.y.options = &options_;
  saved.y.bias = options_.bias ? bias_.value.data() : nullptr;
  const Shape shape = features.after({x.samples(), x.steps()});
  const Signal y = SignalAccess::make(saved.y, shape, Layout::channels_last, s.steps);
  if (TapeAccess::y_by_sample(tape)) return y;
  saved.y_memory.resize(y.stored_shape());
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t n, std::size_t) {
    saved.y.read(saved.y_memory.data() + n * s.steps * s.y_step(), n);
  });
  return y.with_values(saved.y_memory);
}

Signal Conv2d::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Saved& saved = tape.saved<Saved>();
  ThreadPool& threads = tape.threads();
  const Sizes s(options_, saved);
  const bool by_winograd = takes_winograd(options_, s);
  const std::size_t size = s.steps * s.y_step(), columns = options_.out_channels;
  make_pieces(saved, s, threads.size());
  saved.bias_memory.resize(kernels::BlockTree<float>::memory(columns, dy.samples()));
  saved.bias_sums = {saved.bias_memory.data(), columns, dy.samples()};
  if (tape.needs_input_gradient()) {
    saved.dx = &tape.dx_memory();
    saved.dx->resize(saved.x.stored_shape());
    prepare_input_gradient(saved, weight_.value.data(), window(), by_winograd, s);
  }
  const std::size_t most = part_size(s, threads.size());
  for (std::size_t first = 0; first < dy.samples(); first += most) {
    Part part{.dy = nullptr, .first = first, .count = std::min(most, dy.samples() - first)};
    if (source_of(dy) == nullptr) {
      part.dy = dy.values() + first * size;
    } else {
      saved.dy_made.resize(part.count * size);
      part.dy = saved.dy_made.data();
      parallel_for(threads, part.count, 1, [&](std::size_t n, std::size_t) {
        source_of(dy)->read(saved.dy_made.data() + n * size, first + n);
      });
    }
    parallel_for(threads, saved.pieces.size(), 1,
                 [&](std::size_t i, std::size_t) { add_part(saved.pieces[i], part, saved, s); });
    if (options_.bias) {
      kernels::for_each_block(part.count, [&](std::size_t begin, std::size_t count) {
        for (std::size_t n = begin; n < begin + count; ++n) {
          kernels::add_rows(saved.bias_sums.sums(), part.dy + n * size, size / columns, columns, columns);
        }
        saved.bias_sums.close_block();
      });
    }
    if (!tape.needs_input_gradient()) continue;
    if (by_winograd) {
      input_gradient_winograd(saved, part, window(), s, threads);
    } else {
      input_gradient(saved, part, s, threads);
    }
  }
  parallel_for(threads, saved.pieces.size(), 1,
               [&](std::size_t i, std::size_t) { add_piece(weight_.gradient.data(), saved.pieces[i], s); });
  if (options_.bias) kernels::add_to(bias_.gradient.data(), saved.bias_sums.root(), columns);
  if (!tape.needs_input_gradient()) return {};
  return {*saved.dx, saved.x.shape(), Layout::channels_last};
}

}  // namespace volley

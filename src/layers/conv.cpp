#include <volley/conv.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "kernels/bits.hpp"
#include "kernels/conv.hpp"
#include "kernels/lookup.hpp"
#include "kernels/reduce.hpp"
#include "kernels/winograd.hpp"
#include "layers/layer_access.hpp"
#include "layers/lookup_choice.hpp"
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
  Buffer<float> sums;  // (rows, kConvColumns), of spikes (columns, lookup_stride(rows))
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
  Buffer<float> table;             // for look-ups: (groups, output panels, taps and fours of channels, ...)
  Buffer<std::uint8_t> by_lookup;  // whether a sample takes them
  std::vector<GradientPiece> pieces;
  Buffer<float> dy_made;  // a block of dy
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
  std::size_t panels() const { return (out + kernels::kLookupOutputs - 1) / kernels::kLookupOutputs; }
  std::size_t panel_table() const { return kernels::lookup_table_size(kernels::conv_groups(taps, in)); }
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

void forward_gather(float* y, const Saved& saved, const float* bias, const Sizes& s, std::size_t sample) {
  const kernels::ConvShape shape = s.forward(saved);
  Scratch<std::uint32_t> list(kernels::conv_list_size(shape));
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::conv_spikes(y + g * s.out, bits_of(saved.x.spikes(), sample, 0, g, s.in),
                         saved.weight.data() + g * s.group_weights(),
                         bias != nullptr ? bias + g * s.out : nullptr, shape, s.steps, list.data());
  }
}

void forward_lookup(float* y, const Saved& saved, const float* bias, const Sizes& s, std::size_t sample) {
  const kernels::ConvShape shape = s.forward(saved);
  Scratch<std::uint32_t> words(kernels::conv_words_size(shape, s.steps));
  Scratch<std::uint32_t> channels(kernels::conv_channels_size(shape));
  const std::size_t rows = s.steps * s.y_positions, stride = kernels::lookup_stride(rows);
  constexpr std::size_t kOutputs = kernels::kLookupOutputs;
  Scratch<float> sums(kOutputs * stride);
  for (std::size_t g = 0; g < s.groups; ++g) {
    const kernels::NibbleWords bits =
        kernels::conv_words(words.data(), bits_of(saved.x.spikes(), sample, 0, g, s.in),
                            SpikeWords::row_words(saved.x.spikes()), s.steps, shape, channels.data());
    for (std::size_t o = 0; o < s.out; o += kOutputs) {
      const std::size_t outputs = std::min(kOutputs, s.out - o);
      for (std::size_t k = 0; k < kOutputs; ++k) {
        std::fill_n(sums.data() + k * stride, stride,
                    bias != nullptr && k < outputs ? bias[g * s.out + o + k] : 0);
      }
      const std::size_t panel = g * s.panels() + o / kOutputs;
      kernels::lookup_add(sums.data(), stride, saved.table.data() + panel * s.panel_table(), bits);
      kernels::store_turned(y + g * s.out + o, s.groups * s.out, sums.data(), stride, rows, outputs);
    }
  }
}

/// Chooses for each sample of spikes, and lays out the weights for what was chosen.
void prepare_spikes(Saved& saved, const float* weight, const Sizes& s, ThreadPool& threads) {
  choose_lookup(saved.by_lookup, saved.x.spikes(), threads);
  if (std::ranges::count(saved.by_lookup.span(), 0) > 0) {
    saved.weight.resize(s.groups * s.group_weights());
    kernels::conv_weight_forward(saved.weight.data(), weight, s.groups, s.taps, s.in, s.out);
  }
  if (std::ranges::count(saved.by_lookup.span(), 1) == 0) return;
  saved.table.resize(s.groups * s.panels() * s.panel_table());
  parallel_for(threads, s.groups * s.panels(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t panel = begin; panel < end; ++panel) {
      const std::size_t g = panel / s.panels(), o = panel % s.panels() * kernels::kLookupOutputs;
      kernels::conv_table(saved.table.data() + panel * s.panel_table(),
                          weight + (g * s.out + o) * s.in * s.taps, s.taps, s.in,
                          std::min(kernels::kLookupOutputs, s.out - o));
    }
  });
}

void Output::read(float* to, std::size_t n) const {
  const auto forward = !saved->x.is_spikes() ? forward_dense
                       : saved->by_lookup[n] ? forward_lookup
                                             : forward_gather;
  forward(to, *saved, bias, Sizes(*options, *saved), n);
}
const Signal& Output::made_from() const { return saved->x; }

/// dy of samples [first, first + count), in memory.
struct Block {
  const float* dy;
  std::size_t first, count;
};

/// Adds the block to the sums of a piece.
void add_values(GradientPiece& piece, const Block& block, const Saved& saved, const Sizes& s) {
  const kernels::ConvShape shape = s.forward(saved);
  const float* x = saved.x.values() + block.first * s.steps * s.x_step() + piece.group * s.in;
  const float* dy = block.dy + piece.channel;
  for (std::size_t n = 0; n < block.count * s.steps; ++n) {
    kernels::conv_weight_gradient(piece.sums.data(), x + n * s.x_step(), dy + n * s.y_step(), shape,
                                  piece.begin, piece.end, piece.columns);
  }
}

void add_spikes(GradientPiece& piece, const Block& block, const Saved& saved, const Sizes& s) {
  const std::size_t sum_row = kernels::lookup_stride(piece.end - piece.begin);
  Scratch<std::uint8_t> nibbles(s.x_positions * s.in + kernels::kLookupRows);
  Scratch<float> table(kernels::lookup_table_size(kernels::kTablePositions));
  Scratch<std::uint32_t> words(kernels::kTablePositions / kernels::kWordNibbles * sum_row);
  const kernels::ConvShape shape = s.forward(saved);
  const Spikes& spikes = saved.x.spikes();
  const float* dy = block.dy + piece.channel;
  for (std::size_t n = 0; n < block.count; ++n, dy += s.steps * s.y_step()) {
    for (std::size_t t = 0; t < s.steps; t += 4) {
      const std::size_t steps = std::min<std::size_t>(4, s.steps - t);
      kernels::conv_nibbles(nibbles.data(), bits_of(spikes, block.first + n, t, piece.group, s.in),
                            SpikeWords::row_words(spikes), steps, s.x_positions, s.in);
      kernels::conv_weight_gradient_spikes(piece.sums.data(), sum_row, nibbles.data(), dy + t * s.y_step(),
                                           s.y_step(), steps, shape, piece.begin, piece.end, piece.columns,
                                           {table.data(), words.data()});
    }
  }
}

/// dweight in pieces of so many outputs; where these are too few for the threads, the rows are cut too. No
/// cut changes a result.
void make_pieces(Saved& saved, const Sizes& s, std::size_t threads) {
  const bool spikes = saved.x.is_spikes();
  const std::size_t panel = spikes ? kernels::kSpikeColumns : kernels::kConvColumns;
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
    const std::size_t count = piece.end - piece.begin;
    piece.sums.resize(spikes ? (panel + kernels::kLookupOutputs) * kernels::lookup_stride(count)
                             : count * panel);
    piece.sums.zero();
  }
}

void add_piece(float* dweight, const GradientPiece& piece, bool spikes, const Sizes& s) {
  const std::size_t row = spikes ? 1 : kernels::kConvColumns;
  const std::size_t column = spikes ? kernels::lookup_stride(piece.end - piece.begin) : 1;
  kernels::conv_add_gradient(dweight + piece.channel * s.taps * s.in, piece.sums.data(), row, column, s.taps,
                             s.in, piece.begin, piece.end, piece.columns);
}

/// dx of a block of samples.
void input_gradient(Saved& saved, const Block& block, const Sizes& s, ThreadPool& threads) {
  parallel_for(threads, block.count, 1, [&](std::size_t n, std::size_t) {
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::conv_dense(saved.dx->data() + (block.first + n) * s.steps * s.x_step() + g * s.in,
                          block.dy + n * s.steps * s.y_step() + g * s.out,
                          saved.weight.data() + g * s.group_weights(), nullptr, saved.zeros.data(),
                          s.turned(saved), s.steps);
    }
  });
}

/// Whether dx goes by Winograd's algorithm, which adds in another order. A question of the shape alone.
bool takes_winograd(const Conv2dOptions& o, const Sizes& s) {
  constexpr std::size_t kChannels = 16;  // with fewer its transforms cost more than they save
  return o.kernel_size == Size2{3, 3} && o.stride == Size2{1, 1} && o.dilation == Size2{1, 1} &&
         o.padding.h <= 2 && o.padding.w <= 2 && s.in >= kChannels && s.out >= kChannels;
}

void input_gradient_winograd(Saved& saved, const Block& block, const Window& window, const Sizes& s,
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
  parallel_for(threads, block.count, kSamples, [&](std::size_t begin, std::size_t end) {
    Scratch<float> scratch(kernels::winograd_scratch_size(s.out, s.in));
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd(saved.dx->data() + (block.first + begin) * s.steps * s.x_step() + g * s.in,
                        block.dy + begin * s.steps * s.y_step() + g * s.out,
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

/// How many samples of dy a block has: what is made of them is in the cache when dweight and dx are computed
/// from it. No result depends on it.
std::size_t block_size(const Sizes& s, std::size_t threads) {
  constexpr std::size_t kSamples = 8, kValues = 1 << 20;
  return std::max(kSamples * threads, kValues / std::max<std::size_t>(1, s.steps * s.y_step()));
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
  const std::size_t size = s.steps * s.y_step();
  make_pieces(saved, s, threads.size());
  if (tape.needs_input_gradient()) {
    saved.dx = &tape.dx_memory();
    saved.dx->resize(saved.x.stored_shape());
    prepare_input_gradient(saved, weight_.value.data(), window(), by_winograd, s);
  }
  const std::size_t most = block_size(s, threads.size());
  for (std::size_t first = 0; first < dy.samples(); first += most) {
    Block block{.dy = nullptr, .first = first, .count = std::min(most, dy.samples() - first)};
    if (source_of(dy) == nullptr) {
      block.dy = dy.values() + first * size;
    } else {
      saved.dy_made.resize(block.count * size);
      block.dy = saved.dy_made.data();
      parallel_for(threads, block.count, 1, [&](std::size_t n, std::size_t) {
        source_of(dy)->read(saved.dy_made.data() + n * size, first + n);
      });
    }
    parallel_for(threads, saved.pieces.size(), 1, [&](std::size_t i, std::size_t) {
      (saved.x.is_spikes() ? add_spikes : add_values)(saved.pieces[i], block, saved, s);
    });
    for (std::size_t n = 0; options_.bias && n < block.count; ++n) {
      const std::size_t columns = options_.out_channels;
      kernels::add_rows(bias_.gradient.data(), block.dy + n * size, size / columns, columns, columns);
    }
    if (!tape.needs_input_gradient()) continue;
    if (by_winograd) {
      input_gradient_winograd(saved, block, window(), s, threads);
    } else {
      input_gradient(saved, block, s, threads);
    }
  }
  parallel_for(threads, saved.pieces.size(), 1, [&](std::size_t i, std::size_t) {
    add_piece(weight_.gradient.data(), saved.pieces[i], saved.x.is_spikes(), s);
  });
  if (!tape.needs_input_gradient()) return {};
  return {*saved.dx, saved.x.shape(), Layout::channels_last};
}

}  // namespace volley

#include <volley/conv.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "kernels/bits.hpp"
#include "kernels/conv.hpp"
#include "kernels/lookup.hpp"
#include "kernels/reduce.hpp"
#include "kernels/winograd.hpp"
#include "layers/lookup_choice.hpp"
#include "layers/signal_forms.hpp"
#include "layers/spike_words.hpp"
#include "layers/taps.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x_given;
  Signal x;  // the same, channels-last
  SignalMemory x_memory;
  Tensor y;
  Tensor* dx = nullptr;  // tape.dx_memory()
  SignalMemory dx_memory;
  TapTable taps;         // of outputs on inputs
  TapTable turned_taps;  // of inputs on outputs
  Buffer<float> weight;  // (groups, taps, in, out); backward (groups, taps, out, in)
  Buffer<float> zeros;
  Buffer<float> table;             // for look-ups: (groups, output panels, taps and fours of channels, ...)
  Buffer<std::uint8_t> by_lookup;  // whether a sample takes them
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
  static thread_local Buffer<std::uint32_t> list;
  const kernels::ConvShape shape = s.forward(saved);
  list.resize(kernels::conv_list_size(shape));
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::conv_spikes(y + g * s.out, bits_of(saved.x.spikes(), sample, 0, g, s.in),
                         saved.weight.data() + g * s.group_weights(),
                         bias != nullptr ? bias + g * s.out : nullptr, shape, s.steps, list.data());
  }
}

void forward_lookup(float* y, const Saved& saved, const float* bias, const Sizes& s, std::size_t sample) {
  static thread_local Buffer<std::uint32_t> words, channels;
  static thread_local Buffer<float> sums;
  const kernels::ConvShape shape = s.forward(saved);
  words.resize(kernels::conv_words_size(shape, s.steps));
  channels.resize(kernels::conv_channels_size(shape));
  const std::size_t rows = s.steps * s.y_positions, stride = kernels::lookup_stride(rows);
  constexpr std::size_t kOutputs = kernels::kLookupOutputs;
  sums.resize(kOutputs * stride);
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

/// One worker's piece of dweight: `columns` output channels from `out` on, rows [begin, end) of (taps, in).
struct GradientPiece {
  std::size_t group, out, columns, begin, end;
};

void add_values(float* sum, const float* dy, const Saved& saved, const Sizes& s, const GradientPiece& piece) {
  const kernels::ConvShape shape = s.forward(saved);
  for (std::size_t n = 0; n < saved.x.samples() * s.steps; ++n) {
    kernels::conv_weight_gradient(sum, saved.x.values() + n * s.x_step() + piece.group * s.in,
                                  dy + n * s.y_step(), shape, piece.begin, piece.end, piece.columns);
  }
}

void add_spikes(float* sum, std::size_t sum_row, const float* dy, const Saved& saved, const Sizes& s,
                const GradientPiece& piece) {
  static thread_local Buffer<std::uint8_t> nibbles;
  static thread_local Buffer<float> table;
  static thread_local Buffer<std::uint32_t> words;
  nibbles.resize(s.x_positions * s.in + kernels::kLookupRows);
  table.resize(kernels::lookup_table_size(kernels::kTablePositions));
  words.resize(kernels::kTablePositions / kernels::kWordNibbles * sum_row);
  const kernels::ConvShape shape = s.forward(saved);
  const Spikes& spikes = saved.x.spikes();
  for (std::size_t n = 0; n < spikes.samples(); ++n) {
    for (std::size_t t = 0; t < s.steps; t += 4) {
      const std::size_t steps = std::min<std::size_t>(4, s.steps - t);
      kernels::conv_nibbles(nibbles.data(), bits_of(spikes, n, t, piece.group, s.in),
                            SpikeWords::row_words(spikes), steps, s.x_positions, s.in);
      kernels::conv_weight_gradient_spikes(sum, sum_row, nibbles.data(), dy + (n * s.steps + t) * s.y_step(),
                                           s.y_step(), steps, shape, piece.begin, piece.end, piece.columns,
                                           {table.data(), words.data()});
    }
  }
}

void weight_gradient(float* dweight, const float* dy, const Saved& saved, const Sizes& s,
                     const GradientPiece& piece) {
  static thread_local Buffer<float> sum;
  const std::size_t channel = piece.group * s.out + piece.out;
  const std::size_t rows = piece.end - piece.begin;
  dweight += channel * s.taps * s.in;
  dy += channel;
  if (saved.x.is_spikes()) {
    const std::size_t row = kernels::lookup_stride(rows);
    sum.resize((kernels::kSpikeColumns + kernels::kLookupOutputs) * row);
    sum.zero();
    add_spikes(sum.data(), row, dy, saved, s, piece);
    kernels::conv_add_gradient(dweight, sum.data(), 1, row, s.taps, s.in, piece.begin, piece.end,
                               piece.columns);
  } else {
    sum.resize(rows * kernels::kConvColumns);
    sum.zero();
    add_values(sum.data(), dy, saved, s, piece);
    kernels::conv_add_gradient(dweight, sum.data(), kernels::kConvColumns, 1, s.taps, s.in, piece.begin,
                               piece.end, piece.columns);
  }
}

void input_gradient(Saved& saved, const float* dy, const float* weight, const Window& window, const Sizes& s,
                    ThreadPool& threads) {
  TapTable::turned_window(saved.turned_taps, window, {saved.x.shape()[3], saved.x.shape()[4]});
  saved.weight.resize(s.groups * s.group_weights());
  kernels::conv_weight_backward(saved.weight.data(), weight, s.groups, s.taps, s.in, s.out);
  parallel_for(threads, saved.x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::conv_dense(saved.dx->data() + begin * s.steps * s.x_step() + g * s.in,
                          dy + begin * s.steps * s.y_step() + g * s.out,
                          saved.weight.data() + g * s.group_weights(), nullptr, saved.zeros.data(),
                          s.turned(saved), (end - begin) * s.steps);
    }
  });
}

/// Whether dx goes by Winograd's algorithm, which adds in another order. A question of the shape alone.
bool takes_winograd(const Conv2dOptions& o, const Sizes& s) {
  constexpr std::size_t kChannels = 16;  // with fewer its transforms cost more than they save
  return o.kernel_size == Size2{3, 3} && o.stride == Size2{1, 1} && o.dilation == Size2{1, 1} &&
         o.padding.h <= 2 && o.padding.w <= 2 && s.in >= kChannels && s.out >= kChannels;
}

void input_gradient_winograd(Saved& saved, const float* dy, const float* weight, const Window& window,
                             const Sizes& s, ThreadPool& threads) {
  const Size2 x{saved.x.shape()[3], saved.x.shape()[4]};
  const kernels::WinogradShape shape{.x = window.outputs(x),
                                     .y = x,
                                     .before = {2 - window.padding.h, 2 - window.padding.w},
                                     .in = s.out,
                                     .out = s.in,
                                     .x_row = s.groups * s.out,
                                     .y_row = s.groups * s.in};
  const std::size_t group = kernels::kWinogradPlaces * s.in * s.out;
  saved.weight.resize(s.groups * group);
  for (std::size_t g = 0; g < s.groups; ++g) {
    kernels::winograd_weights_backward(saved.weight.data() + g * group, weight + g * s.group_weights(), s.out,
                                       s.in);
  }
  constexpr std::size_t kSamples = 4;  // so that their tiles come out about even
  parallel_for(threads, saved.x.samples(), kSamples, [&](std::size_t begin, std::size_t end) {
    static thread_local Buffer<float> scratch;
    scratch.resize(kernels::winograd_scratch_size(s.out, s.in));
    for (std::size_t g = 0; g < s.groups; ++g) {
      kernels::winograd(saved.dx->data() + begin * s.steps * s.x_step() + g * s.in,
                        dy + begin * s.steps * s.y_step() + g * s.out, saved.weight.data() + g * group,
                        saved.zeros.data(), shape, (end - begin) * s.steps, scratch.data());
    }
  });
}

}  // namespace

Conv2d::Conv2d(const Conv2dOptions& options) : options_(options) {
  check_fields(Conv2dOptions::kKind, options);
  const auto check_groups = [&](std::string_view name, std::size_t channels) {
    if (channels % options.groups == 0) return;
    throw Error(fmt::format("[conv2d] {} must be a multiple of groups, got {} and {}", name, channels,
                            options.groups));
  };
  check_groups("in_channels", options.in_channels);
  check_groups("out_channels", options.out_channels);
  weight_ = Parameter(Shape{options.out_channels, options.in_channels / options.groups, options.kernel_size.h,
                            options.kernel_size.w});
  if (options.bias) bias_ = Parameter(Shape{options.out_channels});
  Conv2d::initialize(0, 0);
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
  return output_shape(features).size() * (weight_.value.size() / options_.out_channels);
}

Shape Conv2d::output_shape(const Shape& features) const {
  if (features.rank() != 3 || features[0] != options_.in_channels) {
    throw Error(fmt::format("[conv2d] input features must be ({}, H, W), got {}", options_.in_channels,
                            features.text()));
  }
  const Size2 outputs = window().check_outputs(Conv2dOptions::kKind, features);
  return {options_.out_channels, outputs.h, outputs.w};
}

std::vector<NamedParameter> Conv2d::parameters() {
  std::vector<NamedParameter> all{{"weight", &weight_}};
  if (options_.bias) all.push_back({"bias", &bias_});
  return all;
}

void Conv2d::initialize(std::uint32_t seed, std::uint32_t layer) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), layer);
  const std::size_t fan_in = options_.in_channels / options_.groups * options_.kernel_size.area();
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  for (const NamedParameter& p : parameters()) {
    for (float& w : p.parameter->value.values()) w = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
}

Signal Conv2d::forward(const Signal& x, Tape& tape) const {
  const Shape features = output_shape(x.shape().from(2));
  Saved& saved = tape.saved<Saved>();
  saved.x_given = x;
  saved.x = in_layout(x, Layout::channels_last, saved.x_memory, tape.threads());
  TapTable::window(saved.taps, window(), {x.shape()[3], x.shape()[4]});
  const Sizes s(options_, saved);
  make_zeros(saved, std::max(s.in, s.out));
  if (saved.x.is_spikes()) {
    prepare_spikes(saved, weight_.value.data(), s, tape.threads());
  } else {
    saved.weight.resize(weight_.value.size());
    kernels::conv_weight_forward(saved.weight.data(), weight_.value.data(), s.groups, s.taps, s.in, s.out);
  }
  const float* bias = options_.bias ? bias_.value.data() : nullptr;

  const Shape shape = features.after({x.samples(), x.steps()});
  saved.y.resize(stored_shape(shape, Layout::channels_last, s.steps));
  parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      float* y = saved.y.data() + n * s.steps * s.y_step();
      const auto forward = !saved.x.is_spikes() ? forward_dense
                           : saved.by_lookup[n] ? forward_lookup
                                                : forward_gather;
      forward(y, saved, bias, s, n);
    }
  });
  return {saved.y, shape, Layout::channels_last};
}

Signal Conv2d::backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const Sizes s(options_, saved);
  const std::size_t pictures = saved.x.samples() * s.steps;
  // Pieces of so many outputs; where these are too few for the threads, cut the rows too. No cut changes a
  // result.
  const std::size_t panel = saved.x.is_spikes() ? kernels::kSpikeColumns : kernels::kConvColumns;
  const std::size_t panels = (s.out + panel - 1) / panel;
  const std::size_t cuts = (tape.threads().size() + s.groups * panels - 1) / (s.groups * panels);
  const std::size_t rows = s.taps * s.in;
  const std::size_t piece_rows = (rows + cuts - 1) / cuts;
  parallel_for(tape.threads(), s.groups * panels * cuts, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t first = std::min(rows, i % cuts * piece_rows);
      const std::size_t out = i / cuts % panels * panel;
      weight_gradient(weight_.gradient.data(), dy.values(), saved, s,
                      {.group = i / cuts / panels,
                       .out = out,
                       .columns = std::min(panel, s.out - out),
                       .begin = first,
                       .end = std::min(rows, first + piece_rows)});
    }
  });
  if (options_.bias) {
    const std::size_t columns = options_.out_channels;
    kernels::add_rows(bias_.gradient.data(), dy.values(), pictures * s.y_positions, columns, columns);
  }

  if (!tape.needs_input_gradient()) return {};
  saved.dx = &tape.dx_memory();
  saved.dx->resize(saved.x.stored_shape());
  (takes_winograd(options_, s) ? input_gradient_winograd : input_gradient)(
      saved, dy.values(), weight_.value.data(), window(), s, tape.threads());
  const Signal dx(*saved.dx, saved.x.shape(), Layout::channels_last);
  return in_layout(dx, saved.x_given.layout(), saved.dx_memory, tape.threads());
}

}  // namespace volley

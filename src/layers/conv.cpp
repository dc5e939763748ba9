#include <volley/conv.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include <volley/error.hpp>

#include "core/numerics.hpp"
#include "core/philox.hpp"
#include "layers/layer_access.hpp"
#include "layers/taps.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

/// The sizes of one pass. Along one dimension a picture has height 1.
struct Pass {
  Size2 x, y;      // the pictures that go in and come out
  Shape features;  // of the signal that comes out
};

struct Saved {
  Signal x;  // channels-last
  Tensor y;
  TapTable taps;         // of outputs on inputs
  TapTable turned_taps;  // of inputs on outputs
  ops::ConvShape shape;
  ops::Slot slot;
};

Size2 pair_of(const Size2& size, std::size_t) { return size; }
std::string text_of(const Size2& size) { return size.text(); }
std::string text_of(std::size_t size) { return fmt::format("{}", size); }
/// Along one dimension: `across` in the other, where pictures have one row.
Size2 pair_of(std::size_t size, std::size_t across) { return {across, size}; }

template <class Options>
detail::ConvSizes sizes_of(const Options& o) {
  constexpr bool kTransposed = requires { o.output_padding; };
  check_fields(Options::kKind, o);
  const auto check_groups = [&](std::string_view name, std::size_t channels) {
    if (channels % o.groups == 0) return;
    throw ArgumentError(Options::kKind, fmt::format("{} must be a multiple of groups", name),
                        fmt::format("{} and {}", channels, o.groups));
  };
  check_groups("in_channels", o.in_channels);
  check_groups("out_channels", o.out_channels);
  detail::ConvSizes sizes{.in = o.in_channels,
                          .out = o.out_channels,
                          .groups = o.groups,
                          .window = {.kernel_size = pair_of(o.kernel_size, 1),
                                     .stride = pair_of(o.stride, 1),
                                     .padding = pair_of(o.padding, 0),
                                     .dilation = pair_of(o.dilation, 1)},
                          .bias = o.bias,
                          .transposed = kTransposed,
                          .pictures = std::is_same_v<decltype(o.kernel_size), Size2>};
  if constexpr (kTransposed) {
    sizes.output_padding = pair_of(o.output_padding, 0);
    const Window& w = sizes.window;
    if (sizes.output_padding.h >= std::max(w.stride.h, w.dilation.h) ||
        sizes.output_padding.w >= std::max(w.stride.w, w.dilation.w)) {
      throw ArgumentError(Options::kKind, "output_padding must be less than stride or dilation",
                          text_of(o.output_padding));
    }
  }
  return sizes;
}

/// The outputs of a transposed convolution along one side; 0 where nothing is left.
std::size_t transposed_outputs(std::size_t size, std::size_t extent, std::size_t stride, std::size_t padding,
                               std::size_t output_padding) {
  const std::size_t whole = (size - 1) * stride + extent + output_padding;
  return whole > 2 * padding ? whole - 2 * padding : 0;
}

/// The sizes of a pass for features that `sizes` can take.
Pass pass_of(std::string_view kind, const detail::ConvSizes& sizes, const Shape& features) {
  const std::size_t rank = sizes.pictures ? 3 : 2;
  if (features.rank() != rank || features[0] != sizes.in || features.size() == 0) {
    throw ShapeError(kind,
                     fmt::format("input features must be ({}, {})", sizes.in, sizes.pictures ? "H, W" : "L"),
                     features);
  }
  const Window& w = sizes.window;
  Pass pass{.x = {sizes.pictures ? features[1] : 1, features[rank - 1]}};
  if (sizes.transposed) {
    pass.y = {transposed_outputs(pass.x.h, w.extent().h, w.stride.h, w.padding.h, sizes.output_padding.h),
              transposed_outputs(pass.x.w, w.extent().w, w.stride.w, w.padding.w, sizes.output_padding.w)};
    if (pass.y.area() == 0) {
      throw ShapeError(kind, "padding must leave something of the output", features);
    }
  } else if (sizes.pictures) {
    pass.y = w.check_outputs(kind, features);
  } else {
    const std::size_t padded = pass.x.w + 2 * w.padding.w;
    if (padded < w.extent().w) {
      throw ShapeError(kind,
                       fmt::format("input must be at least as long as the window {}, is {} with its padding",
                                   w.extent().w, padded),
                       features);
    }
    pass.y = w.outputs(pass.x);
  }
  pass.features = sizes.pictures ? Shape{sizes.out, pass.y.h, pass.y.w} : Shape{sizes.out, pass.y.w};
  return pass;
}

/// What the positions of y see in x, or, `turned`, those of x in y: of the convolution that the sizes
/// describe, which maps y to x where the layer is transposed.
void make_taps(TapTable& taps, const detail::ConvSizes& sizes, const Size2& x, const Size2& y, bool turned) {
  const Size2 picture = sizes.transposed ? y : x, outputs = sizes.transposed ? x : y;
  if (turned == sizes.transposed) {
    TapTable::window(taps, sizes.window, picture, outputs);
  } else {
    TapTable::turned_window(taps, sizes.window, picture, outputs);
  }
}

/// Whether dx goes by Winograd's algorithm, which adds in another order. A question of the shape alone.
bool takes_winograd(const detail::ConvSizes& sizes) {
  constexpr std::size_t kChannels = numerics::kWinogradChannels;  // with fewer its transforms cost too much
  const Window& w = sizes.window;
  return !sizes.transposed && w.kernel_size == Size2{3, 3} && w.stride == Size2{1, 1} &&
         w.dilation == Size2{1, 1} && w.padding.h <= 2 && w.padding.w <= 2 &&
         sizes.in / sizes.groups >= kChannels && sizes.out / sizes.groups >= kChannels;
}

}  // namespace

detail::ConvSizes detail::conv_sizes(const Conv1dOptions& options) { return sizes_of(options); }
detail::ConvSizes detail::conv_sizes(const Conv2dOptions& options) { return sizes_of(options); }
detail::ConvSizes detail::conv_sizes(const ConvTranspose1dOptions& options) { return sizes_of(options); }
detail::ConvSizes detail::conv_sizes(const ConvTranspose2dOptions& options) { return sizes_of(options); }

Convolution::Convolution(const char* kind, const detail::ConvSizes& sizes) : kind_(kind), sizes_(sizes) {
  weight_ = Parameter(weight_shape());
  if (sizes.bias) bias_ = Parameter(Shape{sizes.out});
  Convolution::draw_parameters(0, 0);
}

Shape Convolution::weight_shape() const {
  const std::size_t first = sizes_.transposed ? sizes_.in : sizes_.out;
  const std::size_t second = (sizes_.transposed ? sizes_.out : sizes_.in) / sizes_.groups;
  const Size2& k = sizes_.window.kernel_size;
  return sizes_.pictures ? Shape{first, second, k.h, k.w} : Shape{first, second, k.w};
}

/// Each weight meets every output of a convolution, and every input of a transposed one.
std::size_t Convolution::macs(const Shape& features) const {
  const Pass pass = pass_of(kind(), sizes_, features);
  return weight_shape().size() * (sizes_.transposed ? pass.x : pass.y).area();
}

Shape Convolution::output_shape(const Shape& features) const {
  return pass_of(kind(), sizes_, features).features;
}

std::vector<NamedParameter> Convolution::own_parameters() {
  std::vector<NamedParameter> all{{"weight", &weight_}};
  if (sizes_.bias) all.push_back({"bias", &bias_});
  return all;
}

void Convolution::draw_parameters(std::uint32_t seed, std::uint32_t place) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place);
  const std::size_t fan_in = weight_shape().from(1).size();
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  for (const NamedParameter& p : own_parameters()) {
    for (float& w : p.parameter->value.values()) w = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
}

Form Convolution::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = Layout::channels_last, .constant = true};
}

void Convolution::check_parameters() const {
  check_parameter(kind(), "weight", weight_, weight_shape());
  if (sizes_.bias) check_parameter(kind(), "bias", bias_, {sizes_.out});
}

Signal Convolution::do_forward(const Signal& x, Tape& tape) const {
  check_parameters();
  const Pass pass = pass_of(kind(), sizes_, x.shape().from(2));
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  make_taps(saved.taps, sizes_, pass.x, pass.y, false);
  saved.shape = {.N = x.samples(),
                 .S = x.stored_steps(),
                 .groups = sizes_.groups,
                 .in = sizes_.in / sizes_.groups,
                 .out = sizes_.out / sizes_.groups,
                 .x = pass.x,
                 .y = pass.y,
                 .taps = saved.taps.view(device),
                 .transposed = sizes_.transposed};
  ops::ConvForward op{.shape = saved.shape,
                      .x = view_of(x, device),
                      .weight = device.read(weight_.value),
                      .bias = sizes_.bias ? device.read(bias_.value) : nullptr,
                      .slot = &saved.slot};
  const Shape shape = pass.features.after({x.samples(), x.steps()});
  if (TapeAccess::y_by_sample(tape)) {
    if (const SampleSource* y = device.defer(op, x, saved.slot); y != nullptr)
      return SignalAccess::make(*y, shape, Layout::channels_last, x.stored_steps());
  }
  saved.y.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  op.y = device.write(saved.y);
  device.run(op);
  return {saved.y, shape, Layout::channels_last};
}

Signal Convolution::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  ops::ConvBackward op{.shape = saved.shape,
                       .winograd = takes_winograd(sizes_),
                       .before = {2 - sizes_.window.padding.h, 2 - sizes_.window.padding.w},
                       .x = view_of(x, device),
                       .dy = operand_of(dy, device),
                       .weight = device.read(weight_.value),
                       .dweight = device.update(weight_.gradient),
                       .dbias = sizes_.bias ? device.update(bias_.gradient) : nullptr,
                       .slot = &saved.slot};
  op.shape.taps = saved.taps.view(device);
  if (!tape.needs_input_gradient()) {
    device.run(op);
    return {};
  }
  if (!op.winograd) {
    make_taps(saved.turned_taps, sizes_, saved.shape.x, saved.shape.y, true);
    op.turned = saved.turned_taps.view(device);
  }
  Tensor& dx = tape.dx_memory();
  dx.resize(x.stored_shape());
  op.dx = device.write(dx);
  device.run(op);
  return {dx, x.shape(), Layout::channels_last};
}

}  // namespace volley

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "networks.hpp"
#include "options.hpp"

namespace volley::test {
namespace {

/// Outputs along one side, 0 where the window does not fit.
std::size_t outputs(std::size_t size, std::size_t kernel, std::size_t stride, std::size_t padding,
                    std::size_t dilation) {
  const std::size_t extent = dilation * (kernel - 1) + 1;
  return size + 2 * padding < extent ? 0 : (size + 2 * padding - extent) / stride + 1;
}

Size2 draw_size(Program& p, std::size_t low, std::size_t high) {
  const std::size_t h = p.random.between(low, high);
  return p.random.chance(0.6) ? Size2(h) : Size2(h, p.random.between(low, high));
}

/// Outputs of a transposed convolution along one side, 0 where its padding leaves nothing.
std::size_t transposed(std::size_t size, std::size_t kernel, std::size_t stride, std::size_t padding,
                       std::size_t dilation, std::size_t output_padding) {
  const std::size_t whole = (size - 1) * stride + dilation * (kernel - 1) + 1 + output_padding;
  return whole > 2 * padding ? whole - 2 * padding : 0;
}

/// A side of the sizes of options: that of a convolution along one dimension, or height or width.
std::size_t side_of(std::size_t size, std::size_t) { return size; }
std::size_t side_of(const Size2& size, std::size_t side) { return side == 0 ? size.h : size.w; }
void draw_to(Program& p, std::size_t& size, std::size_t low, std::size_t high) {
  size = p.random.between(low, high);
}
void draw_to(Program& p, Size2& size, std::size_t low, std::size_t high) { size = draw_size(p, low, high); }

/// A convolution of these options, transposed or not.
template <class Options>
Made conv(Program& p, const Place& at, const char* name) {
  constexpr bool kTransposed = requires(Options o) { o.output_padding; };
  Options o;
  const auto divides = [&](std::size_t groups) {
    return groups > 0 && o.in_channels % groups == 0 && o.out_channels % groups == 0;
  };
  o.in_channels = at.features[0];
  o.out_channels = p.random.one_of<std::size_t>({1, 2, 4, 8, 17, 32});
  draw_to(p, o.kernel_size, 1, 4);
  if (p.random.chance(0.5)) draw_to(p, o.kernel_size, 3, 3);
  if (p.random.chance(0.4)) draw_to(p, o.stride, 1, 3);
  draw_to(p, o.padding, 0, 2);
  if (p.random.chance(0.2)) draw_to(p, o.dilation, 1, 2);
  o.bias = p.random.chance(0.5);
  for (const std::size_t groups : {2u, 4u})
    if (divides(groups) && p.random.chance(0.3)) o.groups = groups;
  bool less = true;  // output_padding than stride or dilation
  if constexpr (kTransposed) {
    if (p.random.chance(0.3)) draw_to(p, o.output_padding, 0, at.invalid > 0 ? 2 : 1);
    const auto check = [&](std::size_t side) {
      const std::size_t most = std::max(side_of(o.stride, side), side_of(o.dilation, side));
      if (at.invalid == 0 && side_of(o.output_padding, side) >= most) o.output_padding = {};
      return side_of(o.output_padding, side) < most;
    };
    less = check(0) && check(1);
    less = less && check(0);
  }
  if (p.random.chance(at.invalid)) o.in_channels = p.random.below(5);
  if (p.random.chance(at.invalid)) o.groups = p.random.below(4);
  if (p.random.chance(at.invalid)) o.stride = 0;
  if (p.random.chance(at.invalid)) draw_to(p, o.kernel_size, 0, 12);
  if (p.random.chance(at.invalid)) o.padding = static_cast<std::size_t>(-1) / 2;
  if constexpr (kTransposed) {
    for (const std::size_t side : {0, 1})
      less = less &&
             side_of(o.output_padding, side) < std::max(side_of(o.stride, side), side_of(o.dilation, side));
  }
  const bool valid = in_ranges(o) && divides(o.groups) && less;
  const std::string text = cat(name, "{", fields_text(o), "}");
  Made made{nullptr, text, at.features, false, valid && o.in_channels == at.features[0]};
  if (valid) {
    std::vector<std::size_t> sizes{o.out_channels};
    for (std::size_t i = 0; i + 1 < at.features.rank(); ++i) {
      const std::size_t size = at.features[i + 1], kernel = side_of(o.kernel_size, i),
                        stride = side_of(o.stride, i), padding = side_of(o.padding, i),
                        dilation = side_of(o.dilation, i);
      if constexpr (kTransposed) {
        sizes.push_back(transposed(size, kernel, stride, padding, dilation, side_of(o.output_padding, i)));
      } else {
        sizes.push_back(outputs(size, kernel, stride, padding, dilation));
      }
      made.fits = made.fits && sizes.back() > 0;
    }
    made.features = Shape(std::span<const std::size_t>(sizes));
  }
  made.layer = construct<ConvolutionOf<Options>>(p, "ConvolutionOf", text,
                                                 valid ? Expect::works : Expect::throws, o, o);
  return made;
}

Made upsample(Program& p, const Place& at) {
  UpsampleOptions o;
  o.mode = p.random.chance(0.5) ? UpsampleMode::nearest : UpsampleMode::bilinear;
  o.align_corners = o.mode == UpsampleMode::bilinear && p.random.chance(0.5);
  if (p.random.chance(0.5)) {
    o.size = draw_size(p, 1, 9);
  } else {
    o.scale_factor = draw_size(p, 1, 2);
  }
  if (p.random.chance(at.invalid)) o.size = draw_size(p, 0, 3);
  if (p.random.chance(at.invalid)) o.scale_factor.reset();
  if (p.random.chance(at.invalid)) o.align_corners = true;
  const bool valid = in_ranges(o) && o.size.has_value() != o.scale_factor.has_value() &&
                     !(o.align_corners && o.mode == UpsampleMode::nearest);
  const std::string text = cat("Upsample{", fields_text(o), "}");
  Made made{nullptr, text, at.features, at.spikes && o.mode == UpsampleMode::nearest, valid};
  if (valid) {
    const Size2 factor = o.scale_factor.value_or(1);
    const Size2 size = o.size.value_or(Size2(at.features[1] * factor.h, at.features[2] * factor.w));
    made.features = {at.features[0], size.h, size.w};
  }
  made.layer = construct<Upsample>(p, "Upsample", text, valid ? Expect::works : Expect::throws, o, o);
  return made;
}

template <class L>
Made pool(Program& p, const Place& at, const char* name, bool spikes) {
  typename L::Options o;
  o.kernel_size = draw_size(p, 1, 3);
  if (p.random.chance(0.4)) o.stride = draw_size(p, 1, 3);
  if (p.random.chance(0.3)) o.padding = Size2(o.kernel_size.h / 2, o.kernel_size.w / 2);
  if (p.random.chance(at.invalid)) o.padding = draw_size(p, 0, 5);
  if (p.random.chance(at.invalid)) o.kernel_size = draw_size(p, 0, 3);
  const Size2 stride = o.stride.value_or(o.kernel_size);
  const bool valid = in_ranges(o) && o.padding.h * 2 <= o.kernel_size.h && o.padding.w * 2 <= o.kernel_size.w;
  const std::string text = cat(name, "{", fields_text(o), "}");
  Made made{nullptr, text, at.features, spikes, valid};
  if (valid) {
    const std::size_t h = outputs(at.features[1], o.kernel_size.h, stride.h, o.padding.h, 1);
    const std::size_t w = outputs(at.features[2], o.kernel_size.w, stride.w, o.padding.w, 1);
    made.features = {at.features[0], h, w};
    made.fits = h > 0 && w > 0;
  }
  made.layer = construct<L>(p, name, text, valid ? Expect::works : Expect::throws, o, o);
  return made;
}

Made adaptive(Program& p, const Place& at) {
  AdaptiveAvgPool2dOptions o{.output_size = draw_size(p, p.random.chance(at.invalid) ? 0 : 1, 4)};
  const bool valid = in_ranges(o);
  const std::string text = cat("AdaptiveAvgPool2d{", fields_text(o), "}");
  Made made{nullptr, text, {at.features[0], o.output_size.h, o.output_size.w}, false, valid};
  made.layer = construct<AdaptiveAvgPool2d>(p, "AdaptiveAvgPool2d", text,
                                            valid ? Expect::works : Expect::throws, o, o);
  return made;
}

}  // namespace

Made draw_picture_layer(Program& p, const Place& at) {
  Place here = at;
  // A network's pictures get smaller; where one is used up, a layer that does not fit is left out.
  for (;;) {
    Made made;
    switch (p.random.below(8)) {
      case 0: made = pool<MaxPool2d>(p, here, "MaxPool2d", here.spikes); break;
      case 1: made = pool<AvgPool2d>(p, here, "AvgPool2d", false); break;
      case 2: made = adaptive(p, here); break;
      case 3: made = upsample(p, here); break;
      case 4: made = conv<ConvTranspose2dOptions>(p, here, "ConvTranspose2d"); break;
      default: made = conv<Conv2dOptions>(p, here, "Conv2d");
    }
    if (made.fits || here.invalid > 0) return made;
  }
}

Made draw_line_layer(Program& p, const Place& at) {
  for (;;) {
    Made made = p.random.chance(0.7) ? conv<Conv1dOptions>(p, at, "Conv1d")
                                     : conv<ConvTranspose1dOptions>(p, at, "ConvTranspose1d");
    if (made.fits || at.invalid > 0) return made;
  }
}

}  // namespace volley::test

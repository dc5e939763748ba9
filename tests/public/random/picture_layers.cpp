#include <utility>

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

Made conv(Program& p, const Place& at) {
  Conv2dOptions o{.in_channels = at.features[0],
                  .out_channels = p.random.one_of<std::size_t>({1, 2, 4, 8, 17, 32}),
                  .kernel_size = p.random.chance(0.5) ? Size2(3) : draw_size(p, 1, 4),
                  .stride = p.random.chance(0.6) ? Size2(1) : draw_size(p, 1, 3),
                  .padding = draw_size(p, 0, 2),
                  .dilation = p.random.chance(0.8) ? Size2(1) : draw_size(p, 1, 2),
                  .bias = p.random.chance(0.5)};
  const auto divides = [&](std::size_t groups) {
    return groups > 0 && o.in_channels % groups == 0 && o.out_channels % groups == 0;
  };
  for (const std::size_t groups : {2u, 4u})
    if (divides(groups) && p.random.chance(0.3)) o.groups = groups;
  if (p.random.chance(at.invalid)) o.in_channels = p.random.below(5);
  if (p.random.chance(at.invalid)) o.groups = p.random.below(4);
  if (p.random.chance(at.invalid)) o.stride.w = 0;
  if (p.random.chance(at.invalid)) o.kernel_size = draw_size(p, 0, 12);
  if (p.random.chance(at.invalid)) o.padding.h = static_cast<std::size_t>(-1) / 2;
  const bool valid = in_ranges(o) && divides(o.groups);
  const std::string text = cat("Conv2d{", fields_text(o), "}");
  Made made{nullptr, text, at.features, false, valid && o.in_channels == at.features[0]};
  if (valid) {
    const auto side = [&](std::size_t i) {
      const auto of = [&](const Size2& size) { return i == 0 ? size.h : size.w; };
      return outputs(at.features[i + 1], of(o.kernel_size), of(o.stride), of(o.padding), of(o.dilation));
    };
    made.features = {o.out_channels, side(0), side(1)};
    made.fits = made.fits && side(0) > 0 && side(1) > 0;
  }
  made.layer = construct<Conv2d>(p, "Conv2d", text, valid ? Expect::works : Expect::throws, o, o);
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
    switch (p.random.below(6)) {
      case 0: made = pool<MaxPool2d>(p, here, "MaxPool2d", here.spikes); break;
      case 1: made = pool<AvgPool2d>(p, here, "AvgPool2d", false); break;
      case 2: made = adaptive(p, here); break;
      default: made = conv(p, here);
    }
    if (made.fits || here.invalid > 0) return made;
  }
}

}  // namespace volley::test

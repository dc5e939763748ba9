#include <volley/conv.hpp>
#include <volley/pool.hpp>
#include <volley/upsample.hpp>

#include <nanobind/stl/pair.h>

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "module.hpp"

namespace volley::python {
namespace {

using Pair = std::pair<std::size_t, std::size_t>;
using SizeArgument = std::variant<std::size_t, Pair>;

Size2 size_from(const SizeArgument& size) {
  if (const Pair* pair = std::get_if<Pair>(&size)) return {pair->first, pair->second};
  return std::get<std::size_t>(size);
}

std::optional<Size2> size_from(const std::optional<SizeArgument>& size) {
  return size.has_value() ? std::optional(size_from(*size)) : std::nullopt;
}

template <class Size>
using ArgumentOf = std::conditional_t<std::is_same_v<Size, Size2>, SizeArgument, std::size_t>;

std::size_t size_from(std::size_t size) { return size; }

std::size_t shown(std::size_t size) { return size; }
Pair shown(const Size2& size) { return {size.h, size.w}; }

/// A read-only property, an int or (height, width), for a field of options().
template <auto member, class Class>
void size_option(Class& bound, const char* name) {
  using Type = typename Class::Type;
  bound.def_prop_ro(name, [](const Type& self) { return shown(self.options().*member); });
}

template <class Options, class Class>
void conv_options(Class& conv, const char* name) {
  conv.def("__repr__", [name](const ConvolutionOf<Options>& self) { return repr_of(name, self.options()); });
  option<&Options::in_channels>(conv, "in_channels");
  option<&Options::out_channels>(conv, "out_channels");
  size_option<&Options::kernel_size>(conv, "kernel_size");
  size_option<&Options::stride>(conv, "stride");
  size_option<&Options::padding>(conv, "padding");
  size_option<&Options::dilation>(conv, "dilation");
  option<&Options::groups>(conv, "groups");
}

template <class Options>
void bind_conv(nb::module_& m, const char* name, const char* doc) {
  using Conv = ConvolutionOf<Options>;
  using Argument = ArgumentOf<decltype(Options::kernel_size)>;
  auto conv = nb::class_<Conv, Layer>(m, name, doc);
  conv.def(
      "__init__",
      [](Conv* self, std::size_t in, std::size_t out, const Argument& kernel_size, const Argument& stride,
         const Argument& padding, const Argument& dilation, std::size_t groups, bool bias) {
        new (self) Conv(in, out, size_from(kernel_size),
                        {.stride = size_from(stride),
                         .padding = size_from(padding),
                         .dilation = size_from(dilation),
                         .groups = groups,
                         .bias = bias});
      },
      nb::arg("in_channels"), nb::arg("out_channels"), nb::arg("kernel_size"), nb::arg("stride") = 1,
      nb::arg("padding") = 0, nb::arg("dilation") = 1, nb::arg("groups") = 1, nb::arg("bias") = true);
  conv_options<Options>(conv, name);
}

/// The arguments are in PyTorch's order, where dilation is the last.
template <class Options>
void bind_conv_transpose(nb::module_& m, const char* name, const char* doc) {
  using Conv = ConvolutionOf<Options>;
  using Argument = ArgumentOf<decltype(Options::kernel_size)>;
  auto conv = nb::class_<Conv, Layer>(m, name, doc);
  conv.def(
      "__init__",
      [](Conv* self, std::size_t in, std::size_t out, const Argument& kernel_size, const Argument& stride,
         const Argument& padding, const Argument& output_padding, std::size_t groups, bool bias,
         const Argument& dilation) {
        new (self) Conv(in, out, size_from(kernel_size),
                        {.stride = size_from(stride),
                         .padding = size_from(padding),
                         .output_padding = size_from(output_padding),
                         .dilation = size_from(dilation),
                         .groups = groups,
                         .bias = bias});
      },
      nb::arg("in_channels"), nb::arg("out_channels"), nb::arg("kernel_size"), nb::arg("stride") = 1,
      nb::arg("padding") = 0, nb::arg("output_padding") = 0, nb::arg("groups") = 1, nb::arg("bias") = true,
      nb::arg("dilation") = 1);
  conv_options<Options>(conv, name);
  size_option<&Options::output_padding>(conv, "output_padding");
}

void bind_convs(nb::module_& m) {
  bind_conv<Conv1dOptions>(
      m, "Conv1d",
      "PyTorch's Conv1d on whole passes: (T, N, in_channels, L), spikes or float32 -> (T, N, out_channels, "
      "L') float32.\n\n"
      "Parameters: weight (out_channels, in_channels / groups, kernel_size), bias (out_channels), drawn as "
      "PyTorch draws\nthem; from seed 0 until initialize() draws others.");
  bind_conv<Conv2dOptions>(
      m, "Conv2d",
      "PyTorch's Conv2d on whole passes: (T, N, in_channels, H, W), spikes or float32 -> (T, N, "
      "out_channels, "
      "H', W')\nfloat32.\n\n"
      "Parameters: weight (out_channels, in_channels / groups, *kernel_size), bias (out_channels), drawn as "
      "PyTorch\ndraws them; from seed 0 until initialize() draws others. Sizes are one int, or (height, "
      "width).");
  bind_conv_transpose<ConvTranspose1dOptions>(
      m, "ConvTranspose1d",
      "PyTorch's ConvTranspose1d on whole passes: (T, N, in_channels, L), spikes or float32 -> (T, N, "
      "out_channels, L')\nfloat32.\n\n"
      "Parameters: weight (in_channels, out_channels / groups, kernel_size), bias (out_channels), drawn as "
      "PyTorch draws\nthem; from seed 0 until initialize() draws others.");
  bind_conv_transpose<ConvTranspose2dOptions>(
      m, "ConvTranspose2d",
      "PyTorch's ConvTranspose2d on whole passes: (T, N, in_channels, H, W), spikes or float32 -> (T, N, "
      "out_channels,\nH', W') float32.\n\n"
      "Parameters: weight (in_channels, out_channels / groups, *kernel_size), bias (out_channels), drawn as "
      "PyTorch\ndraws them; from seed 0 until initialize() draws others. Sizes are one int, or (height, "
      "width).");
}

void bind_upsample(nb::module_& m) {
  auto upsample = nb::class_<Upsample, Layer>(
      m, "Upsample",
      "PyTorch's Upsample on whole passes: (T, N, C, H, W), spikes or float32 -> (T, N, C, H', W'). Exactly "
      "one of size,\nthe height and width of the output, and scale_factor, integers, is given. mode: "
      "'nearest', which gives spikes for\nspikes, or 'bilinear'. align_corners: whether the corners of input "
      "and output are the same pixels.");
  upsample
      .def(
          "__init__",
          [](Upsample* self, const std::optional<SizeArgument>& size,
             const std::optional<SizeArgument>& scale_factor, const std::string& mode, bool align_corners) {
            new (self) Upsample({.size = size_from(size),
                                 .scale_factor = size_from(scale_factor),
                                 .mode = choice_from<UpsampleMode>("upsample", "mode", mode),
                                 .align_corners = align_corners});
          },
          nb::arg("size").none() = nb::none(), nb::arg("scale_factor").none() = nb::none(),
          nb::arg("mode") = "nearest", nb::arg("align_corners") = false)
      .def("__repr__", [](const Upsample& self) { return repr_of("Upsample", self.options()); });
  option<&UpsampleOptions::align_corners>(upsample, "align_corners");
}

template <class Pool>
void bind_pool(nb::module_& m, const char* name, const char* doc) {
  auto pool = nb::class_<Pool, Layer>(m, name, doc);
  pool.def(
          "__init__",
          [](Pool* self, const SizeArgument& kernel_size, const std::optional<SizeArgument>& stride,
             const SizeArgument& padding) {
            new (self)
                Pool(size_from(kernel_size), {.stride = size_from(stride), .padding = size_from(padding)});
          },
          nb::arg("kernel_size"), nb::arg("stride").none() = nb::none(), nb::arg("padding") = 0)
      .def("__repr__", [name](const Pool& self) { return repr_of(name, self.options()); });
  size_option<&Pool::Options::kernel_size>(pool, "kernel_size");
  size_option<&Pool::Options::padding>(pool, "padding");
}

}  // namespace

void bind_conv_and_pools(nb::module_& m) {
  bind_convs(m);
  bind_upsample(m);
  bind_pool<MaxPool2d>(m, "MaxPool2d",
                       "PyTorch's MaxPool2d on whole passes: (T, N, C, H, W) -> (T, N, C, H', W'). Of spikes "
                       "it is their OR, and\n"
                       "spikes again. stride None is kernel_size.");
  bind_pool<AvgPool2d>(
      m, "AvgPool2d",
      "PyTorch's AvgPool2d on whole passes: (T, N, C, H, W), spikes or float32 -> (T, N, C, H', W') float32. "
      "stride\nNone is kernel_size; padding counts as zeros.");
  auto adaptive = nb::class_<AdaptiveAvgPool2d, Layer>(
      m, "AdaptiveAvgPool2d",
      "PyTorch's AdaptiveAvgPool2d on whole passes: (T, N, C, H, W), spikes or float32 -> (T, N, C, "
      "*output_size)\nfloat32.");
  adaptive
      .def(
          "__init__",
          [](AdaptiveAvgPool2d* self, const SizeArgument& output_size) {
            new (self) AdaptiveAvgPool2d(size_from(output_size));
          },
          nb::arg("output_size"))
      .def("__repr__",
           [](const AdaptiveAvgPool2d& self) { return repr_of("AdaptiveAvgPool2d", self.options()); });
  size_option<&AdaptiveAvgPool2dOptions::output_size>(adaptive, "output_size");
}

}  // namespace volley::python

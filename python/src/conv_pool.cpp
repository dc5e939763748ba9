#include <volley/conv.hpp>
#include <volley/pool.hpp>

#include <nanobind/stl/pair.h>

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

/// A read-only property (height, width) for a field of options().
template <auto member, class Class>
void size_option(Class& bound, const char* name) {
  using Type = typename Class::Type;
  bound.def_prop_ro(name, [](const Type& self) {
    const Size2 size = self.options().*member;
    return Pair{size.h, size.w};
  });
}

void bind_conv(nb::module_& m) {
  auto conv = nb::class_<Conv2d, Layer>(
      m, "Conv2d",
      "PyTorch's Conv2d on whole passes: (T, N, in_channels, H, W), spikes or float32 -> (T, N, "
      "out_channels, "
      "H', W')\nfloat32.\n\n"
      "Parameters: weight (out_channels, in_channels / groups, *kernel_size), bias (out_channels), drawn as "
      "PyTorch\ndraws them; from seed 0 until initialize() draws anew. Sizes are one int, or (height, "
      "width).");
  conv.def(
          "__init__",
          [](Conv2d* self, std::size_t in, std::size_t out, const SizeArgument& kernel_size,
             const SizeArgument& stride, const SizeArgument& padding, const SizeArgument& dilation,
             std::size_t groups, bool bias) {
            new (self) Conv2d(in, out, size_from(kernel_size),
                              {.stride = size_from(stride),
                               .padding = size_from(padding),
                               .dilation = size_from(dilation),
                               .groups = groups,
                               .bias = bias});
          },
          nb::arg("in_channels"), nb::arg("out_channels"), nb::arg("kernel_size"), nb::arg("stride") = 1,
          nb::arg("padding") = 0, nb::arg("dilation") = 1, nb::arg("groups") = 1, nb::arg("bias") = true)
      .def("__repr__", [](const Conv2d& self) { return repr_of("Conv2d", self.options()); });
  option<&Conv2dOptions::in_channels>(conv, "in_channels");
  option<&Conv2dOptions::out_channels>(conv, "out_channels");
  size_option<&Conv2dOptions::kernel_size>(conv, "kernel_size");
  size_option<&Conv2dOptions::stride>(conv, "stride");
  size_option<&Conv2dOptions::padding>(conv, "padding");
  size_option<&Conv2dOptions::dilation>(conv, "dilation");
  option<&Conv2dOptions::groups>(conv, "groups");
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
  bind_conv(m);
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

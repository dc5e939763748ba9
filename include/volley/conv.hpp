#pragma once

#include <memory>
#include <string_view>

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/window.hpp>

namespace volley {

namespace detail {
/// The fields that convolutions share, and output_padding where there is one.
template <class Self, class Visit>
void conv_fields(Self& self, Visit&& visit) {
  visit("in_channels", self.in_channels, between(1, 1 << 20));
  visit("out_channels", self.out_channels, between(1, 1 << 20));
  visit("kernel_size", self.kernel_size, between(1, 1 << 12));
  visit("stride", self.stride, between(1, 1 << 12));
  visit("padding", self.padding, between(0, 1 << 12));
  if constexpr (requires { self.output_padding; }) {
    visit("output_padding", self.output_padding, between(0, 1 << 12));
  }
  visit("dilation", self.dilation, between(1, 1 << 12));
  visit("groups", self.groups, between(1, 1 << 20));
  visit("bias", self.bias, any());
}
}  // namespace detail

/// Fields of a convolution along one dimension; names and defaults are PyTorch's.
struct Conv1dOptions {
  static constexpr const char* kKind = "conv1d";

  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::size_t kernel_size = 0;
  std::size_t stride = 1;
  std::size_t padding = 0;
  std::size_t dilation = 1;
  std::size_t groups = 1;  // divides the channels, in and out; each group sees its own
  bool bias = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    detail::conv_fields(self, visit);
  }
};

/// Fields of a convolution of pictures; names and defaults are PyTorch's.
struct Conv2dOptions {
  static constexpr const char* kKind = "conv2d";

  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  Size2 kernel_size;
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;
  std::size_t groups = 1;  // divides the channels, in and out; each group sees its own
  bool bias = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    detail::conv_fields(self, visit);
  }
};

/// Fields of a transposed convolution along one dimension; names and defaults are PyTorch's.
struct ConvTranspose1dOptions {
  static constexpr const char* kKind = "conv_transpose1d";

  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::size_t kernel_size = 0;
  std::size_t stride = 1;
  std::size_t padding = 0;         // taken off the output, on each side
  std::size_t output_padding = 0;  // added to the output, at its end; less than stride or dilation
  std::size_t dilation = 1;
  std::size_t groups = 1;  // divides the channels, in and out; each group sees its own
  bool bias = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    detail::conv_fields(self, visit);
  }
};

/// Fields of a transposed convolution of pictures; names and defaults are PyTorch's.
struct ConvTranspose2dOptions {
  static constexpr const char* kKind = "conv_transpose2d";

  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  Size2 kernel_size;
  Size2 stride = 1;
  Size2 padding = 0;         // taken off the output, on each side
  Size2 output_padding = 0;  // added to the output, below and to the right; less than stride or dilation
  Size2 dilation = 1;
  std::size_t groups = 1;  // divides the channels, in and out; each group sees its own
  bool bias = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    detail::conv_fields(self, visit);
  }
};

namespace detail {
/// What the options of any convolution say. Along one dimension it is a convolution of pictures of height 1.
struct ConvSizes {
  std::size_t in = 0;
  std::size_t out = 0;
  std::size_t groups = 1;
  Window window;
  Size2 output_padding = 0;
  bool bias = true;
  bool transposed = false;
  bool pictures = true;  // whether features are (C, H, W) rather than (C, L)
};
ConvSizes conv_sizes(const Conv1dOptions& options);
ConvSizes conv_sizes(const Conv2dOptions& options);
ConvSizes conv_sizes(const ConvTranspose1dOptions& options);
ConvSizes conv_sizes(const ConvTranspose2dOptions& options);
}  // namespace detail

/// A convolution or its adjoint, the transposed convolution: (N, T, in_channels, H, W), spikes or real values
/// -> (N, T, out_channels, H', W'), real-valued and channels-last; along one dimension (N, T, in_channels, L)
/// -> (N, T, out_channels, L'). A convolution is a cross-correlation, as in PyTorch, and the sizes of the
/// output are PyTorch's. `weight` is (out_channels, in_channels / groups, kernel_size), transposed
/// (in_channels, out_channels / groups, kernel_size); it and `bias` (out_channels) are drawn from
/// U(-1/sqrt(n), 1/sqrt(n)), PyTorch's default, n being the size of weight[0]. The mathematics is in
/// docs/math/conv.md.
class Convolution : public Layer {
 public:
  Parameter& weight() {
    touch();
    return weight_;
  }
  /// Empty without the option `bias`.
  Parameter& bias() {
    touch();
    return bias_;
  }

  std::string_view kind() const final { return kind_; }
  Shape output_shape(const Shape& features) const final;
  std::size_t macs(const Shape& features) const final;

 protected:
  Convolution(const char* kind, const detail::ConvSizes& sizes);

 private:
  Form reads(const Shape& features) const final;
  Signal do_forward(const Signal& x, Tape& tape) const final;
  Signal do_backward(Tape& tape, const Signal& dy) final;
  std::vector<NamedParameter> own_parameters() final;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) final;
  bool reads_gradient_by_sample() const final { return true; }
  Shape weight_shape() const;
  void check_parameters() const;

  const char* kind_;
  detail::ConvSizes sizes_;
  Parameter weight_;
  Parameter bias_;
};

/// The convolution of its options: Conv2d is ConvolutionOf<Conv2dOptions>.
template <class OptionsType>
class ConvolutionOf final : public Convolution {
 public:
  using Options = OptionsType;

  explicit ConvolutionOf(const Options& options)
      : Convolution(Options::kKind, detail::conv_sizes(options)), options_(options) {}
  /// The first three fields apart, as PyTorch has them: Conv2d{1, 128, 3, {.padding = 1, .bias = false}}.
  ConvolutionOf(std::size_t in_channels, std::size_t out_channels, decltype(Options::kernel_size) kernel_size,
                Options options = {})
      : ConvolutionOf([&] {
          options.in_channels = in_channels;
          options.out_channels = out_channels;
          options.kernel_size = kernel_size;
          return options;
        }()) {}

  const Options& options() const { return options_; }

 private:
  std::unique_ptr<Layer> do_clone() const override { return std::make_unique<ConvolutionOf>(*this); }

  Options options_;
};

using Conv1d = ConvolutionOf<Conv1dOptions>;
using Conv2d = ConvolutionOf<Conv2dOptions>;
using ConvTranspose1d = ConvolutionOf<ConvTranspose1dOptions>;
using ConvTranspose2d = ConvolutionOf<ConvTranspose2dOptions>;

}  // namespace volley

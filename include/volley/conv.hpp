#pragma once

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/window.hpp>

namespace volley {

/// Fields of a convolution; names and defaults are PyTorch's.
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
    visit("in_channels", self.in_channels, between(1, 1 << 20));
    visit("out_channels", self.out_channels, between(1, 1 << 20));
    visit("kernel_size", self.kernel_size, between(1, 1 << 12));
    visit("stride", self.stride, between(1, 1 << 12));
    visit("padding", self.padding, between(0, 1 << 12));
    visit("dilation", self.dilation, between(1, 1 << 12));
    visit("groups", self.groups, between(1, 1 << 20));
    visit("bias", self.bias, any());
  }
};

/// A convolution (a cross-correlation, as in PyTorch): (N, T, in_channels, H, W), spikes or real values ->
/// (N, T, out_channels, H', W'), real-valued and channels-last, with PyTorch's H' and W' (Window::outputs).
/// `weight` (out_channels, in_channels / groups, kernel_size) and `bias` (out_channels) are drawn from
/// U(-1/sqrt(fan_in), 1/sqrt(fan_in)), fan_in being the inputs of one output, PyTorch's default. The
/// mathematics is in docs/math/conv.md.
class Conv2d final : public Layer {
 public:
  using Options = Conv2dOptions;

  explicit Conv2d(const Conv2dOptions& options);
  /// The first three fields apart, as PyTorch has them: Conv2d{1, 128, 3, {.padding = 1, .bias = false}}.
  Conv2d(std::size_t in_channels, std::size_t out_channels, const Size2& kernel_size,
         Conv2dOptions options = {});

  const Conv2dOptions& options() const { return options_; }
  Parameter& weight() {
    touch();
    return weight_;
  }
  Parameter& bias() {
    touch();
    return bias_;
  }

  std::string_view kind() const override { return Conv2dOptions::kKind; }
  Shape output_shape(const Shape& features) const override;
  std::size_t macs(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::vector<NamedParameter> own_parameters() override;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) override;
  std::unique_ptr<Layer> do_clone() const override { return std::make_unique<Conv2d>(*this); }
  void check_parameters() const;
  bool reads_gradient_by_sample() const override { return true; }

  Window window() const {
    return {options_.kernel_size, options_.stride, options_.padding, options_.dilation};
  }

  Conv2dOptions options_;
  Parameter weight_;
  Parameter bias_;
};

}  // namespace volley

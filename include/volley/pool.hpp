#pragma once

#include <optional>

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/window.hpp>

namespace volley {

/// Fields of a pool; names and defaults are PyTorch's. The padding is at most half the kernel.
struct MaxPool2dOptions {
  static constexpr const char* kKind = "max_pool2d";

  Size2 kernel_size;
  std::optional<Size2> stride;  // none: kernel_size
  Size2 padding = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kernel_size", self.kernel_size, between(1, 1 << 12));
    visit("stride", self.stride, between(1, 1 << 12));
    visit("padding", self.padding, between(0, 1 << 11));
  }
};

/// The highest value of each window, channel by channel: (N, T, C, H, W) -> (N, T, C, H', W'), channels-last.
/// Of spikes it is their OR, and spikes again. The gradient goes to the first of the highest, as in PyTorch:
/// of spikes, to the first that fired, or to the window's first position where none did.
class MaxPool2d final : public Layer {
 public:
  using Options = MaxPool2dOptions;

  explicit MaxPool2d(const MaxPool2dOptions& options);
  explicit MaxPool2d(const Size2& kernel_size, MaxPool2dOptions options = {});

  const MaxPool2dOptions& options() const { return options_; }
  std::string_view kind() const override { return MaxPool2dOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  MaxPool2dOptions options_;
};

/// The same fields.
struct AvgPool2dOptions {
  static constexpr const char* kKind = "avg_pool2d";

  Size2 kernel_size;
  std::optional<Size2> stride;  // none: kernel_size
  Size2 padding = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    MaxPool2dOptions::fields(self, visit);
  }
};

/// The mean of each window, channel by channel, padding counting as zeros: (N, T, C, H, W), spikes or real
/// values -> (N, T, C, H', W'), real-valued and channels-last.
class AvgPool2d final : public Layer {
 public:
  using Options = AvgPool2dOptions;

  explicit AvgPool2d(const AvgPool2dOptions& options);
  explicit AvgPool2d(const Size2& kernel_size, AvgPool2dOptions options = {});

  const AvgPool2dOptions& options() const { return options_; }
  std::string_view kind() const override { return AvgPool2dOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  AvgPool2dOptions options_;
};

/// Fields of the pool whose output has a given size.
struct AdaptiveAvgPool2dOptions {
  static constexpr const char* kKind = "adaptive_avg_pool2d";

  Size2 output_size;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("output_size", self.output_size, between(1, 1 << 12));
  }
};

/// The mean of each of output_size windows that cover the picture as evenly as they can: output i of H' looks
/// at the rows from i H / H', rounded down, to (i + 1) H / H', rounded up. (N, T, C, H, W), spikes or real
/// values -> (N, T, C, H', W'), real-valued and channels-last.
class AdaptiveAvgPool2d final : public Layer {
 public:
  using Options = AdaptiveAvgPool2dOptions;

  explicit AdaptiveAvgPool2d(const AdaptiveAvgPool2dOptions& options);
  explicit AdaptiveAvgPool2d(const Size2& output_size);

  const AdaptiveAvgPool2dOptions& options() const { return options_; }
  std::string_view kind() const override { return AdaptiveAvgPool2dOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  AdaptiveAvgPool2dOptions options_;
};

}  // namespace volley

#pragma once

#include <optional>

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/window.hpp>

namespace volley {

/// What an output pixel of Upsample is made from.
enum class UpsampleMode {
  nearest,   // the one pixel that is nearest, rounded down
  bilinear,  // the four pixels around it
};

/// Fields of Upsample. Names and defaults are PyTorch's; a scale factor is an integer.
struct UpsampleOptions {
  static constexpr const char* kKind = "upsample";

  std::optional<Size2> size;  // of the output; none: scale_factor says it. Exactly one of the two is given
  std::optional<Size2> scale_factor;  // by how much the output is higher and wider
  UpsampleMode mode = UpsampleMode::nearest;
  bool align_corners = false;  // bilinear: whether the corners of input and output are the same pixels

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("size", self.size, between(1, 1 << 12));
    visit("scale_factor", self.scale_factor, between(1, 1 << 12));
    visit("mode", self.mode, any());
    visit("align_corners", self.align_corners, any());
  }
};

/// PyTorch's Upsample of pictures: (N, T, C, H, W), spikes or real values -> (N, T, C, H', W'),
/// channels-last. The nearest of spikes are spikes; bilinear values are real. The mathematics is in
/// docs/math/upsample.md.
class Upsample final : public Layer {
 public:
  using Options = UpsampleOptions;

  explicit Upsample(const UpsampleOptions& options);

  const UpsampleOptions& options() const { return options_; }
  std::string_view kind() const override { return UpsampleOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  UpsampleOptions options_;
};

}  // namespace volley

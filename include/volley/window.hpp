#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include <volley/tensor.hpp>

namespace volley {

/// A height and a width: of a picture, a kernel, a stride. One number stands for both. In a recipe 3 or [3,
/// 5], in Python 3 or (3, 5).
struct Size2 {
  std::size_t h = 0;
  std::size_t w = 0;

  constexpr Size2() = default;
  constexpr Size2(std::size_t both) : h(both), w(both) {}
  constexpr Size2(std::size_t height, std::size_t width) : h(height), w(width) {}
  friend bool operator==(const Size2&, const Size2&) = default;

  std::size_t area() const { return h * w; }
  /// "(3, 5)"
  std::string text() const;
};

/// A window that slides over a picture (H, W), as PyTorch has it: `padding` rows and columns on each side,
/// the rows of the window `dilation` apart, a move of `stride` from one output to the next.
struct Window {
  Size2 kernel_size;
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;

  /// Rows and columns from the first to the last of the window.
  Size2 extent() const {
    return {dilation.h * (kernel_size.h - 1) + 1, dilation.w * (kernel_size.w - 1) + 1};
  }
  /// Outputs on a picture that is, padded, no smaller than extent(); kernel_size, stride >= 1.
  Size2 outputs(const Size2& picture) const {
    return {(picture.h + 2 * padding.h - extent().h) / stride.h + 1,
            (picture.w + 2 * padding.w - extent().w) / stride.w + 1};
  }
  /// The same, for features (C, H, W) that a layer is given. Throws ArgumentError where a size is 0, and
  /// ShapeError when the window does not fit into the picture.
  Size2 check_outputs(std::string_view kind, const Shape& features) const;
};

/// Throws Error("[kind] ...") unless the features are (C, H, W), none of them 0.
void check_picture(std::string_view kind, const Shape& features);

}  // namespace volley

#pragma once

#include <cstddef>

#include <volley/window.hpp>

namespace volley::spec {

// One picture, row-major: x (in, H, W), y (out, H', W'), weight (out, in / groups, kh, kw). Gradients of
// parameters are sums over the pictures of one block of samples; core/tree_sum.hpp joins the blocks. Equation
// numbers are those of docs/math/conv.md.

struct Conv2dShape {
  std::size_t in, out, groups;
  Size2 picture;  // H, W
  Window window;

  Size2 outputs() const { return window.outputs(picture); }
  /// Which channel of its group weight w is multiplied by.
  std::size_t channel_of(std::size_t w) const { return w / window.kernel_size.area() % (in / groups); }

  /// Calls body(y, x, w) with the indices of every output, input and weight that meet: outputs in order, and
  /// for each the taps of the window, row by row, and for each tap the channels, ascending.
  template <class Body>
  void for_each(const Body& body) const {
    const Size2 outputs = window.outputs(picture), k = window.kernel_size;
    const std::size_t group_in = in / groups, group_out = out / groups;
    for (std::size_t o = 0; o < out; ++o) {
      for (std::size_t p = 0; p < outputs.area(); ++p) {
        for (std::size_t tap = 0; tap < k.area(); ++tap) {
          // (C1) From the padded picture's corner; below padding, or beyond the picture, there is nothing.
          const std::size_t r = p / outputs.w * window.stride.h + tap / k.w * window.dilation.h;
          const std::size_t c = p % outputs.w * window.stride.w + tap % k.w * window.dilation.w;
          if (r < window.padding.h || r - window.padding.h >= picture.h) continue;
          if (c < window.padding.w || c - window.padding.w >= picture.w) continue;
          for (std::size_t i = 0; i < group_in; ++i) {
            const std::size_t channel = o / group_out * group_in + i;
            body(o * outputs.area() + p,
                 (channel * picture.h + r - window.padding.h) * picture.w + c - window.padding.w,
                 (o * group_in + i) * k.area() + tap);
          }
        }
      }
    }
  }
};

/// The transposed convolution: x (in, H, W), y (out, H', W'), weight (in, out / groups, kh, kw). All
/// functions below take either.
struct ConvTranspose2dShape {
  std::size_t in, out, groups;
  Size2 picture;  // H, W
  Window window;  // of the convolution that maps y to x
  Size2 output_padding = 0;

  /// (C10)
  Size2 outputs() const {
    return {(picture.h - 1) * window.stride.h + window.extent().h + output_padding.h - 2 * window.padding.h,
            (picture.w - 1) * window.stride.w + window.extent().w + output_padding.w - 2 * window.padding.w};
  }
  std::size_t channel_of(std::size_t w) const {
    return w / window.kernel_size.area() / (out / groups) % (in / groups);
  }

  /// (C11) As Conv2dShape::for_each: outputs in order, for each the taps, row by row, for each tap the
  /// channels.
  template <class Body>
  void for_each(const Body& body) const {
    const Size2 ys = outputs(), k = window.kernel_size;
    const std::size_t group_in = in / groups, group_out = out / groups;
    for (std::size_t o = 0; o < out; ++o) {
      for (std::size_t p = 0; p < ys.area(); ++p) {
        for (std::size_t tap = 0; tap < k.area(); ++tap) {
          // The input whose window has this output at the tap, if there is one.
          const std::size_t down = p / ys.w + window.padding.h, right = p % ys.w + window.padding.w;
          const std::size_t from_r = tap / k.w * window.dilation.h, from_c = tap % k.w * window.dilation.w;
          if (down < from_r || (down - from_r) % window.stride.h != 0) continue;
          if (right < from_c || (right - from_c) % window.stride.w != 0) continue;
          const std::size_t r = (down - from_r) / window.stride.h, c = (right - from_c) / window.stride.w;
          if (r >= picture.h || c >= picture.w) continue;
          for (std::size_t i = 0; i < group_in; ++i) {
            const std::size_t channel = o / group_out * group_in + i;
            body(o * ys.area() + p, (channel * picture.h + r) * picture.w + c,
                 (channel * group_out + o % group_out) * k.area() + tap);
          }
        }
      }
    }
  }
};

/// (C2) y from x; bias (out) or null. The sum begins with the bias.
template <class Real, class ConvShape>
void conv2d_forward(Real* y, const Real* x, const Real* weight, const Real* bias, const ConvShape& shape) {
  const std::size_t P = shape.outputs().area();
  for (std::size_t i = 0; i < shape.out * P; ++i) y[i] = bias != nullptr ? bias[i / P] : Real(0);
  shape.for_each([&](std::size_t o, std::size_t i, std::size_t w) { y[o] += weight[w] * x[i]; });
}

/// (C2) for spikes x: four channels of a tap at a time, each group of four summed by itself. Fours are
/// counted within a group of channels.
template <class Real, class ConvShape>
void conv2d_forward_by_fours(Real* y, const Real* x, const Real* weight, const Real* bias,
                             const ConvShape& shape) {
  const std::size_t P = shape.outputs().area();
  const std::size_t group_in = shape.in / shape.groups;
  for (std::size_t i = 0; i < shape.out * P; ++i) y[i] = bias != nullptr ? bias[i / P] : Real(0);
  Real four = 0;
  shape.for_each([&](std::size_t o, std::size_t i, std::size_t w) {
    const std::size_t channel = shape.channel_of(w);
    if (channel % 4 == 0) four = 0;
    if (x[i] != Real(0)) four += weight[w];
    if (channel % 4 == 3 || channel + 1 == group_in) y[o] += four;
  });
}

/// (C3) dx from dy.
template <class Real, class ConvShape>
void conv2d_input_gradient(Real* dx, const Real* dy, const Real* weight, const ConvShape& shape) {
  for (std::size_t i = 0; i < shape.in * shape.picture.area(); ++i) dx[i] = 0;
  shape.for_each([&](std::size_t o, std::size_t i, std::size_t w) { dx[i] += weight[w] * dy[o]; });
}

/// (C4) dweight += the sum over this picture, positions ascending.
template <class Real, class ConvShape>
void conv2d_weight_gradient(Real* dweight, const Real* dy, const Real* x, const ConvShape& shape) {
  shape.for_each([&](std::size_t o, std::size_t i, std::size_t w) { dweight[w] += dy[o] * x[i]; });
}

/// (C6) dweight += the sum over T pictures of spikes, x (T, in, H, W), four at a time: at each position the
/// group of four is summed by itself, as a table of the 16 subset sums gives it. Positions ascend within a
/// group.
template <class Real, class ConvShape>
void conv2d_weight_gradient_by_fours(Real* dweight, const Real* dy, const Real* x, std::size_t T,
                                     const ConvShape& shape) {
  const std::size_t x_size = shape.in * shape.picture.area();
  const std::size_t y_size = shape.out * shape.outputs().area();
  for (std::size_t first = 0; first < T; first += 4) {
    shape.for_each([&](std::size_t o, std::size_t i, std::size_t w) {
      Real group = 0;
      for (std::size_t t = first; t < T && t < first + 4; ++t) {
        if (x[t * x_size + i] != Real(0)) group += dy[t * y_size + o];
      }
      dweight[w] += group;
    });
  }
}

/// (C5) dbias (out) += the sum over this picture, positions ascending.
template <class Real, class ConvShape>
void conv2d_bias_gradient(Real* dbias, const Real* dy, const ConvShape& shape) {
  const std::size_t P = shape.outputs().area();
  for (std::size_t i = 0; i < shape.out * P; ++i) dbias[i / P] += dy[i];
}

}  // namespace volley::spec

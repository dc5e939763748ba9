#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <volley/window.hpp>

namespace volley::spec {

// Upsampling of one picture, row-major: x (C, H, W), y (C, H', W'). Places are found in float, as PyTorch
// finds them. Equation numbers are those of docs/math/upsample.md.

/// (M5) The place of `size` that output q of `outputs` takes.
inline std::size_t nearest_place(std::size_t q, std::size_t size, std::size_t outputs) {
  const float scale = static_cast<float>(size) / static_cast<float>(outputs);
  return std::min(static_cast<std::size_t>(std::floor(static_cast<float>(q) * scale)), size - 1);
}

/// (M7) Between which places of `size` output q of `outputs` lies; `share` is the part of the higher one.
struct LinearPlace {
  std::size_t low, high;
  float share;
};
inline LinearPlace linear_place(std::size_t q, std::size_t size, std::size_t outputs, bool align_corners) {
  if (size == outputs) return {q, q, 0};
  float at = 0;
  if (!align_corners) {
    const float scale = static_cast<float>(size) / static_cast<float>(outputs);
    at = std::max(scale * (static_cast<float>(q) + 0.5f) - 0.5f, 0.0f);
  } else if (outputs > 1) {
    at = static_cast<float>(size - 1) / static_cast<float>(outputs - 1) * static_cast<float>(q);
  }
  const std::size_t low = std::min(static_cast<std::size_t>(std::floor(at)), size - 1);
  return {low, low + (low + 1 < size), std::clamp(at - static_cast<float>(low), 0.0f, 1.0f)};
}

/// (M8) The four places that an output sees, and what each is multiplied by.
struct FourPlaces {
  std::size_t place[4];
  float share[4];
};
inline FourPlaces four_places(std::size_t position, const Size2& picture, const Size2& outputs,
                              bool align_corners) {
  const LinearPlace r = linear_place(position / outputs.w, picture.h, outputs.h, align_corners);
  const LinearPlace c = linear_place(position % outputs.w, picture.w, outputs.w, align_corners);
  return {
      {r.low * picture.w + c.low, r.low * picture.w + c.high, r.high * picture.w + c.low,
       r.high * picture.w + c.high},
      {(1 - r.share) * (1 - c.share), (1 - r.share) * c.share, r.share * (1 - c.share), r.share * c.share}};
}

/// (M5)
template <class Real>
void upsample_nearest_forward(Real* y, const Real* x, std::size_t C, const Size2& picture,
                              const Size2& outputs) {
  for (std::size_t i = 0; i < C * outputs.area(); ++i) {
    const std::size_t q = i % outputs.area();
    y[i] = x[i / outputs.area() * picture.area() +
             nearest_place(q / outputs.w, picture.h, outputs.h) * picture.w +
             nearest_place(q % outputs.w, picture.w, outputs.w)];
  }
}

/// (M6) dx from dy; outputs ascending.
template <class Real>
void upsample_nearest_backward(Real* dx, const Real* dy, std::size_t C, const Size2& picture,
                               const Size2& outputs) {
  std::fill_n(dx, C * picture.area(), Real(0));
  for (std::size_t i = 0; i < C * outputs.area(); ++i) {
    const std::size_t q = i % outputs.area();
    dx[i / outputs.area() * picture.area() + nearest_place(q / outputs.w, picture.h, outputs.h) * picture.w +
       nearest_place(q % outputs.w, picture.w, outputs.w)] += dy[i];
  }
}

/// (M8) Places in order, each after the first by a fused multiply-add.
template <class Real>
void upsample_bilinear_forward(Real* y, const Real* x, std::size_t C, const Size2& picture,
                               const Size2& outputs, bool align_corners) {
  for (std::size_t i = 0; i < C * outputs.area(); ++i) {
    const FourPlaces from = four_places(i % outputs.area(), picture, outputs, align_corners);
    const Real* channel = x + i / outputs.area() * picture.area();
    y[i] = static_cast<Real>(from.share[0]) * channel[from.place[0]];
    for (std::size_t k = 1; k < 4; ++k)
      y[i] = std::fma(static_cast<Real>(from.share[k]), channel[from.place[k]], y[i]);
  }
}

/// (M9) dx from dy; outputs ascending, for each the places in order.
template <class Real>
void upsample_bilinear_backward(Real* dx, const Real* dy, std::size_t C, const Size2& picture,
                                const Size2& outputs, bool align_corners) {
  std::fill_n(dx, C * picture.area(), Real(0));
  for (std::size_t i = 0; i < C * outputs.area(); ++i) {
    const FourPlaces to = four_places(i % outputs.area(), picture, outputs, align_corners);
    Real* channel = dx + i / outputs.area() * picture.area();
    for (std::size_t k = 0; k < 4; ++k) channel[to.place[k]] += static_cast<Real>(to.share[k]) * dy[i];
  }
}

}  // namespace volley::spec

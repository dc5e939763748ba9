#include "layers/taps.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace volley {
namespace {

using ops::kOutside;

/// (C1) The place that tap `tap` of output `out` sees along one dimension, or kOutside.
std::int32_t seen(std::size_t out, std::size_t tap, std::size_t stride, std::size_t padding,
                  std::size_t dilation, std::size_t size) {
  const std::size_t place = out * stride + tap * dilation;
  return place >= padding && place - padding < size ? static_cast<std::int32_t>(place - padding) : kOutside;
}

/// The output that sees `place` with `tap`, or kOutside.
std::int32_t seeing(std::size_t place, std::size_t tap, std::size_t stride, std::size_t padding,
                    std::size_t dilation, std::size_t outputs) {
  const std::size_t from = tap * dilation;
  if (place + padding < from || (place + padding - from) % stride != 0) return kOutside;
  const std::size_t out = (place + padding - from) / stride;
  return out < outputs ? static_cast<std::int32_t>(out) : kOutside;
}

std::int32_t position(std::int32_t row, std::int32_t column, std::size_t width) {
  return row == kOutside || column == kOutside ? kOutside : row * static_cast<std::int32_t>(width) + column;
}

/// Where window i of `outputs` begins, and where it ends, on `size` places.
std::size_t adaptive_begin(std::size_t i, std::size_t size, std::size_t outputs) {
  return i * size / outputs;
}
std::size_t adaptive_end(std::size_t i, std::size_t size, std::size_t outputs) {
  return ((i + 1) * size + outputs - 1) / outputs;
}

/// (M5) of docs/math/upsample.md: the place of `size` that output q of `outputs` takes. Places are found in
/// float, as PyTorch finds them.
std::size_t nearest_place(std::size_t q, std::size_t size, std::size_t outputs) {
  const float scale = static_cast<float>(size) / static_cast<float>(outputs);
  return std::min(static_cast<std::size_t>(std::floor(static_cast<float>(q) * scale)), size - 1);
}

/// (M7) Between which places of `size` output q of `outputs` lies; `share` is the part of the higher one.
struct LinearPlace {
  std::size_t low, high;
  float share;
};
LinearPlace linear_place(std::size_t q, std::size_t size, std::size_t outputs, bool align_corners) {
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

}  // namespace

bool TapTable::begin(const Key& key) {
  if (key == key_) return false;
  key_ = {};
  begun_ = key;
  return true;
}

std::int32_t* TapTable::make(std::size_t positions, std::size_t taps) {
  positions_ = positions;
  taps_ = taps;
  index_.resize(positions * taps);
  return index_.data();
}

void TapTable::finish(const Size2& picture) {
  std::vector<std::size_t> looks(picture.area());  // how many taps look at each place
  for (const std::int32_t q : index_.span()) {
    if (q != kOutside) ++looks[static_cast<std::size_t>(q)];
  }
  partition_ = std::ranges::all_of(looks, [](std::size_t count) { return count == 1; });
  key_ = begun_;
}

void TapTable::window(TapTable& table, const Window& window, const Size2& picture, const Size2& outputs) {
  if (!table.begin(key_of(Kind::window, window, picture, outputs))) return;
  const Size2 k = window.kernel_size;
  std::int32_t* index = table.make(outputs.area(), k.area());
  for (std::size_t p = 0; p < outputs.area(); ++p) {
    for (std::size_t tap = 0; tap < k.area(); ++tap) {
      *index++ = position(
          seen(p / outputs.w, tap / k.w, window.stride.h, window.padding.h, window.dilation.h, picture.h),
          seen(p % outputs.w, tap % k.w, window.stride.w, window.padding.w, window.dilation.w, picture.w),
          picture.w);
    }
  }
  table.shares_.resize(outputs.area());
  std::ranges::fill(table.shares_.span(), 1 / static_cast<float>(k.area()));
  table.finish(picture);
}

void TapTable::turned_window(TapTable& table, const Window& window, const Size2& picture,
                             const Size2& outputs) {
  if (!table.begin(key_of(Kind::turned, window, picture, outputs))) return;
  const Size2 k = window.kernel_size;
  std::int32_t* index = table.make(picture.area(), k.area());
  for (std::size_t p = 0; p < picture.area(); ++p) {
    for (std::size_t tap = 0; tap < k.area(); ++tap) {
      *index++ = position(
          seeing(p / picture.w, tap / k.w, window.stride.h, window.padding.h, window.dilation.h, outputs.h),
          seeing(p % picture.w, tap % k.w, window.stride.w, window.padding.w, window.dilation.w, outputs.w),
          outputs.w);
    }
  }
  table.finish(outputs);
}

void TapTable::adaptive(TapTable& table, const Size2& picture, const Size2& outputs) {
  if (!table.begin({.kind = Kind::adaptive, .picture = picture, .outputs = outputs})) return;
  // The largest window; the taps that a smaller one has not are outside.
  const Size2 k{(picture.h + outputs.h - 1) / outputs.h + 1, (picture.w + outputs.w - 1) / outputs.w + 1};
  std::int32_t* index = table.make(outputs.area(), k.area());
  table.shares_.resize(outputs.area());
  float* const shares = table.shares_.data();
  for (std::size_t p = 0; p < outputs.area(); ++p) {
    const std::size_t row = adaptive_begin(p / outputs.w, picture.h, outputs.h);
    const std::size_t column = adaptive_begin(p % outputs.w, picture.w, outputs.w);
    const std::size_t row_end = adaptive_end(p / outputs.w, picture.h, outputs.h);
    const std::size_t column_end = adaptive_end(p % outputs.w, picture.w, outputs.w);
    for (std::size_t tap = 0; tap < k.area(); ++tap) {
      const std::size_t r = row + tap / k.w, c = column + tap % k.w;
      const bool inside = r < row_end && c < column_end;
      *index++ = inside ? static_cast<std::int32_t>(r * picture.w + c) : kOutside;
    }
    shares[p] = 1 / static_cast<float>((row_end - row) * (column_end - column));
  }
  table.finish(picture);
}

void TapTable::nearest(TapTable& table, const Size2& picture, const Size2& outputs) {
  if (!table.begin({.kind = Kind::nearest, .picture = picture, .outputs = outputs})) return;
  std::int32_t* index = table.make(outputs.area(), 1);
  for (std::size_t q = 0; q < outputs.area(); ++q) {
    index[q] = static_cast<std::int32_t>(nearest_place(q / outputs.w, picture.h, outputs.h) * picture.w +
                                         nearest_place(q % outputs.w, picture.w, outputs.w));
  }
  table.shares_.resize(outputs.area());
  std::ranges::fill(table.shares_.span(), 1.0f);
  table.finish(picture);
}

void TapTable::bilinear(TapTable& table, const Size2& picture, const Size2& outputs, bool align_corners) {
  const Key key{
      .kind = Kind::bilinear, .picture = picture, .outputs = outputs, .align_corners = align_corners};
  if (!table.begin(key)) return;
  std::int32_t* index = table.make(outputs.area(), 4);
  table.shares_.resize(outputs.area() * 4);
  float* share = table.shares_.data();
  for (std::size_t q = 0; q < outputs.area(); ++q, index += 4, share += 4) {  // (M8)
    const LinearPlace r = linear_place(q / outputs.w, picture.h, outputs.h, align_corners);
    const LinearPlace c = linear_place(q % outputs.w, picture.w, outputs.w, align_corners);
    const std::size_t places[4] = {r.low * picture.w + c.low, r.low * picture.w + c.high,
                                   r.high * picture.w + c.low, r.high * picture.w + c.high};
    std::ranges::transform(places, index, [](std::size_t p) { return static_cast<std::int32_t>(p); });
    share[0] = (1 - r.share) * (1 - c.share);
    share[1] = (1 - r.share) * c.share;
    share[2] = r.share * (1 - c.share);
    share[3] = r.share * c.share;
  }
  table.finish(picture);
}

}  // namespace volley

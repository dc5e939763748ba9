#include "layers/taps.hpp"

#include <algorithm>

namespace volley {
namespace {

using kernels::kOutside;

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

}  // namespace

std::int32_t* TapTable::make(std::size_t positions, std::size_t taps) {
  positions_ = positions;
  taps_ = taps;
  index_.resize(positions * taps);
  return index_.data();
}

void TapTable::finish(const Size2& picture) {
  looks_.resize(picture.area());
  looks_.zero();
  for (const std::int32_t q : index_.span()) {
    if (q != kOutside) ++looks_[static_cast<std::size_t>(q)];
  }
  partition_ = std::ranges::all_of(looks_.span(), [](std::size_t count) { return count == 1; });
}

void TapTable::window(TapTable& table, const Window& window, const Size2& picture, const Size2& outputs) {
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
  table.finish(picture);
}

void TapTable::turned_window(TapTable& table, const Window& window, const Size2& picture,
                             const Size2& outputs) {
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

void TapTable::adaptive(TapTable& table, Buffer<float>& shares, const Size2& picture, const Size2& outputs) {
  // The largest window; the taps that a smaller one has not are outside.
  const Size2 k{(picture.h + outputs.h - 1) / outputs.h + 1, (picture.w + outputs.w - 1) / outputs.w + 1};
  std::int32_t* index = table.make(outputs.area(), k.area());
  shares.resize(outputs.area());
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

}  // namespace volley

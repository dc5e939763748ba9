#pragma once

#include <volley/buffer.hpp>
#include <volley/window.hpp>

#include "kernels/taps.hpp"

namespace volley {

/// What the positions of one picture look at in another, for the kernels of convolutions and pools.
class TapTable {
 public:
  /// Every output of the window on a picture, and the inputs that its taps see. A transposed convolution says
  /// how many outputs there are; they are no more than see something.
  static void window(TapTable& table, const Window& window, const Size2& picture) {
    TapTable::window(table, window, picture, window.outputs(picture));
  }
  static void window(TapTable& table, const Window& window, const Size2& picture, const Size2& outputs);
  /// The other way: every input, and the outputs that see it with each tap.
  static void turned_window(TapTable& table, const Window& window, const Size2& picture,
                            const Size2& outputs);
  /// `taps` taps of each of `positions` outputs: places(position, index) writes what they see of a picture.
  template <class Places>
  static void of(TapTable& table, std::size_t positions, std::size_t taps, const Size2& picture,
                 const Places& places) {
    std::int32_t* index = table.make(positions, taps);
    for (std::size_t p = 0; p < positions; ++p) places(p, index + p * taps);
    table.finish(picture);
  }
  /// Windows as AdaptiveAvgPool2d has them; `shares` receives one over the size of each.
  static void adaptive(TapTable& table, Buffer<float>& shares, const Size2& picture, const Size2& outputs);

  std::size_t positions() const { return positions_; }
  std::size_t taps() const { return taps_; }
  kernels::Taps view() const { return {index_.data(), positions_, taps_, partition_}; }

 private:
  std::int32_t* make(std::size_t positions, std::size_t taps);
  /// Looks whether the table is a partition of `picture`.
  void finish(const Size2& picture);

  Buffer<std::int32_t> index_;  // (positions, taps)
  Buffer<std::size_t> looks_;   // how many taps look at each place of the picture
  std::size_t positions_ = 0;
  std::size_t taps_ = 0;
  bool partition_ = false;
};

}  // namespace volley

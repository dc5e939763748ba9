#pragma once

#include <cstddef>

#include <volley/buffer.hpp>
#include <volley/window.hpp>

#include "ops/executor.hpp"

namespace volley {

/// What the positions of one picture look at in another, for convolutions and pools. It is made again only
/// where something else is asked for than before, so that it stays on the device.
class TapTable {
 public:
  /// Every output of the window on a picture, and the inputs that its taps see; shares() are one over the
  /// size of the window. A transposed convolution says how many outputs there are; they are no more than see
  /// something.
  static void window(TapTable& table, const Window& window, const Size2& picture) {
    TapTable::window(table, window, picture, window.outputs(picture));
  }
  static void window(TapTable& table, const Window& window, const Size2& picture, const Size2& outputs);
  /// The other way: every input, and the outputs that see it with each tap.
  static void turned_window(TapTable& table, const Window& window, const Size2& picture,
                            const Size2& outputs);
  /// Windows as AdaptiveAvgPool2d has them; shares() are one over the size of each.
  static void adaptive(TapTable& table, const Size2& picture, const Size2& outputs);
  /// The nearest place of each output of an upsampling, with a share of 1; or its four neighbours, with
  /// theirs.
  static void nearest(TapTable& table, const Size2& picture, const Size2& outputs);
  static void bilinear(TapTable& table, const Size2& picture, const Size2& outputs, bool align_corners);

  std::size_t positions() const { return positions_; }
  ops::Taps view(Executor& device) const { return {device.read(index_), positions_, taps_, partition_}; }
  /// What outputs, or the taps of outputs, are multiplied by, where they have shares.
  const float* shares(Executor& device) const { return device.read(shares_); }

 private:
  /// What a table is made of.
  enum class Kind { none, window, turned, adaptive, nearest, bilinear };
  struct Key {
    Kind kind = Kind::none;
    Size2 picture, outputs;
    Size2 kernel_size{}, stride{}, padding{}, dilation{};
    bool align_corners = false;
    bool operator==(const Key&) const = default;
  };
  static Key key_of(Kind kind, const Window& window, const Size2& picture, const Size2& outputs) {
    return {kind, picture, outputs, window.kernel_size, window.stride, window.padding, window.dilation};
  }

  /// Whether the table has to be made to be that of `key`, which it is when it is finished.
  bool begin(const Key& key);
  std::int32_t* make(std::size_t positions, std::size_t taps);
  /// Looks, when all is made, whether the table is a partition of `picture`.
  void finish(const Size2& picture);

  Key key_, begun_;
  Buffer<std::int32_t> index_;  // (positions, taps)
  Buffer<float> shares_;        // (positions), or (positions, taps)
  std::size_t positions_ = 0;
  std::size_t taps_ = 0;
  bool partition_ = false;
};

}  // namespace volley

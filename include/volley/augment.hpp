#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <volley/dataset.hpp>
#include <volley/encoder.hpp>
#include <volley/fields.hpp>
#include <volley/threads.hpp>

namespace volley {

/// How training pictures are changed each time they are seen.
struct AugmentOptions {
  std::size_t crop_padding = 0;  // pixels of black on each side, from which a picture of the old size is cut
  bool flip = false;             // left and right changed round, every other time

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("crop_padding", self.crop_padding, between(0, 1024));
    visit("flip", self.flip, any());
  }
};

/// Random crops and flips. Where a picture is cut and whether it is flipped is a function of (seed, epoch,
/// sample) alone: the same for any batch and any number of threads. Several threads may use one at once.
class Augment {
 public:
  explicit Augment(const AugmentOptions& options = {});

  const AugmentOptions& options() const { return options_; }
  /// Whether it changes anything.
  bool active() const { return options_.crop_padding > 0 || options_.flip; }
  /// Throws ArgumentError unless pictures of `shape` can be cropped and flipped.
  void check(const Shape& shape) const;

  /// Makes `out`, another set than `data`, the set of the pictures `samples` of `data`, changed: its n-th is
  /// that of index samples[n], with its label. draw.address(samples, n) addresses its random numbers. `out`
  /// keeps its memory where that is enough. Throws ArgumentError where `data` or `draw` does not fit, an
  /// index is not one of `data`, or check() refuses the pictures.
  void apply(Dataset& out, const Dataset& data, std::span<const std::uint32_t> samples, const Draw& draw,
             ThreadPool& threads) const;

 private:
  AugmentOptions options_;
};

}  // namespace volley

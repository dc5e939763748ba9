#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <volley/buffer.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// Spike trains of N samples over T steps, one bit per (sample, step, feature). How the bits lie is private:
/// code asks for what it needs, and kernels are given the words by the layers (src/signal/spike_words.hpp).
/// Features are numbered row-major in shape(), whatever the layout. Sizes and memory are refused as Tensor's.
class Spikes {
 public:
  Spikes() = default;
  /// Silence. `shape` is (N, T, features...), of rank 3 or more; ShapeError otherwise.
  explicit Spikes(const Shape& shape);
  Spikes(const Spikes&) = default;
  Spikes& operator=(const Spikes&) = default;
  /// What is moved from is empty, or, after an assignment, what was here.
  Spikes(Spikes&& other) noexcept;
  Spikes& operator=(Spikes&& other) noexcept;
  ~Spikes() = default;
  /// From one byte per spike, anything but 0 being a spike; `bytes` is row-major in `shape` = (N, T,
  /// features...). Throws ArgumentError for another number of bytes.
  static Spikes from_bytes(const Shape& shape, std::span<const std::uint8_t> bytes);

  const Shape& shape() const { return shape_; }
  std::size_t samples() const { return shape_[0]; }
  std::size_t steps() const { return shape_[1]; }
  /// Features of one sample at one step, all feature dimensions multiplied.
  std::size_t features() const { return features_; }
  Layout layout() const { return layout_; }

  /// Each throws ArgumentError for an index, or the size of a span, that does not fit.
  bool fired(std::size_t sample, std::size_t step, std::size_t feature) const;
  /// How often a feature of a sample fired over all steps.
  std::size_t count(std::size_t sample, std::size_t feature) const;
  /// All spikes of all samples.
  std::size_t count() const;
  /// `counts` (features) receives how often each fired in a sample: T times the firing rate.
  void count_by_feature(std::size_t sample, std::span<std::uint32_t> counts) const;
  /// The same over the first `steps` steps, at most all.
  void count_by_feature(std::size_t sample, std::span<std::uint32_t> counts, std::size_t steps) const;
  /// One byte, 0 or 1, per spike, row-major in shape(); `bytes` has shape().size() elements.
  void to_bytes(std::span<std::uint8_t> bytes) const;

 private:
  friend struct SpikeWords;

  /// step: for each sample and step, the features packed 64 to a word; channels-last, for each sample, step
  /// and position the channels, padded to whole words. What neurons emit.
  /// train: for each sample a list of the features that are not silent, and for each of them the steps packed
  /// 64 to a word. What the Poisson encoder emits and a rate-coded first layer reads.
  enum class Order { step, train };

  void swap(Spikes& other) noexcept;

  Shape shape_{0, 0, 0};
  std::size_t features_ = 0;
  Order order_ = Order::step;
  Layout layout_ = Layout::row_major;  // of step order; train order is row-major
  std::size_t positions_ = 1;          // H W where the channels of a position lie together, else 1
  std::size_t row_words_ = 0;          // words per (sample, step), or per (sample, listed feature)
  Buffer<std::uint64_t> words_;
  Buffer<std::uint32_t> active_;        // (N, features), train order only: the features that are not silent
  Buffer<std::uint32_t> active_count_;  // (N)
};

}  // namespace volley

#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>

#include <volley/buffer.hpp>

namespace volley {

/// Sizes of the dimensions, outermost first. Holds its sizes inline, so that copying one never allocates.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::size_t> sizes);
  explicit Shape(std::span<const std::size_t> sizes);

  std::size_t rank() const { return rank_; }
  std::size_t operator[](std::size_t i) const { return sizes_[i]; }
  std::span<const std::size_t> sizes() const { return {sizes_.data(), rank_}; }
  /// Number of elements; 1 for rank 0. Throws Error when it does not fit in a size_t.
  std::size_t size() const;
  /// The dimensions from `first` on: the feature shape of a signal is shape.from(2).
  Shape from(std::size_t first) const;
  /// This shape with `sizes` in front: Shape{10}.after({64, 100}) is (64, 100, 10).
  Shape after(std::initializer_list<std::size_t> sizes) const;
  /// "(64, 100, 10)"
  std::string text() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::size_t, kMaxRank> sizes_{};
  std::size_t rank_ = 0;
};

/// The order in which the features of a signal (N, T, C, H, W) lie; see Signal.
enum class Layout {
  row_major,      // (N, T, C, H, W), and every signal of another rank
  channels_last,  // (N, T, H, W, C)
};

/// Dense float32, row-major, 64-byte aligned. Signals are batch first: (N samples, T steps, features...), so
/// that one sample's whole life is contiguous.
class Tensor {
 public:
  Tensor() = default;
  /// Zeros.
  explicit Tensor(const Shape& shape);

  const Shape& shape() const { return shape_; }
  std::size_t size() const { return data_.size(); }
  float* data() { return data_.data(); }
  const float* data() const { return data_.data(); }
  std::span<float> values() { return data_.span(); }
  std::span<const float> values() const { return data_.span(); }

  /// Takes a new shape; keeps its memory where that is enough. Contents are unspecified afterwards.
  void resize(const Shape& shape);
  void zero() { data_.zero(); }

 private:
  Shape shape_{0};
  Buffer<float> data_;
};

/// Whether no element is infinite or not a number.
bool is_finite(const Tensor& tensor);

}  // namespace volley

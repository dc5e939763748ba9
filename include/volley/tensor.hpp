#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include <volley/buffer.hpp>

namespace volley {

class Executor;

/// Sizes of the dimensions, outermost first. Holds its sizes inline, so that copying one never allocates.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::size_t> sizes);
  explicit Shape(std::span<const std::size_t> sizes);

  std::size_t rank() const { return rank_; }
  /// Throws ArgumentError unless i < rank().
  std::size_t operator[](std::size_t i) const {
    if (i >= rank_) throw_rank(i);
    return sizes_[i];
  }
  std::span<const std::size_t> sizes() const { return {sizes_.data(), rank_}; }
  /// Number of elements; 1 for rank 0. Throws ArgumentError, which names the shape, where it exceeds a
  /// size_t.
  std::size_t size() const;
  /// The dimensions from `first` on: the feature shape of a signal is shape.from(2).
  Shape from(std::size_t first) const;
  /// This shape with `sizes` in front: Shape{10}.after({64, 100}) is (64, 100, 10).
  Shape after(std::initializer_list<std::size_t> sizes) const;
  /// "(64, 100, 10)"
  std::string text() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  [[noreturn]] void throw_rank(std::size_t i) const;

  std::array<std::size_t, kMaxRank> sizes_{};
  std::size_t rank_ = 0;
};

/// The order in which the features of a signal (N, T, C, H, W) lie; see Signal.
enum class Layout {
  row_major,      // (N, T, C, H, W), and every signal without positions
  channels_last,  // (N, T, H, W, C), and (N, T, L, C) of a signal (N, T, C, L)
};

/// Dense float32, row-major, 64-byte aligned. Signals are batch first: (N samples, T steps, features...), so
/// that one sample's whole life is contiguous. A shape whose bytes exceed what memory can hold is an
/// ArgumentError; memory that the system refuses is std::bad_alloc. The tensor is then what it was.
class Tensor {
 public:
  Tensor() = default;
  /// Zeros.
  explicit Tensor(const Shape& shape);
  Tensor(const Tensor&) = default;
  Tensor& operator=(const Tensor&) = default;
  /// What is moved from is an empty tensor, or, after an assignment, the one that was here.
  Tensor(Tensor&& other) noexcept { swap(other); }
  Tensor& operator=(Tensor&& other) noexcept {
    swap(other);
    return *this;
  }

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
  friend class Executor;  // src/ops/executor.hpp

  void swap(Tensor& other) noexcept {
    std::swap(shape_, other.shape_);
    std::swap(data_, other.data_);
  }

  Shape shape_{0};
  Buffer<float> data_;
};

/// Whether no element is infinite or not a number.
bool is_finite(const Tensor& tensor);

}  // namespace volley

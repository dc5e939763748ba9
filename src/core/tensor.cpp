#include <volley/tensor.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <volley/error.hpp>

namespace volley {

Shape::Shape(std::initializer_list<std::size_t> sizes)
    : Shape(std::span<const std::size_t>(sizes.begin(), sizes.size())) {}

Shape::Shape(std::span<const std::size_t> sizes) : rank_(sizes.size()) {
  if (sizes.size() > kMaxRank) {
    throw ArgumentError("shape", fmt::format("rank must be <= {}", kMaxRank), std::to_string(sizes.size()));
  }
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
}

void Shape::throw_rank(std::size_t i) const {
  throw ShapeError("shape", fmt::format("dimension {} must be one of the shape", i), *this);
}

std::size_t Shape::size() const {
  std::size_t product = 1;
  for (const std::size_t size : sizes()) {
    if (__builtin_mul_overflow(product, size, &product)) {
      throw ArgumentError("shape", text() + " has more elements than this machine can count");
    }
  }
  return product;
}

Shape Shape::from(std::size_t first) const {
  return Shape(first < rank_ ? sizes().subspan(first) : std::span<const std::size_t>{});
}

Shape Shape::after(std::initializer_list<std::size_t> sizes) const {
  Shape result(sizes);
  if (result.rank_ + rank_ > kMaxRank) {
    throw ArgumentError("shape", fmt::format("rank must be <= {}", kMaxRank),
                        std::to_string(result.rank_ + rank_));
  }
  std::copy_n(sizes_.begin(), rank_, result.sizes_.begin() + static_cast<std::ptrdiff_t>(result.rank_));
  result.rank_ += rank_;
  return result;
}

std::string Shape::text() const { return fmt::format("({})", fmt::join(sizes(), ", ")); }

bool operator==(const Shape& a, const Shape& b) { return std::ranges::equal(a.sizes(), b.sizes()); }

Tensor::Tensor(const Shape& shape) {
  resize(shape);
  zero();
}

void Tensor::resize(const Shape& shape) {
  const std::size_t size = shape.size();
  if (size > PTRDIFF_MAX / sizeof(float)) {
    throw ArgumentError("tensor", shape.text() + " has more elements than memory can hold");
  }
  data_.resize(size);
  shape_ = shape;
}

bool is_finite(const Tensor& tensor) {
  return std::ranges::all_of(tensor.values(), [](float x) { return std::isfinite(x); });
}

}  // namespace volley

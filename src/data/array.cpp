#include <volley/array.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include <volley/error.hpp>

#include "core/half.hpp"
#include "core/load.hpp"

namespace volley {
namespace {

constexpr std::uint64_t kWholeEnd = std::uint64_t{1} << 32;

/// One byte, true unless it is 0.
struct BooleanByte {
  std::uint8_t byte;
};
struct HalfBits {
  std::uint16_t bits;
};

float as_float(BooleanByte element) { return element.byte != 0 ? 1.0f : 0.0f; }
float as_float(HalfBits element) { return half_value(element.bits); }
template <class T>
float as_float(T element) {
  return static_cast<float>(element);
}

/// Whether it is a whole number below 2^32, which is then `to`.
bool as_whole(BooleanByte element, std::uint32_t& to) {
  to = element.byte != 0 ? 1 : 0;
  return true;
}
template <class T>
bool as_whole(T element, std::uint32_t& to) {
  if constexpr (std::is_integral_v<T>) {
    if (std::cmp_less(element, 0) || !std::cmp_less(element, kWholeEnd)) return false;
  } else {
    // Not a number fails too.
    if (!(element >= 0 && element < static_cast<T>(kWholeEnd)) || std::floor(element) != element)
      return false;
  }
  to = static_cast<std::uint32_t>(element);
  return true;
}
bool as_whole(HalfBits element, std::uint32_t& to) { return as_whole(half_value(element.bits), to); }

std::string text_of(BooleanByte element) { return element.byte != 0 ? "1" : "0"; }
std::string text_of(HalfBits element) { return fmt::format("{}", half_value(element.bits)); }
template <class T>
std::string text_of(T element) {
  return fmt::format("{}", element);
}

/// Calls visit(T{}) with the C++ type of the elements.
template <class Visit>
void with_element(ElementType type, const Visit& visit) {
  switch (type) {
    case ElementType::boolean: return visit(BooleanByte{});
    case ElementType::u8: return visit(std::uint8_t{});
    case ElementType::i8: return visit(std::int8_t{});
    case ElementType::u16: return visit(std::uint16_t{});
    case ElementType::i16: return visit(std::int16_t{});
    case ElementType::u32: return visit(std::uint32_t{});
    case ElementType::i32: return visit(std::int32_t{});
    case ElementType::u64: return visit(std::uint64_t{});
    case ElementType::i64: return visit(std::int64_t{});
    case ElementType::f16: return visit(HalfBits{});
    case ElementType::f32: return visit(float{});
    case ElementType::f64: return visit(double{});
  }
}

void check_range(const Array& array, std::size_t first, std::size_t count) {
  const std::size_t size = array.empty() ? 0 : array.shape().size();
  if (first <= size && count <= size - first) return;
  throw ArgumentError("array", fmt::format("elements must be below {}", size),
                      fmt::format("{} from {} on", count, first));
}

}  // namespace

std::size_t size_of(ElementType type) {
  std::size_t size = 0;
  with_element(type, [&](auto element) { size = sizeof element; });
  return size;
}

std::string_view name_of(ElementType type) {
  switch (type) {
    case ElementType::boolean: return "bool";
    case ElementType::u8: return "uint8";
    case ElementType::i8: return "int8";
    case ElementType::u16: return "uint16";
    case ElementType::i16: return "int16";
    case ElementType::u32: return "uint32";
    case ElementType::i32: return "int32";
    case ElementType::u64: return "uint64";
    case ElementType::i64: return "int64";
    case ElementType::f16: return "float16";
    case ElementType::f32: return "float32";
    case ElementType::f64: return "float64";
  }
  return "";
}

bool is_integer(ElementType type) {
  return type != ElementType::f16 && type != ElementType::f32 && type != ElementType::f64;
}

Array::Array(const Shape& shape, ElementType type, const void* data, std::shared_ptr<const void> owner)
    : shape_(shape), type_(type), data_(static_cast<const std::byte*>(data)), owner_(std::move(owner)) {
  const std::size_t size = shape.size();
  if (size > PTRDIFF_MAX / size_of(type)) {
    throw ArgumentError("array", shape.text() + " has more elements than memory can hold");
  }
  if (data == nullptr && size > 0) throw ArgumentError("array", "data must not be null");
}

Array Array::of(const Tensor& values) {
  auto copy = std::make_shared<const Tensor>(values);
  // A tensor without elements has no memory; the array is one without elements all the same.
  const void* const data =
      copy->data() != nullptr ? static_cast<const void*>(copy->data()) : static_cast<const void*>(copy.get());
  return {values.shape(), ElementType::f32, data, std::move(copy)};
}

void Array::floats(std::span<float> to, std::size_t first) const {
  check_range(*this, first, to.size());
  with_element(type_, [&](auto element) {
    const std::byte* from = data_ + first * sizeof element;
    for (float& value : to) {
      value = as_float(load<decltype(element)>(from));
      from += sizeof element;
    }
  });
}

void Array::whole(std::span<std::uint32_t> to, std::size_t first) const {
  check_range(*this, first, to.size());
  with_element(type_, [&](auto zero) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const auto element = load<decltype(zero)>(data_ + (first + i) * sizeof zero);
      if (as_whole(element, to[i])) continue;
      throw ArgumentError("array", fmt::format("element {} must be a whole number below 2^32", first + i),
                          text_of(element));
    }
  });
}

}  // namespace volley

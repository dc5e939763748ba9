#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <volley/error.hpp>
#include <volley/window.hpp>

namespace volley {

/// The values a number may take, and the words that say so. Every options struct (LIFOptions, AdamOptions,
/// ...) lists its fields once, in
///
///     template <class Self, class Visit> static void fields(Self& self, Visit&& visit)
///
/// by calling visit(name, member, range) for each. Constructors check with it, and recipes, checkpoints and
/// the Python module read and write with it, so that a field is spelled in one place.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;   // the value must be greater than low
  bool high_open = false;  // the value must be less than high

  /// Written so that NaN is outside; infinities are never inside.
  bool contains(double x) const {
    return (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high) && std::isfinite(x);
  }
  /// "> 1", ">= 0 and < 1", "a finite number"
  std::string text() const;
};

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Range any() { return {}; }
constexpr Range above(double low) { return {.low = low, .low_open = true}; }
constexpr Range at_least(double low) { return {.low = low}; }
/// low < x < high
constexpr Range inside(double low, double high) {
  return {.low = low, .high = high, .low_open = true, .high_open = true};
}
constexpr Range between(double low, double high) { return {.low = low, .high = high}; }
/// low <= x < high
constexpr Range from_below(double low, double high) { return {.low = low, .high = high, .high_open = true}; }

/// Throws ArgumentError("[kind] name must be > 1, got 0.5") when `value` is outside `range`.
void check_range(std::string_view kind, std::string_view name, double value, const Range& range);

namespace detail {
/// A visitor that checks numbers and looks into nested options; text and choices check themselves.
struct FieldCheck {
  std::string_view kind;

  void operator()(std::string_view, bool, const Range&) const {}
  template <class T>
  void operator()(std::string_view name, const T& value, const Range& range) const {
    if constexpr (std::is_arithmetic_v<T>) check_range(kind, name, static_cast<double>(value), range);
    if constexpr (std::is_same_v<T, Size2>) {
      check_range(kind, name, static_cast<double>(value.h), range);
      check_range(kind, name, static_cast<double>(value.w), range);
    }
  }
  template <class T>
  void operator()(std::string_view name, const std::optional<T>& value, const Range& range) const {
    if (value.has_value()) (*this)(name, *value, range);
  }
};
}  // namespace detail

/// Checks every number among the fields of `options`; `kind` is how the message names the operation: "lif".
template <class Options>
void check_fields(std::string_view kind, const Options& options) {
  Options::fields(options, detail::FieldCheck{kind});
}

}  // namespace volley

#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <volley/recipe.hpp>

namespace volley {

// The words that recipes use for what is chosen rather than measured, and what a field of an options struct
// (fields.hpp) can be: for what reads and writes options by their fields, as recipes and the Python module
// do.

/// The words of an enumeration, in the order of its values.
constexpr std::array<std::string_view, 2> choices(Init) { return {"uniform", "normal"}; }
constexpr std::array<std::string_view, 2> choices(OnNonFinite) { return {"stop", "skip"}; }
constexpr std::array<std::string_view, 2> choices(ScheduleUnit) { return {"epoch", "step"}; }
constexpr std::array<std::string_view, 2> choices(Readout) { return {"last", "mean"}; }
constexpr std::array<std::string_view, 4> choices(ValueReadout) {
  return {"mean", "last", "sum", "each_step"};
}
constexpr std::array<std::string_view, 2> choices(LatencyFunction) { return {"linear", "log"}; }
constexpr std::array<std::string_view, 2> choices(PopulationMode) { return {"deterministic", "random"}; }
constexpr std::array<std::string_view, 2> choices(UpsampleMode) { return {"nearest", "bilinear"}; }
constexpr std::array<std::string_view, 2> choices(Norm) { return {"l1", "l2"}; }
constexpr std::array<std::string_view, 2> choices(Feedback) { return {"linear", "element_wise"}; }
constexpr std::array<std::string_view, 6> choices(Connect) {
  return {"ADD", "AND", "IAND", "CONCATENATE", "MEAN", "PRODUCT"};
}

/// The kinds that a variant of options can hold: {"atan", "sigmoid"}.
template <class Variant>
std::vector<std::string> kinds() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return std::vector<std::string>{std::variant_alternative_t<I, Variant>::kKind...};
  }
  (std::make_index_sequence<std::variant_size_v<Variant>>());
}

/// Puts the options of `kind`, at their defaults, into `value`; false when there is no such kind.
template <class Variant>
bool set_kind(Variant& value, std::string_view kind) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return ((kind == std::variant_alternative_t<I, Variant>::kKind && (value.template emplace<I>(), true)) ||
            ...);
  }
  (std::make_index_sequence<std::variant_size_v<Variant>>());
}

// What a field can be, for `if constexpr`.
template <class T>
inline constexpr bool is_variant = false;
template <class... Ts>
inline constexpr bool is_variant<std::variant<Ts...>> = true;
template <>
inline constexpr bool is_variant<LayerRecipe> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// A struct that lists its fields.
template <class T>
inline constexpr bool is_options =
    std::is_class_v<T> && !is_variant<T> && !is_vector<T> && !is_optional<T> &&
    !std::is_same_v<T, std::string> && !std::is_same_v<T, Size2> && !std::is_same_v<T, ClassWeights>;

}  // namespace volley

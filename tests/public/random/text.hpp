#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include <volley/volley.hpp>

namespace volley::test {

// The words of a printed program.

inline std::string word(const std::string& text) { return text; }
inline std::string word(std::string_view text) { return std::string(text); }
inline std::string word(const char* text) { return text; }
inline std::string word(bool value) { return value ? "true" : "false"; }
template <class T>
requires(std::is_integral_v<T>) std::string word(T value) { return std::to_string(value); }
template <class T>
requires(std::is_floating_point_v<T>) std::string word(T value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}
template <class T>
requires(std::is_enum_v<T>) std::string word(T value) { return std::to_string(static_cast<int>(value)); }
inline std::string word(const Shape& shape) {
  std::string text = "{";
  for (const std::size_t size : shape.sizes()) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "}";
}

template <class... Parts>
std::string cat(const Parts&... parts) {
  return (std::string{} + ... + word(parts));
}

/// The fields of an options struct as a user writes them: "{.tau = 3, .v_reset = none}".
template <class Options>
std::string fields_text(const Options& options);

namespace detail {
struct FieldWords {
  std::string text;

  template <class T>
  void operator()(std::string_view name, const T& value, const Range&) {
    text += cat(text.empty() ? "." : ", .", name, " = ", value_text(value));
  }
  template <class T>
  static std::string value_text(const T& value) {
    if constexpr (std::is_same_v<T, Size2>) {
      return cat("{", value.h, ", ", value.w, "}");
    } else if constexpr (requires { word(value); }) {
      return word(value);
    } else if constexpr (requires { value.balanced; }) {
      return value_text(value.values);
    } else if constexpr (requires { value.has_value(); }) {
      return value.has_value() ? value_text(*value) : "std::nullopt";
    } else if constexpr (requires { std::variant_size<T>::value; }) {
      return std::visit(
          [](const auto& one) { return cat(std::remove_cvref_t<decltype(one)>::kKind, fields_text(one)); },
          value);
    } else if constexpr (requires { value.begin(); }) {
      std::string all;
      for (const auto& one : value) all += (all.empty() ? "" : ", ") + value_text(one);
      return "{" + all + "}";
    } else {
      return fields_text(value);
    }
  }
};
}  // namespace detail

template <class Options>
std::string fields_text(const Options& options) {
  detail::FieldWords words;
  Options::fields(options, words);
  return "{" + words.text + "}";
}

}  // namespace volley::test

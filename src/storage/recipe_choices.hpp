#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <volley/choices.hpp>
#include <volley/recipe.hpp>

namespace volley {

// The words of recipes that choices.hpp does not have.

/// The word for no value: v_reset = "none".
inline constexpr std::string_view kNone = "none";

inline const std::vector<std::string>& rule_names() {
  static const std::vector<std::string> names{"bptt", "article"};
  return names;
}

/// The word for class weights that follow from the training set.
inline constexpr std::string_view kBalanced = "balanced";

/// A list of tables, such as the layers of a network.
template <class T>
inline constexpr bool is_sections = false;
template <class T>
inline constexpr bool is_sections<std::vector<T>> = is_variant<T> || is_options<T>;

/// Text as a TOML basic string, with its quotes.
std::string toml_quoted(std::string_view text);

}  // namespace volley

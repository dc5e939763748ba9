#include <fmt/format.h>

#include <optional>
#include <string>
#include <type_traits>

#include "storage/recipe_choices.hpp"
#include "storage/recipe_toml.hpp"

namespace volley {
namespace {

/// The shortest decimal that reads back as the same number, and looks like a float: "0.001", "2.0", "1e-08".
template <class Real>
std::string float_text(Real value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

template <class T>
std::string value_text(const T& value);

/// "kind = "atan", alpha = 2.0", or one to a line.
template <class Options>
std::string fields_text(const Options& options, std::string_view separator) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!text.empty()) text += separator;
    text += fmt::format("{} = {}", name, value);
  };
  if constexpr (requires { Options::kKind; }) add("kind", toml_quoted(Options::kKind));
  Options::fields(options, [&]<class T>(std::string_view name, const T& value, const Range&) {
    if constexpr (!is_sections<T>) {
      add(name, value_text(value));
    } else if constexpr (std::is_same_v<T, std::vector<ParameterGroup>>) {
      if (value.empty()) add(name, "[]");  // a key that --set can name
    }
  });
  return text;
}

template <class T>
std::string value_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return toml_quoted(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return float_text(value);
  } else if constexpr (std::is_arithmetic_v<T>) {
    return fmt::format("{}", value);
  } else if constexpr (std::is_same_v<T, Size2>) {
    return value.h == value.w ? value_text(value.h) : fmt::format("[{}, {}]", value.h, value.w);
  } else if constexpr (std::is_enum_v<T>) {
    return toml_quoted(choices(value)[static_cast<std::size_t>(value)]);
  } else if constexpr (is_optional<T>) {
    return value.has_value() ? value_text(*value) : toml_quoted(kNone);
  } else if constexpr (std::is_same_v<T, ClassWeights>) {
    if (value.values.empty()) return toml_quoted(value.balanced ? kBalanced : kNone);
    return value_text(value.values);
  } else if constexpr (is_vector<T>) {
    std::string text;
    for (const auto& item : value) text += (text.empty() ? "" : ", ") + value_text(item);
    return "[" + text + "]";
  } else {
    static_assert(is_variant<T>);
    return std::visit([](const auto& options) { return "{ " + fields_text(options, ", ") + " }"; }, value);
  }
}

/// A field of the recipe itself: options become a section, a list of options a list of sections; and so do
/// lists inside of those, [[network.branch]].
struct PrintField {
  std::string& text;
  std::string path = "";  // of the section that the field is in: "network."

  template <class T>
  void operator()(std::string_view name, const T& value, const Range&) const {
    if constexpr (is_sections<T>) {
      for (const auto& item : value) section("[[", path + std::string(name), "]]", item);
    } else if constexpr (is_variant<T> || is_options<T>) {
      section("[", path + std::string(name), "]", value);
    } else {
      text += fmt::format("{} = {}\n", name, value_text(value));
    }
  }

  /// `more`: lines of the section that are no fields of the value.
  template <class T>
  void section(const char* open, const std::string& name, const char* close, const T& value,
               const std::string& more = "") const {
    if constexpr (std::is_same_v<T, LayerRecipe>) {
      const std::string node = value.node == NodeOptions{} ? "" : fields_text(value.node, "\n") + "\n";
      std::visit([&](const auto& options) { section(open, name, close, options, node); }, value);
    } else if constexpr (is_variant<T>) {
      std::visit([&](const auto& options) { section(open, name, close, options); }, value);
    } else {
      text += fmt::format("\n{}{}{}\n{}\n{}", open, name, close, fields_text(value, "\n"), more);
      T::fields(value, [&]<class F>(std::string_view field, const F& inner, const Range& range) {
        if constexpr (is_sections<F>) PrintField{text, name + "."}(field, inner, range);
      });
    }
  }
};

}  // namespace

std::string toml_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string network_toml(const std::vector<LayerRecipe>& network) {
  std::string text;
  PrintField{text}("network", network, any());
  return text;
}

std::string to_toml(const Recipe& recipe) {
  std::string text;
  Recipe::fields(recipe, PrintField{text});
  return text;
}

}  // namespace volley

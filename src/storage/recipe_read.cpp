#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include <volley/dataset.hpp>
#include <volley/text.hpp>

#include "core/files.hpp"
#include "core/text.hpp"
#include "embedded/recipes.hpp"
#include "storage/recipe_choices.hpp"
#include "storage/recipe_toml.hpp"
#include "storage/toml_text.hpp"

namespace volley {
namespace {

constexpr std::size_t kMaxRecipeBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxLayers = 1000;

/// Where a table or value stands: its key for messages, and how messages begin.
struct Place {
  const TomlOrigin* origin;
  std::string key;  // "network.2"

  Place at(std::string_view name) const {
    return {origin, key.empty() ? std::string(name) : fmt::format("{}.{}", key, name)};
  }
  [[noreturn]] void fail(const toml::node& node, const std::string& text) const {
    const std::string where = origin->at(node.source().begin.line);
    // An assignment names its key already.
    if (where.starts_with(key + "=")) throw RecipeError(readable_line(fmt::format("{}: {}", where, text)));
    throw RecipeError(readable_line(fmt::format("{}: key '{}': {}", where, key, text)));
  }
  [[noreturn]] void expected(const toml::node& node, const std::string& what) const {
    fail(node, fmt::format("expected {}, got {}", what, toml_shown(node)));
  }
};

template <class T>
void read_value(const toml::node& node, T& value, const Range& range, const Place& place);

/// A default outside its own range says that there is no default.
template <class T>
bool has_default(const T& value, const Range& range) {
  if constexpr (std::is_arithmetic_v<T>) return range.contains(static_cast<double>(value));
  if constexpr (std::is_same_v<T, Size2>) return range.contains(static_cast<double>(value.h));
  return true;
}

/// Reads what `table` holds into the fields of `options`, and of what else is in the table; a field that is
/// not there keeps its value.
template <class Options, class... Others>
void read_fields(const toml::table& table, const Place& place, Options& options, Others&... others) {
  std::vector<std::string> known;
  if constexpr (requires { Options::kKind; }) known.push_back("kind");
  const auto read = [&]<class T>(std::string_view name, T& value, const Range& range) {
    known.emplace_back(name);
    if (const toml::node* node = table.get(name)) {
      read_value(*node, value, range, place.at(name));
    } else if (!has_default(value, range)) {
      place.at(name).fail(table, fmt::format("missing; expected a number {}", range.text()));
    }
  };
  Options::fields(options, read);
  (Others::fields(others, read), ...);
  for (const auto& [key, node] : table) {
    if (std::find(known.begin(), known.end(), std::string(key.str())) == known.end()) {
      place.at(key.str()).fail(node, "unknown" + suggestion(key.str(), known));
    }
  }
}

/// "a number > 1", "an integer >= 1 and <= 65536"
std::string expectation(std::string_view noun, const Range& range) {
  const bool unbounded = std::isinf(range.low) && std::isinf(range.high);
  return unbounded ? fmt::format("a finite {}", noun.substr(noun.find(' ') + 1))
                   : fmt::format("{} {}", noun, range.text());
}

template <class T>
void read_number(const toml::node& node, T& value, const Range& range, const Place& place) {
  if constexpr (std::is_integral_v<T>) {
    const std::optional<std::int64_t> number = node.value_exact<std::int64_t>();
    if (!number || !range.contains(static_cast<double>(*number)) || !std::in_range<T>(*number)) {
      place.expected(node, expectation("an integer", range));
    }
    value = static_cast<T>(*number);
  } else {
    const std::optional<double> number = node.is_number() ? node.value<double>() : std::nullopt;
    // The value counts as it will be kept: 1e-60 is 0 in a float, and 1e60 is infinite.
    if (!number || !range.contains(static_cast<double>(static_cast<T>(*number)))) {
      place.expected(node, expectation("a number", range));
    }
    value = static_cast<T>(*number);
  }
}

/// 3 or [3, 5]: a height and a width.
void read_size(const toml::node& node, Size2& value, const Range& range, const Place& place) {
  const toml::array* two = node.as_array();
  if (two == nullptr && node.is_integer()) {
    read_number(node, value.h, range, place);
    value.w = value.h;
  } else if (two != nullptr && two->size() == 2) {
    read_number(*two->get(0), value.h, range, place);
    read_number(*two->get(1), value.w, range, place);
  } else {
    place.expected(node, expectation("an integer", range) + ", or a list of two");
  }
}

template <class Enum>
void read_choice(const toml::node& node, Enum& value, const Place& place) {
  const auto words = choices(value);
  const std::vector<std::string> names(words.begin(), words.end());
  const std::optional<std::string> word = node.value_exact<std::string>();
  if (!word) place.expected(node, "one of " + quoted_list(names));
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (*word == words[i]) {
      value = static_cast<Enum>(i);
      return;
    }
  }
  place.fail(node, fmt::format("'{}' is unknown{}", *word, suggestion(*word, names)));
}

/// A number for each class, or a word.
void read_class_weights(const toml::node& node, ClassWeights& value, const Range& range, const Place& place) {
  const std::optional<std::string> word = node.value_exact<std::string>();
  const toml::array* list = node.as_array();
  value = {};
  value.balanced = word == kBalanced;
  if (value.balanced || word == kNone) return;
  if (list == nullptr || list->empty())
    place.expected(node, fmt::format("a list of numbers {}, '{}' or '{}'", range.text(), kBalanced, kNone));
  read_value(node, value.values, range, place);
}

/// A table with a `kind`, the fields of that kind and of `others`, or the bare name of a kind.
template <class Variant, class... Others>
void read_variant(const toml::node& node, Variant& value, const Place& place, Others&... others) {
  const toml::table* table = node.as_table();
  const toml::node* kind = table != nullptr ? table->get("kind") : &node;
  if (kind == nullptr) place.at("kind").fail(node, "missing" + suggestion("", kinds<Variant>()));
  const Place kind_place = table != nullptr ? place.at("kind") : place;
  const std::optional<std::string> name = kind->value_exact<std::string>();
  if (!name) kind_place.expected(*kind, table != nullptr ? "a string" : "a table with a kind");
  if (!set_kind(value, *name)) {
    kind_place.fail(*kind, fmt::format("'{}' is unknown{}", *name, suggestion(*name, kinds<Variant>())));
  }
  static const toml::table nothing;
  const auto read = [&](auto& options) {
    read_fields(table != nullptr ? *table : nothing, place, options, others...);
  };
  std::visit(read, value);
}

template <class T>
void read_value(const toml::node& node, T& value, const Range& range, const Place& place) {
  if constexpr (std::is_same_v<T, bool>) {
    const std::optional<bool> flag = node.value_exact<bool>();
    if (!flag) place.expected(node, "true or false");
    value = *flag;
  } else if constexpr (std::is_arithmetic_v<T>) {
    read_number(node, value, range, place);
  } else if constexpr (std::is_same_v<T, std::string>) {
    const std::optional<std::string> text = node.value_exact<std::string>();
    if (!text) place.expected(node, "a string");
    value = *text;
  } else if constexpr (std::is_same_v<T, ClassWeights>) {
    read_class_weights(node, value, range, place);
  } else if constexpr (std::is_same_v<T, Size2>) {
    read_size(node, value, range, place);
  } else if constexpr (std::is_enum_v<T>) {
    read_choice(node, value, place);
  } else if constexpr (is_optional<T>) {
    if (node.value_exact<std::string>() == kNone) {
      value.reset();
    } else if (node.is_number() || node.is_array()) {
      read_value(node, value.emplace(), range, place);
    } else {
      place.expected(node, fmt::format("{} or '{}'", expectation("a number", range), kNone));
    }
  } else if constexpr (is_variant<T>) {
    const auto base = []<class... Ts>(std::variant<Ts...>& v) -> std::variant<Ts...>& { return v; };
    if constexpr (std::is_same_v<T, LayerRecipe>) {
      read_variant(node, base(value), place, value.node);
    } else {
      read_variant(node, base(value), place);
    }
  } else if constexpr (is_vector<T>) {
    const toml::array* array = node.as_array();
    using Item = typename T::value_type;
    const char* items = std::is_arithmetic_v<Item>          ? "a list of numbers"
                        : std::is_same_v<Item, std::string> ? "a list of names"
                                                            : "a list of tables";
    if (array == nullptr) place.expected(node, items);
    if (array->size() > kMaxLayers) place.fail(node, fmt::format("more than {} entries", kMaxLayers));
    value.assign(array->size(), {});
    for (std::size_t i = 0; i < array->size(); ++i) {
      read_value(*array->get(i), value[i], range, place.at(fmt::format("{}", i)));
    }
  } else {
    const toml::table* table = node.as_table();
    if (table == nullptr) place.expected(node, "a table");
    read_fields(*table, place, value);
  }
}

bool is_plain_name(std::string_view name) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), plain);
}

/// The file's name without folder and ending, of letters that a run folder's name may have.
std::string name_from(const std::string& origin) {
  std::string name = std::filesystem::path(origin).stem().string().substr(0, 100);
  for (char& c : name) {
    if (!is_plain_name({&c, 1})) c = '_';
  }
  return name.empty() ? "recipe" : name;
}

void check_word(const toml::table& table, std::string_view key, const std::string& value,
                const std::vector<std::string>& words, const Place& place) {
  if (std::find(words.begin(), words.end(), value) != words.end()) return;
  const toml::node* node = table.get(key);
  place.at(key).fail(node != nullptr ? *node : table,
                     fmt::format("'{}' is unknown{}", value, suggestion(value, words)));
}

}  // namespace

std::string TomlOrigin::at(std::uint32_t line) const {
  return has_lines ? fmt::format("{}:{}", name, line) : name;
}

std::string toml_shown(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) {
    return text->size() <= 60 ? fmt::format("'{}'", *text) : fmt::format("'{}...'", text->substr(0, 60));
  }
  if (const auto number = node.value_exact<std::int64_t>()) return fmt::format("{}", *number);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return "a date or time";
}

toml::table parse_toml(std::string_view text, const TomlOrigin& origin) {
  check_toml_text(text, origin);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw RecipeError(readable_line(
        fmt::format("{}: not TOML: {}", origin.at(error.source().begin.line), error.description())));
  }
}

Recipe read_recipe(const toml::table& table, const TomlOrigin& origin) {
  const Place place{&origin, ""};
  Recipe recipe;
  recipe.name = name_from(origin.name);
  read_fields(table, place, recipe);
  if (!is_plain_name(recipe.name)) {
    place.at("name").expected(*table.get("name"), "1 to 100 letters, digits, '_' or '-'");
  }
  if (!datasets::is_picture_folder(recipe.data))
    check_word(table, "data", recipe.data, datasets::names(), place);
  check_word(table, "rule", recipe.rule, rule_names(), place);
  try {
    check_device_name(recipe.training.device);
  } catch (const ArgumentError& error) {
    place.at("training")
        .at("device")
        .fail(*table["training"]["device"].node(), fmt::format("{}, got {}", error.rule(), error.found()));
  }
  if (recipe.network.empty())
    place.at("network").fail(table, "missing; expected at least one [[network]] table");
  return recipe;
}

Recipe parse_recipe(std::string_view text, const std::string& origin) {
  const TomlOrigin place{origin};
  return read_recipe(parse_toml(text, place), place);
}

std::vector<std::string> builtin_recipes() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded::recipes()) {
    names.emplace_back(file.name.substr(0, file.name.rfind('.')));
  }
  return names;
}

Recipe load_recipe(const std::string& name_or_path) {
  for (const EmbeddedFile& file : embedded::recipes()) {
    if (file.name == name_or_path + ".toml") return parse_recipe(file.text, name_or_path);
  }
  std::error_code unknown;
  if (!std::filesystem::exists(name_or_path, unknown)) {
    if (name_or_path.ends_with(".toml")) throw RecipeError(fmt::format("{}: no such file", name_or_path));
    throw RecipeError(fmt::format("'{}' is neither a built-in recipe nor a file{}", name_or_path,
                                  suggestion(name_or_path, builtin_recipes())));
  }
  return parse_recipe(read_file(name_or_path, kMaxRecipeBytes), name_or_path);
}

}  // namespace volley

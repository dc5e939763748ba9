#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <volley/text.hpp>

#include "core/text.hpp"
#include "storage/recipe_choices.hpp"
#include "storage/recipe_toml.hpp"

namespace volley {
namespace {

struct Assignment {
  std::string text;  // "optimizer.lr=0.1", as the user gave it
  std::string key;   // "optimizer.lr"
  std::string value;

  [[noreturn]] void fail(const std::string& finding) const {
    throw RecipeError(readable_line(fmt::format("{}: {}", text, finding)));
  }
};

Assignment split(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw RecipeError(
        readable_line(fmt::format("'{}': expected key=value, such as optimizer.lr=0.01", text)));
  }
  return {text, text.substr(0, equals), text.substr(equals + 1)};
}

/// {value = ...}: the TOML value, or the bare word as a string.
toml::table parse_value(const Assignment& assignment) {
  const TomlOrigin origin{assignment.text, false};
  try {
    toml::table table = parse_toml("value = " + assignment.value, origin);
    if (table.size() == 1 && table.contains("value")) return table;
  } catch (const RecipeError&) {  // a bare word
  }
  return parse_toml("value = " + toml_quoted(assignment.value), origin);
}

toml::node& child(toml::node& owner, const std::string& name, const Assignment& assignment) {
  if (toml::array* array = owner.as_array()) {
    std::size_t index = array->size();
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (error != std::errc() || end != name.data() + name.size() || index >= array->size()) {
      assignment.fail(fmt::format("'{}' is no place in the list; expected a number >= 0 and <= {}", name,
                                  array->size() - 1));
    }
    return *array->get(index);
  }
  toml::table* table = owner.as_table();
  if (table == nullptr)
    assignment.fail(fmt::format("there is nothing named '{}' inside a single value", name));
  if (toml::node* node = table->get(name)) return *node;
  std::vector<std::string> known;
  for (const auto& [key, node] : *table) known.emplace_back(key.str());
  assignment.fail(fmt::format("key '{}' is unknown{}", name, suggestion(name, known)));
}

Recipe with_setting(const Recipe& recipe, const Assignment& assignment) {
  toml::table table = toml::parse(to_toml(recipe));  // complete: every key that may be set is there
  toml::node* owner = &table;
  std::size_t begin = 0;
  for (std::size_t dot = assignment.key.find('.'); dot != std::string::npos;
       dot = assignment.key.find('.', begin)) {
    owner = &child(*owner, assignment.key.substr(begin, dot - begin), assignment);
    begin = dot + 1;
  }
  const std::string name = assignment.key.substr(begin);
  const toml::node& old = child(*owner, name, assignment);
  toml::table* fields = owner->as_table();
  if (fields == nullptr) assignment.fail("a whole layer cannot be set; set its fields, or its kind");
  const toml::table parsed = parse_value(assignment);
  const toml::node& value = *parsed.get("value");
  // Fields of one kind mean nothing to another.
  if (name == "kind" && value.value<std::string>() != old.value<std::string>()) fields->clear();
  fields->insert_or_assign(name, value);
  return read_recipe(table, {assignment.text, false});
}

}  // namespace

Recipe with_settings(const Recipe& recipe, const std::vector<std::string>& assignments) {
  Recipe result = recipe;
  for (const std::string& assignment : assignments) result = with_setting(result, split(assignment));
  return result;
}

}  // namespace volley

#include <volley/recipe_difference.hpp>

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "storage/recipe_toml.hpp"

namespace volley {
namespace {

using Values = std::map<std::string, std::string>;

/// Every single value below `node`, by its key.
void collect(const toml::node& node, const std::string& key, Values& values) {
  const std::string prefix = key.empty() ? "" : key + ".";
  if (const toml::table* table = node.as_table()) {
    for (const auto& [name, child] : *table) collect(child, prefix + std::string(name.str()), values);
  } else if (const toml::array* list = node.as_array()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      collect(*list->get(i), prefix + fmt::format("{}", i), values);
    }
  } else {
    values[key] = toml_shown(node);
  }
}

Values values_of(const Recipe& recipe) {
  Values values;
  collect(toml::parse(to_toml(recipe)), "", values);
  return values;
}

}  // namespace

std::vector<RecipeDifference> differences_of(const Recipe& first, const Recipe& second) {
  const Values a = values_of(first);
  const Values b = values_of(second);
  std::vector<RecipeDifference> differences;
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other == b.end()) {
      differences.push_back({key, value, "none"});
    } else if (other->second != value) {
      differences.push_back({key, value, other->second});
    }
  }
  for (const auto& [key, value] : b) {
    if (!a.contains(key)) differences.push_back({key, "none", value});
  }
  return differences;
}

}  // namespace volley

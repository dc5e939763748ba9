#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <volley/recipe.hpp>

namespace volley {

/// How messages name the place of something that was read.
struct TomlOrigin {
  std::string name;       // a file, a built-in recipe, or an assignment "optimizer.lr=0.1"
  bool has_lines = true;  // an assignment has none

  /// "my.toml:12"
  std::string at(std::uint32_t line) const;
};

/// What a node holds, for a message: "'abc'", "0.5", "a table".
std::string toml_shown(const toml::node& node);

/// Throws RecipeError with the line where `text` is not TOML.
toml::table parse_toml(std::string_view text, const TomlOrigin& origin);

/// The [[network]] tables alone; a recipe of nothing else can be parsed.
std::string network_toml(const std::vector<LayerRecipe>& network);

/// Throws RecipeError for whatever is not a recipe in `table`.
Recipe read_recipe(const toml::table& table, const TomlOrigin& origin);

}  // namespace volley

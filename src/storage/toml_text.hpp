#pragma once

#include <string_view>

#include "storage/recipe_toml.hpp"

namespace volley {

/// Throws RecipeError where `text` is not what the parser, toml++ 3.3, takes for granted: what is not TOML
/// there, it does not refuse; its behaviour is undefined.
void check_toml_text(std::string_view text, const TomlOrigin& origin);

}  // namespace volley

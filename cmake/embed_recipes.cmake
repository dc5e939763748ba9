# recipes/*.toml become one source file, so that the program knows them wherever it is installed.
file(GLOB VOLLEY_RECIPES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/*.toml)
set(VOLLEY_EMBEDDED_RECIPES ${PROJECT_BINARY_DIR}/generated/builtin_recipes.cpp)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${VOLLEY_RECIPES})
set(entries "")
foreach(recipe IN LISTS VOLLEY_RECIPES)
  get_filename_component(name ${recipe} NAME_WE)
  file(READ ${recipe} text)
  string(APPEND entries "    {\"${name}\", R\"toml(${text})toml\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${VOLLEY_EMBEDDED_RECIPES} @ONLY CONTENT
"// Made from recipes/*.toml by cmake/embed_recipes.cmake.
#include \"storage/builtin_recipes.hpp\"

namespace volley {

const std::vector<BuiltinRecipe>& builtin_recipe_texts() {
  static const std::vector<BuiltinRecipe> texts{
@entries@  };
  return texts;
}

}  // namespace volley
")

#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/run_folder.hpp>
#include <volley/text.hpp>
#include <volley/trainer.hpp>

#include "figures/figure.hpp"
#include "grouped.hpp"

namespace volley::cli {

/// Prints to stdout. That a reader has gone, or a disk is full, shows at the end (main.cpp): a training must
/// not end by it.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// `json`, indented, with a line break at its end. Bytes that are no UTF-8, as in a folder's name, become
/// U+FFFD.
std::string json_text(const nlohmann::ordered_json& json);

/// A cell of a table by RFC 4180: quoted where a comma, a quote or a line break is in it.
std::string csv_cell(const std::string& text);

using volley::compiler, volley::cpu_model, volley::environment_of, volley::grouped;

/// `text` as one word for a shell, to be copied by hand: quoted where a shell would read it otherwise.
std::string shell_quoted(const std::string& text);
/// "flatten, linear 784-10, lif"
std::string network_text(const Recipe& recipe);

/// An option of the command line that stands for a field of the recipe. Empty: not given.
struct RecipeOption {
  std::string option;  // "--lr"
  std::string key;     // "optimizer.lr"
  std::string value;
};

/// The recipe with the options that were given. Throws RecipeError naming the option.
Recipe with_options(Recipe recipe, const std::vector<RecipeOption>& options);

/// For an option that takes a whole number from 0 on. Without it CLI11 would wrap -1 around.
CLI::Validator from_zero();

/// --device; `device` is empty where it is not given.
void add_device_option(CLI::App& command, std::string& device);

/// --theme of a command that draws; `theme` receives "light" or "dark".
void add_theme_option(CLI::App& command, std::string& theme);
/// Throws CLI::ValidationError unless the name of a picture says its format: before the work.
void check_picture_name(const std::string& path);
Theme theme_named(const std::string& name);

/// What the recipe uses of its data.
Sources load_data(const Recipe& recipe, const std::string& folder);
/// The same of pictures. Throws RecipeError where its data are others.
Split load_pictures(const Recipe& recipe, const std::string& folder);
/// Its test samples alone; pictures of the training set are not read.
std::shared_ptr<const Source> load_test_data(const Recipe& recipe, const std::string& folder);
/// Its test pictures, as above.
Dataset load_test_pictures(const Recipe& recipe, const std::string& folder);

}  // namespace volley::cli

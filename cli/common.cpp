#include "common.hpp"

#include <algorithm>
#include <cctype>
#include <memory>

#include <volley/device.hpp>

namespace volley::cli {

std::string shell_quoted(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./,:+=@%").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string network_text(const Recipe& recipe) {
  std::string text;
  for (const LayerRecipe& layer : recipe.network) {
    if (!text.empty()) text += ", ";
    text += std::visit([](const auto& options) { return options.kKind; }, layer);
    if (!layer.node.name.empty()) text += " " + layer.node.name;
    if (const auto* linear = std::get_if<LinearRecipe>(&layer))
      text += fmt::format(" {}-{}", linear->in, linear->out);
    if (const auto* conv = std::get_if<volley::Conv2dOptions>(&layer))
      text += fmt::format(" {}-{}", conv->in_channels, conv->out_channels);
    if (!layer.node.inputs.empty()) text += fmt::format(" ({})", fmt::join(layer.node.inputs, ", "));
  }
  return text;
}

void add_device_option(CLI::App& command, std::string& device) {
  const auto check = [](const std::string& name) -> std::string {
    try {
      check_device_name(name);
      return "";
    } catch (const ArgumentError& error) {
      return fmt::format("{}, got {}", error.rule(), error.found());
    }
  };
  command
      .add_option("--device", device,
                  "cpu, cuda, cuda:N or auto (volley info lists them); the result is the same bits")
      ->check(CLI::Validator(check, ""));
}

CLI::Validator from_zero() {
  const auto check = [](const std::string& text) {
    const bool whole =
        !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    return whole ? "" : fmt::format("must be a whole number >= 0, got '{}'", text);
  };
  return CLI::Validator(check, "");
}

Recipe with_options(Recipe recipe, const std::vector<RecipeOption>& options) {
  for (const RecipeOption& option : options) {
    if (option.value.empty()) continue;
    try {
      recipe = with_settings(recipe, {option.key + "=" + option.value});
    } catch (const RecipeError& error) {
      throw RecipeError(fmt::format("{}: {}", option.option, error.what()));
    }
  }
  return recipe;
}

void add_theme_option(CLI::App& command, std::string& theme) {
  theme = "light";
  command.add_option("--theme", theme, "Of the picture: light or dark")
      ->check(CLI::IsMember({"light", "dark"}))
      ->capture_default_str();
}

void check_picture_name(const std::string& path) {
  try {
    static_cast<void>(format_of(path));
  } catch (const Error& error) {
    throw CLI::ValidationError(error.what());
  }
}

Theme theme_named(const std::string& name) { return name == "dark" ? Theme::dark : Theme::light; }

namespace {

void check_pictures(const Recipe& recipe) {
  if (is_array_path(recipe.data))
    throw RecipeError(fmt::format("data: expected pictures, got the arrays of '{}'", recipe.data));
}

}  // namespace

Dataset load_test_pictures(const Recipe& recipe, const std::string& folder) {
  check_pictures(recipe);
  Dataset data = datasets::load_part(recipe.data, datasets::Part::test, folder);
  return recipe.test_samples > 0 ? data.first(recipe.test_samples) : std::move(data);
}

std::shared_ptr<const Source> load_test_data(const Recipe& recipe, const std::string& folder) {
  if (is_array_path(recipe.data)) return load_data(recipe, folder).test;
  return std::make_shared<PictureSource>(std::make_shared<const Dataset>(load_test_pictures(recipe, folder)));
}

Split load_pictures(const Recipe& recipe, const std::string& folder) {
  check_pictures(recipe);
  return recipe.take(datasets::load(recipe.data, folder));
}

Sources load_data(const Recipe& recipe, const std::string& folder) {
  if (is_array_path(recipe.data)) return recipe.take(load_sources(recipe.data));
  return sources_of(load_pictures(recipe, folder));
}

}  // namespace volley::cli

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include <volley/dataset.hpp>
#include <volley/known_sets.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "figures/run_figures.hpp"
#include "interrupt.hpp"

namespace {

namespace datasets = volley::datasets;

struct DataOptions {
  std::string name;
  std::string folder;
  std::string out;
  std::string split = "test";
  std::string theme;
  std::size_t first = 0;
  std::size_t count = 40;
};

std::string state_text(const datasets::Info& info) {
  switch (info.state) {
    case datasets::Info::State::missing: return info.hashed ? "missing" : "missing (cannot be fetched)";
    case datasets::Info::State::ready:
      return "in " + info.place.string() + (info.hashed ? "" : " (lengths checked)");
    case datasets::Info::State::wrong: return "WRONG, in " + info.place.string();
  }
  return {};
}

void list_sets(const DataOptions& options) {
  static constexpr char kRow[] = "{:<15} {:<15} {:<16} {:<12} {:>7}  {}\n";
  volley::cli::say(kRow, "NAME", "SET", "TRAIN + TEST", "PICTURE", "CLASSES", "FILES");
  for (const datasets::Info& info : datasets::list(options.folder)) {
    volley::cli::say(kRow, info.name, info.title,
                     fmt::format("{} + {}", info.train_samples, info.test_samples), info.shape.text(),
                     info.classes.size(), state_text(info));
    if (!info.problem.empty()) volley::cli::say("    {}\n", info.problem);
  }
}

void fetch_set(const DataOptions& options) {
  const volley::cli::Interrupts interrupts;
  datasets::FetchHooks hooks;
  hooks.report = [](const std::string& line) { std::fputs((line + "\n").c_str(), stderr); };
  hooks.cancelled = [] { return volley::cli::Interrupts::asked(); };
  const std::filesystem::path place = datasets::fetch(options.name, options.folder, hooks);
  volley::cli::say("{}\n", place.string());
}

/// The last folder's name of a path, which becomes a part of a file's name.
std::string name_of(const std::string& set) {
  return (std::filesystem::path(set) / "").parent_path().filename().string();
}

void show_set(const DataOptions& options) {
  if (!options.out.empty()) volley::cli::check_picture_name(options.out);
  const volley::Split split = datasets::load(options.name, options.folder);
  const volley::Dataset& data = options.split == "train" ? split.train : split.test;
  const std::string out =
      options.out.empty() ? fmt::format("{}_{}.png", name_of(options.name), options.split) : options.out;
  volley::write_figure(volley::dataset_figure(data, options.first, options.count), out,
                       volley::cli::theme_named(options.theme));
  volley::cli::say("{}\n", out);
}

void add_folder_option(CLI::App& command, DataOptions& options) {
  command.add_option("--data-dir", options.folder,
                     "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
}

}  // namespace

void add_data_command(CLI::App& app) {
  const auto options = std::make_shared<DataOptions>();
  CLI::App* data = app.add_subcommand("data", "Data sets: what there is, getting them, looking at them");
  data->require_subcommand(1);
  data->footer("Example: volley data fetch mnist");

  CLI::App* list = data->add_subcommand("list", "The sets that Volley knows, and whether they are here");
  add_folder_option(*list, *options);
  list->footer("Example: volley data list");
  list->callback([options] { list_sets(*options); });

  CLI::App* fetch =
      data->add_subcommand("fetch", "Gets a set, checks every file, keeps it for the next time");
  fetch->add_option("NAME", options->name, "The set; of those that cannot be fetched, says what to put where")
      ->required()
      ->check(CLI::IsMember(datasets::names()));
  add_folder_option(*fetch, *options);
  fetch->footer("Example: volley data fetch fashion_mnist --data-dir data");
  fetch->callback([options] { fetch_set(*options); });

  CLI::App* show =
      data->add_subcommand("show", "Some pictures of a set with their labels, as one PNG or SVG file");
  show->add_option("NAME", options->name, "The set, or a folder of pictures by class (a path with a /)")
      ->required()
      ->check([](const std::string& name) {
        return datasets::is_picture_folder(name) ? "" : CLI::IsMember(datasets::names())(name);
      });
  show->add_option("--split", options->split, "Of the training or of the test pictures")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  show->add_option("--first", options->first, "Number of the first picture, from 0")
      ->check(volley::cli::from_zero())
      ->capture_default_str();
  show->add_option("--count", options->count, "How many")->check(CLI::Range(1, 1000))->capture_default_str();
  show->add_option("--out", options->out, "The file to write, .png or .svg (default: NAME_SPLIT.png here)");
  volley::cli::add_theme_option(*show, options->theme);
  add_folder_option(*show, *options);
  show->footer("Example: volley data show mnist --split train --count 60 --out mnist.png");
  show->callback([options] { show_set(*options); });
}

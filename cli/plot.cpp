#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/seeds_folder.hpp>
#include <volley/text.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "figures/gnuplot.hpp"
#include "interrupt.hpp"
#include "run_pictures.hpp"

namespace {

namespace fs = std::filesystem;
using namespace volley;
using cli::say;

struct PlotOptions {
  std::string run;
  std::vector<std::string> figures;
  std::string format = "png";
  std::string theme;
  std::string out;
  std::string checkpoint = "best";
  std::string data_dir;
  std::size_t index = 0;
};

const RunFigure& figure_named(const std::string& name) {
  std::vector<std::string> names;
  for (const RunFigure& figure : run_figures()) {
    if (figure.name == name) return figure;
    names.push_back(figure.name);
  }
  throw CLI::ValidationError(fmt::format("unknown figure '{}'{}", name, suggestion(name, names)));
}

fs::path out_folder(const PlotOptions& options) {
  fs::path folder =
      options.out.empty() ? fs::path(options.run) / run_folder::kFigures : fs::path(options.out);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot make the folder: " + error.message());
  return folder;
}

/// The figures of a folder of several seeds.
void plot_seeds(const PlotOptions& options) {
  if (gnuplot::version().empty()) throw Error(fmt::format("[figures] {}", gnuplot::kInstall));
  const cli::Interrupts interrupts;
  const PictureFormat format = options.format == "svg" ? PictureFormat::svg : PictureFormat::png;
  for (const fs::path& path : cli::draw_seeds(options.run, out_folder(options), options.figures, format,
                                              cli::theme_named(options.theme), cli::Interrupts::asked)) {
    say("{:<11} {}\n", path.stem().string(), path.string());
  }
}

void plot(const PlotOptions& options) {
  if (seeds_folder::is_one(options.run)) return plot_seeds(options);
  std::vector<const RunFigure*> wanted;
  for (const std::string& name : options.figures) wanted.push_back(&figure_named(name));
  const bool all = wanted.empty();
  for (const RunFigure& figure : run_figures()) {
    if (all) wanted.push_back(&figure);
  }
  if (gnuplot::version().empty()) throw Error(fmt::format("[figures] {}", gnuplot::kInstall));
  const cli::Interrupts interrupts;
  cli::RunPictures pictures(options.run, {.checkpoint = options.checkpoint, .data_dir = options.data_dir},
                            options.index, cli::Interrupts::asked);
  const fs::path folder = out_folder(options);
  std::vector<std::pair<const RunFigure*, std::string>> missing;
  for (const RunFigure* figure : wanted) {
    try {
      const fs::path path =
          pictures.write(*figure, folder, options.format == "svg" ? PictureFormat::svg : PictureFormat::png,
                         cli::theme_named(options.theme));
      say("{:<11} {}\n", figure->name, path.string());
    } catch (const Error& error) {
      if (cli::Interrupts::asked() || !all) throw Error(fmt::format("{}: {}", figure->name, error.what()));
      missing.emplace_back(figure, error.what());
    }
  }
  if (!missing.empty()) say("not drawn:\n");
  for (const auto& [figure, why] : missing) say("{:<11} {}\n", figure->name, why);
  if (missing.size() == wanted.size()) throw Error("no figure could be drawn");
}

}  // namespace

void add_plot_command(CLI::App& app) {
  const auto options = std::make_shared<PlotOptions>();
  CLI::App* command = app.add_subcommand("plot", "Figures of a run, as PNG or SVG files");
  command->add_option("RUN", options->run, "A run folder that volley train wrote")->required();
  command->add_option("FIGURE", options->figures, "Which (see below; default: all that this run allows)");
  command->add_option("--format", options->format, "png or svg")
      ->check(CLI::IsMember({"png", "svg"}))
      ->capture_default_str();
  volley::cli::add_theme_option(*command, options->theme);
  command->add_option("--out", options->out, "The folder to write into (default: RUN/figures)");
  command
      ->add_option("--index", options->index,
                   "The test picture that encoding, raster, membrane and heatmap show")
      ->check(volley::cli::from_zero())
      ->capture_default_str();
  command->add_option("--checkpoint", options->checkpoint, "The best epoch's or the latest one's")
      ->check(CLI::IsMember({"best", "latest"}))
      ->capture_default_str();
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  std::string figures;
  for (const RunFigure& figure : run_figures())
    figures += fmt::format("\n  {:<11} {}", figure.name, figure.shows);
  command->footer(fmt::format(
      "Figures:{}\nExample: volley plot runs/lif_fc_mnist-20260102-030405 loss accuracy --theme dark",
      figures));
  command->callback([options] { plot(*options); });
}

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "data/image.hpp"
#include "data/known_set.hpp"
#include "figures/run_figures.hpp"
#include "trained_run.hpp"

namespace {

using namespace volley;
using cli::say;

struct PredictOptions {
  std::string run;
  std::string image;
  std::optional<std::size_t> index;
  std::string plot;
  std::string theme;
  std::string checkpoint = "best";
  std::string steps;
  std::string data_dir;
  bool json = false;
};

/// What the pictures of the run's set are like: their shape and classes, without the pictures where it is a
/// set that is known by name.
Dataset like_those_of(const PredictOptions& options) {
  const Recipe recipe = run_folder::load_recipe(options.run);
  if (datasets::is_picture_folder(recipe.data)) {
    return cli::load_test_data(recipe, options.data_dir).first(1);
  }
  const KnownSet& set = known_set(recipe.data);
  return {.name = set.name, .shape = set.shape, .pixels = {}, .labels = {}, .classes = set.classes};
}

/// The image as a set of one, in the shape that the network was trained on.
Dataset read_picture(const PredictOptions& options) {
  const Dataset known = like_those_of(options);
  const bool colours = known.shape[0] == 3;
  Dataset picture = read_image(options.image, kMostImagePixels, colours ? Colours::as_stored : Colours::grey);
  if (picture.shape != known.shape) {
    throw FileError(
        options.image,
        fmt::format("must be a picture of {} x {} pixels{}, as those of {}, got {} x {}{}", known.shape[2],
                    known.shape[1], colours ? " in colour" : "", known.name, picture.shape[2],
                    picture.shape[1], colours && picture.shape[0] == 1 ? " in grey" : ""));
  }
  picture.name = options.image;
  picture.classes = known.classes;
  return picture;
}

/// What the network said of one picture.
struct Answer {
  SampleLife life;
  std::vector<std::string> names;            // of the outputs
  std::optional<std::vector<double>> rates;  // of the outputs, where these fire
};

Answer answer_of(const cli::TrainedRun& run, std::size_t sample) {
  Answer answer{.life = run.inspect(sample), .names = run.data().classes};
  const SampleLife& life = answer.life;
  for (std::size_t k = answer.names.size(); k < life.scores.size(); ++k) {
    answer.names.push_back(fmt::format("output {}", k));
  }
  if (!life.layers.empty()) {
    const LayerLife& last = life.layers.back();
    if (last.neurons() == life.scores.size() && !last.spikes.empty()) answer.rates = firing_rates(last);
  }
  return answer;
}

void print_text(const PredictOptions& options, const cli::TrainedRun& run, const Answer& answer) {
  const SampleLife& life = answer.life;
  say("run      {}, checkpoint {}, epoch {}\n", options.run, options.checkpoint,
      run.checkpoint().epoch().epoch);
  if (options.index.has_value()) {
    say("picture  {} of {}, labelled {}\n", *options.index, run.data().name,
        answer.names[run.data().labels[*options.index]]);
  } else {
    say("picture  {}\n", options.image);
  }
  say("class    {}\n\n", answer.names[life.prediction]);
  std::size_t width = 5;
  for (const std::string& name : answer.names) width = std::max(width, name.size());
  say("{:<{}}  {:>9}  {}\n", "class", width, "score", answer.rates.has_value() ? "firing rate" : "");
  for (std::size_t k = 0; k < answer.names.size(); ++k) {
    say("{:<{}}  {:>9.4f}", answer.names[k], width, life.scores[k]);
    if (answer.rates.has_value()) {
      const double rate = (*answer.rates)[k];
      say("  {:>6.4f}  {}", rate, std::string(static_cast<std::size_t>(std::lround(rate * 40)), '#'));
    }
    say("\n");
  }
}

void print_json(const PredictOptions& options, const cli::TrainedRun& run, const Answer& answer) {
  nlohmann::ordered_json json{{"run", options.run},
                              {"checkpoint", options.checkpoint},
                              {"epoch", run.checkpoint().epoch().epoch},
                              {"steps", answer.life.steps},
                              {"prediction", answer.life.prediction},
                              {"class", answer.names[answer.life.prediction]},
                              {"classes", answer.names},
                              {"scores", answer.life.scores}};
  if (answer.rates.has_value()) json["rates"] = *answer.rates;
  if (options.index.has_value()) {
    json["index"] = *options.index;
    json["label"] = run.data().labels[*options.index];
  } else {
    json["image"] = options.image;
  }
  say("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void predict_picture(const PredictOptions& options) {
  if (options.image.empty() != options.index.has_value()) {
    throw CLI::ValidationError("one of IMAGE and --index must be given");
  }
  if (!options.plot.empty()) cli::check_picture_name(options.plot);
  const cli::TrainedRunOptions loaded{
      .checkpoint = options.checkpoint, .data_dir = options.data_dir, .steps = options.steps};
  std::optional<Dataset> picture;
  if (!options.index.has_value()) picture = read_picture(options);
  cli::TrainedRun run(options.run, loaded, std::move(picture));
  const Answer answer = answer_of(run, options.index.value_or(0));
  if (!options.plot.empty()) {
    write_figure(predict_figure({.net = &run.net(), .data = &run.data(), .life = &answer.life}), options.plot,
                 cli::theme_named(options.theme));
  }
  (options.json ? print_json : print_text)(options, run, answer);
}

}  // namespace

void add_predict_command(CLI::App& app) {
  const auto options = std::make_shared<PredictOptions>();
  CLI::App* command = app.add_subcommand("predict", "What a trained run takes one picture for, and why");
  command->add_option("RUN", options->run, "A run folder that volley train wrote")->required();
  command->add_option("IMAGE", options->image, "A PNG or PGM file of the size that the run was trained on");
  command->add_option("--index", options->index, "A picture of the run's test set, from 0, in place of IMAGE")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--plot", options->plot,
                      "Draw the picture, its spikes and the scores into this PNG or SVG file");
  volley::cli::add_theme_option(*command, options->theme);
  command->add_option("--checkpoint", options->checkpoint, "The best epoch's or the latest one's")
      ->check(CLI::IsMember({"best", "latest"}))
      ->capture_default_str();
  command->add_option("-T,--steps", options->steps, "Time steps, other than those of the training");
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_flag("--json", options->json, "As JSON");
  command->footer("Example: volley predict runs/lif_fc_mnist-20260102-030405 --index 7 --plot seven.png");
  command->callback([options] { predict_picture(*options); });
}

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
#include <volley/run_folder.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "figures/run_figures.hpp"
#include "predict.hpp"

namespace {

using namespace volley;
using cli::PredictOptions;
using cli::say;

/// What the network said of one picture.
struct Answer {
  SampleLife life;
  std::vector<std::string> names;            // of the outputs
  std::optional<std::vector<double>> rates;  // of the outputs, where these fire
  std::vector<std::size_t> best;             // the outputs of the highest score
  std::string note;                          // of the picture

  bool silent() const { return std::ranges::count(life.scores, 0.0f) == std::ssize(life.scores); }
};

Answer answer_of(const cli::TrainedRun& run, std::size_t sample, std::string note) {
  Answer answer{.life = run.inspect(sample), .note = std::move(note)};
  const SampleLife& life = answer.life;
  answer.names = cli::output_names(run.data(), life.scores.size());
  for (std::size_t k = 0; k < life.scores.size(); ++k) {
    if (life.scores[k] == life.scores[life.prediction]) answer.best.push_back(k);
  }
  if (!life.layers.empty()) {
    const LayerLife& last = life.layers.back();
    if (last.neurons() == life.scores.size() && !last.spikes.empty()) answer.rates = firing_rates(last);
  }
  return answer;
}

/// "seven", "seven (tied with nine)", or that there is none.
std::string class_text(const Answer& answer) {
  if (answer.silent()) return "none: no output fired, all scores are 0";
  std::string text = readable_line(answer.names[answer.life.prediction]);
  for (std::size_t i = 1; i < answer.best.size(); ++i) {
    text += fmt::format("{}{}", i == 1 ? " (tied with " : ", ", readable_line(answer.names[answer.best[i]]));
  }
  return answer.best.size() > 1 ? text + ")" : text;
}

void print_text(const PredictOptions& options, const cli::TrainedRun& run, const Answer& answer) {
  const SampleLife& life = answer.life;
  say("run      {}, checkpoint {}, epoch {}\n", options.run, options.checkpoint,
      run.checkpoint().epoch().epoch);
  if (options.index.has_value()) {
    say("picture  {} of {}, labelled {}\n", *options.index, run.data().name,
        readable_line(answer.names[run.data().labels[*options.index]]));
  } else {
    say("picture  {}\n", options.image);
  }
  say("class    {}\n", class_text(answer));
  if (!answer.note.empty()) say("note     {}\n", answer.note);
  say("\n");
  std::size_t width = 5;
  for (const std::string& name : answer.names) width = std::max(width, readable_line(name).size());
  say("{:<{}}  {:>9}  {}\n", "class", width, "score", answer.rates.has_value() ? "firing rate" : "");
  for (std::size_t k = 0; k < answer.names.size(); ++k) {
    say("{:<{}}  {:>9.4f}", readable_line(answer.names[k]), width, life.scores[k]);
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
                              {"silent", answer.silent()},
                              {"classes", answer.names},
                              {"scores", answer.life.scores}};
  if (answer.silent()) json["prediction"] = json["class"] = nullptr;
  if (answer.best.size() > 1) json["tied"] = answer.best;
  if (!answer.note.empty()) json["note"] = answer.note;
  if (answer.rates.has_value()) json["rates"] = *answer.rates;
  if (options.index.has_value()) {
    json["index"] = *options.index;
    json["label"] = run.data().labels[*options.index];
  } else {
    json["image"] = options.image;
  }
  say("{}", cli::json_text(json));
}

void predict_picture(const PredictOptions& options) {
  if (options.image.empty() != options.index.has_value()) {
    throw CLI::ValidationError("one of IMAGE and --index must be given");
  }
  if (options.index.has_value() && (options.own.resize || options.own.invert))
    throw CLI::ValidationError("--resize and --invert are for an IMAGE, not for --index");
  std::error_code ignored;
  if (std::filesystem::is_directory(options.image, ignored)) {
    if (!options.plot.empty()) throw CLI::ValidationError("--plot is for one picture, not for a folder");
    return cli::predict_folder(options);
  }
  if (!options.out.empty()) throw CLI::ValidationError("--out is for a folder of pictures");
  if (!options.plot.empty()) cli::check_picture_name(options.plot);
  std::optional<Dataset> picture;
  std::string note;
  if (!options.index.has_value()) {
    const Recipe recipe = run_folder::load_recipe(options.run);
    cli::OwnPictures::Read read = cli::OwnPictures(recipe, options.data_dir, options.own).read(options.image);
    picture = std::move(read.picture);
    note = std::move(read.note);
  }
  cli::TrainedRun run(options.run, options.loaded(), std::move(picture));
  const Answer answer = answer_of(run, options.index.value_or(0), std::move(note));
  if (!options.plot.empty()) {
    const FigureSource source{
        .net = &run.net(), .data = &run.data(), .life = &answer.life, .labelled = options.index.has_value()};
    write_figure(predict_figure(source), options.plot, cli::theme_named(options.theme));
  }
  (options.json ? print_json : print_text)(options, run, answer);
}

}  // namespace

void add_predict_command(CLI::App& app) {
  const auto options = std::make_shared<PredictOptions>();
  CLI::App* command = app.add_subcommand("predict", "What a trained run takes pictures for, and why");
  command->add_option("RUN", options->run, "A run folder that volley train wrote")->required();
  command->add_option("IMAGE", options->image,
                      "A PNG, JPEG, BMP or PGM file; colours become grey by ITU-R 601 where the run's "
                      "pictures are grey. Or a "
                      "folder: all pictures in it, as CSV");
  command->add_option("--index", options->index, "A picture of the run's test set, from 0, in place of IMAGE")
      ->check(volley::cli::from_zero());
  command->add_option("--plot", options->plot,
                      "Draw the picture, its spikes and the scores into this PNG or SVG file");
  volley::cli::add_theme_option(*command, options->theme);
  command->add_option("--checkpoint", options->checkpoint, "The best epoch's or the latest one's")
      ->check(CLI::IsMember({"best", "latest"}))
      ->capture_default_str();
  command->add_option("-T,--steps", options->steps, "Time steps, other than those of the training");
  volley::cli::add_device_option(*command, options->device);
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_flag(
      "--resize", options->own.resize,
      "Scales IMAGE to the size of the run's pictures: means of areas where it shrinks, bilinear "
      "where it grows");
  command->add_flag("--invert", options->own.invert,
                    "Turns IMAGE over: black becomes white, as MNIST has digits");
  command->add_option("--out", options->out, "Of a folder: the file to write (default: standard output)");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Examples:\n"
      "  volley predict runs/lif_fc_mnist-20260102-030405 --index 7 --plot seven.png\n"
      "  volley predict runs/lif_fc_mnist-20260102-030405 scans --resize --invert --out predictions.csv");
  command->callback([options] { predict_picture(*options); });
}

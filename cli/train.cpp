#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <volley/seeds_folder.hpp>
#include <volley/volley.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "train_run.hpp"

namespace {

using namespace volley;
using cli::TrainOptions;

/// What the words of the command line must not say together.
void check_options(const TrainOptions& options) {
  if (options.resume.empty() && options.recipe.empty()) throw CLI::RequiredError("RECIPE");
  if (options.resume.empty() && options.force) throw RecipeError("--force is for --resume");
  if (!options.resume.empty() && options.seeds.has_value())
    throw RecipeError("--resume takes the seeds from its folder, got --seeds too");
  if (options.resume.empty()) return;
  if (!options.recipe.empty()) {
    throw RecipeError(
        fmt::format("--resume takes the recipe from its run folder, got RECIPE '{}' too", options.recipe));
  }
  if (!options.out.empty()) throw RecipeError("--resume goes on in its run folder, got --out too");
}

/// A single training.
void train_one(const TrainOptions& options) {
  cli::TrainJob job;
  if (!options.resume.empty()) job.paused.emplace(run_folder::open(options.resume));
  job.recipe = cli::with_given(job.paused ? job.paused->recipe : load_recipe(options.recipe), options);
  const Sources data = cli::load_and_balance(job.recipe, options);
  job.folder = [name = job.recipe.name, &options] { return run_folder::create(name, options.out); };
  const History history = cli::run_training(options, std::move(job), data);
  if (history.stopped) throw CLI::RuntimeError(130);
}

void train(const TrainOptions& options) {
  check_options(options);
  const bool seeds =
      options.seeds.has_value() || (!options.resume.empty() && seeds_folder::is_one(options.resume));
  seeds ? cli::train_seeds(options) : train_one(options);
}

}  // namespace

void add_train_command(CLI::App& app) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App* command = app.add_subcommand("train", "Trains a network and writes a run folder");
  command->add_option("RECIPE", options->recipe, "A built-in recipe (see below) or a TOML file");
  command->add_option("-T,--steps", options->steps, "Time steps");
  command->add_option("-b,--batch", options->batch, "Samples in a batch");
  command->add_option("--epochs", options->epochs, "Passes over the training set");
  command->add_option("--lr", options->lr, "Learning rate");
  command->add_option("--optimizer", options->optimizer, "adam, adamw or sgd, with that one's defaults");
  command->add_option("--tau", options->tau, "Membrane time constant in steps, of every neuron that has one");
  command->add_option("--seed", options->seed, "Of the weights, the shuffling and the encoder");
  command->add_option("--seeds", options->seeds,
                      "Trains this number of seeds, from --seed on, and gives their mean and spread");
  command->add_option("--early-stopping", options->early_stopping,
                      "Ends after this number of epochs without a better accuracy, of validation or else of "
                      "the test (0: never)");
  command->add_option("--threads", options->threads, "0: one per processor; the result is the same bits");
  cli::add_device_option(*command, options->device);
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_option("--out", options->out, "The run folder, new or empty (default: runs/RECIPE-DATE-TIME)");
  command->add_option("--resume", options->resume,
                      "A run folder: goes on where its training stopped, to the same end");
  command->add_flag("--no-figures", options->no_figures, "Draws none at the end (they need gnuplot)");
  command->add_flag("--force", options->force,
                    "Resumes though recipe, data or version have changed, to another end");
  command
      ->add_option("--checkpoint-every", options->checkpoint_every,
                   "Epochs (2, 2e) or minutes (10m) between checkpoints")
      ->capture_default_str();
  command
      ->add_option("--set", options->settings, "key=value, any field of the recipe: network.2.v_reset=none")
      ->allow_extra_args(false);
  command->add_flag("--tensorboard", options->tensorboard,
                    "Writes event files for TensorBoard into the run folder too");
  std::string names;
  for (const std::string& name : builtin_recipes()) names += "\n  " + name;
  command->footer(
      fmt::format("Built-in recipes:{}\nExample: volley train lif_fc_mnist --epochs 5 --set "
                  "network.2.surrogate=sigmoid",
                  names));
  command->callback([options] { train(*options); });
}

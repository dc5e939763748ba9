#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/recorder.hpp>
#include <volley/run_folder.hpp>

namespace volley::cli {

/// The words of `volley train`, empty where they are not given.
struct TrainOptions {
  std::string recipe;
  std::string steps, batch, epochs, lr, optimizer, tau, seed, threads, device, early_stopping;
  std::string data_dir;
  std::string out;
  std::string resume;
  std::optional<std::size_t> seeds;
  std::string checkpoint_every = "1e";
  bool force = false;
  bool no_figures = false;
  bool tensorboard = false;
  std::vector<std::string> settings;
};

/// The recipe with what the words say. Throws RecipeError naming the word.
Recipe with_given(Recipe recipe, const TrainOptions& options);
/// What the recipe uses of its data, and the recipe with the class weights that "balanced" means there.
Sources load_and_balance(Recipe& recipe, const TrainOptions& options);
/// The command that goes on with the training in `folder`.
std::string resume_command(const TrainOptions& options, const std::filesystem::path& folder);

/// A training: a new one, or one that goes on.
struct TrainJob {
  Recipe recipe;
  std::optional<run_folder::Paused> paused;             // the run to go on with, where there is one
  std::function<run_folder::Lock()> folder;             // makes the run folder of a new one
  std::string part{};                                   // "seed 1 (2 of 3)"; empty: it is the only one
  std::function<std::filesystem::path()> resumed_by{};  // what --resume is given, where not the run folder
};

/// Trains, writes the run folder, and prints how it goes, until it is done or interrupted. `data` is what the
/// recipe uses. Nothing is written where the training is refused.
History run_training(const TrainOptions& options, TrainJob job, const Sources& data);

/// `volley train RECIPE --seeds N`, and --resume of its folder.
void train_seeds(const TrainOptions& options);

}  // namespace volley::cli

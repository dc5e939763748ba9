#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/files.hpp>
#include <volley/seeds_folder.hpp>

#include "common.hpp"
#include "figures/gnuplot.hpp"
#include "interrupt.hpp"
#include "run_pictures.hpp"
#include "run_spread.hpp"
#include "train_run.hpp"

namespace fs = std::filesystem;

namespace volley::cli {
namespace {

/// The seeds that a command trains, and their folder: one that is made when the first run is, or one that is
/// there.
struct Seeds {
  Recipe recipe;  // with the first seed
  std::vector<std::uint32_t> all;
  std::optional<run_folder::Lock> lock;  // of the folder, from when it is there

  const fs::path& folder() const { return lock->folder(); }
  fs::path run_of(std::uint32_t seed) const { return seeds_folder::run_of(folder(), seed); }
};

Recipe with_seed(const Recipe& recipe, std::uint32_t seed) {
  return with_settings(recipe, {fmt::format("training.seed={}", seed)});
}

Seeds begun(const TrainOptions& options) {
  const bool by_set = std::ranges::any_of(
      options.settings, [](const std::string& text) { return text.starts_with("training.seed="); });
  if (!options.seed.empty() || by_set) {
    throw RecipeError(fmt::format("{}: --resume takes the seeds from its folder",
                                  by_set ? "--set training.seed" : "--seed"));
  }
  std::vector<std::uint32_t> all = seeds_folder::seeds(options.resume);
  Seeds seeds{.recipe = with_given(seeds_folder::recipe(options.resume), options),
              .all = std::move(all),
              .lock = std::nullopt};
  seeds.lock.emplace(options.resume);
  return seeds;
}

Seeds new_ones(const TrainOptions& options) {
  Recipe recipe = with_given(load_recipe(options.recipe), options);
  std::vector<std::uint32_t> all = seeds_folder::seeds_from(recipe, *options.seeds, "--seeds");
  return {.recipe = std::move(recipe), .all = std::move(all), .lock = std::nullopt};
}

/// Where the run of a seed goes on from, if it has begun.
std::optional<run_folder::Paused> paused_run(const Seeds& seeds, std::uint32_t seed) {
  if (!seeds.lock.has_value() || !fs::exists(seeds.run_of(seed) / run_folder::kRecipe)) return std::nullopt;
  return run_folder::open(seeds.run_of(seed));
}

/// Makes the run folder of a seed, and before the first of them the folder of all.
run_folder::Lock make_folder(Seeds& seeds, std::uint32_t seed, const TrainOptions& options) {
  if (!seeds.lock.has_value()) seeds.lock.emplace(seeds_folder::create(seeds.recipe, seeds.all, options.out));
  fs::create_directories(seeds.run_of(seed));
  return run_folder::Lock(seeds.run_of(seed));
}

bool is_done(const Checkpoint& checkpoint, const Recipe& recipe) {
  const TrainerPosition& position = checkpoint.position();
  const std::size_t patience = recipe.training.early_stopping;
  const bool stalled = patience > 0 && position.iteration == 0 && position.epochs_since_best >= patience;
  return stalled || position.epoch - 1 == recipe.epochs;
}

/// Trains the seed at `place` as far as it is not done; false when it was interrupted.
bool train_seed(Seeds& seeds, std::size_t place, const TrainOptions& options, std::optional<Sources>& data) {
  const std::uint32_t seed = seeds.all[place];
  const std::string part =
      fmt::format("{}seed {} ({} of {})", place == 0 ? "" : "\n", seed, place + 1, seeds.all.size());
  TrainJob job{.recipe = {},
               .paused = paused_run(seeds, seed),
               .folder = [&] { return make_folder(seeds, seed, options); },
               .part = part,
               .resumed_by = [&] { return seeds.folder(); }};
  job.recipe = job.paused ? with_given(job.paused->recipe, options) : with_seed(seeds.recipe, seed);
  if (!data.has_value() || job.recipe.validation > 0) data = load_data(job.recipe, options.data_dir);
  job.recipe = job.recipe.balanced_by(*data->train);
  if (job.paused && !options.force) run_folder::check_unchanged(*job.paused, job.recipe, sha256_of(*data));
  // What the command line changes holds for the seeds that have not begun as well.
  if (seeds.lock.has_value()) write_file_whole(seeds.folder() / run_folder::kRecipe, to_toml(seeds.recipe));
  if (job.paused && job.paused->checkpoint && is_done(*job.paused->checkpoint, job.recipe)) {
    say("{}\ndone        {}\n", part, seeds.run_of(seed).string());
    return true;
  }
  return !run_training(options, std::move(job), *data).stopped;
}

void print_spread(const std::vector<RunRecord>& runs) {
  const std::vector<EpochNumber> numbers = epoch_numbers(runs);
  const auto row = [&](const char* what, const std::vector<EpochRecord>& epochs) {
    std::string means = fmt::format("{:<12}", what), spreads = fmt::format("{:<12}", "  spread");
    for (const EpochNumber& number : numbers) {
      const auto [mean, spread] = mean_and_spread(epochs, number.value);
      const int digits = std::string_view(number.name).ends_with("acc") ? 4 : 5;
      means += fmt::format("{:>16.{}f}", mean, digits);
      spreads += fmt::format("{:>16.{}f}", spread, digits);
    }
    say("{}\n{}\n", means, spreads);
  };
  say("\nseeds {}: mean, and as spread the standard deviation of a sample (n - 1)\n{:<12}", seeds_text(runs),
      "");
  for (const EpochNumber& number : numbers) say("{:>16}", number.name);
  say("\n");
  row("best", best_of_each(runs));
  row("last", last_of_each(runs));
}

/// The figures of all seeds; what became of them, for a line of the output.
std::string draw(const fs::path& folder) try {
  if (gnuplot::version().empty()) return fmt::format("none: {}", gnuplot::kInstall);
  const Interrupts interrupts;
  const fs::path out = folder / run_folder::kFigures;
  draw_seeds(folder, out, {}, PictureFormat::png, Theme::light, Interrupts::asked);
  return out.string();
} catch (const std::exception& error) {  // trainings do not fail by their figures
  return fmt::format("none: {}", error.what());
}

void print_end(const Seeds& seeds, const TrainOptions& options) {
  const std::string folder = seeds.folder().string();
  print_spread(seeds_folder::read_runs(seeds.folder()));
  say("\nfolder      {}\n", folder);
  if (!options.no_figures) {
    std::fflush(stdout);
    say("figures     {}\n", draw(seeds.folder()));
  }
  say("try next    volley report {}\n", shell_quoted(folder));
}

}  // namespace

void train_seeds(const TrainOptions& options) {
  Seeds seeds = options.resume.empty() ? new_ones(options) : begun(options);
  std::optional<Sources> data;
  for (std::size_t i = 0; i < seeds.all.size(); ++i) {
    if (!train_seed(seeds, i, options, data)) throw CLI::RuntimeError(130);
    // A Ctrl-C while the figures of a run were drawn: the next one does not begin.
    if (!Interrupts::asked() || i + 1 == seeds.all.size()) continue;
    say("resume      {}\n", resume_command(options, seeds.folder()));
    throw CLI::RuntimeError(130);
  }
  print_end(seeds, options);
}

}  // namespace volley::cli

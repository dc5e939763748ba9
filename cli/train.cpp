#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <volley/volley.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "core/nearest.hpp"
#include "interrupt.hpp"
#include "kernels/targets.hpp"
#include "progress.hpp"
#include "run_pictures.hpp"
#include "storage/run_recorder.hpp"
#include "storage/tensorboard.hpp"

namespace {

using namespace volley;
using cli::say;

struct TrainOptions {
  std::string recipe;
  std::string steps, batch, epochs, lr, optimizer, tau, seed, threads;
  std::string data_dir;
  std::string out;
  std::string resume;
  std::string checkpoint_every = "1e";
  bool force = false;
  bool no_figures = false;
  bool tensorboard = false;
  std::vector<std::string> settings;
};

/// `--tau` is for every neuron that has one.
std::vector<cli::RecipeOption> tau_options(const Recipe& recipe, const std::string& tau) {
  std::vector<cli::RecipeOption> options;
  for (std::size_t i = 0; i < recipe.network.size(); ++i) {
    const auto look = [&](std::string_view name, const auto&, const Range&) {
      if (name == "tau") options.push_back({"--tau", fmt::format("network.{}.tau", i), tau});
    };
    std::visit([&](const auto& layer) { layer.fields(layer, look); }, recipe.network[i]);
  }
  if (options.empty() && !tau.empty()) throw RecipeError("--tau: no layer of this network has a tau");
  return options;
}

Recipe with_given(Recipe recipe, const TrainOptions& options) {
  recipe = cli::with_options(std::move(recipe), {{"-T", "training.steps", options.steps},
                                                 {"-b", "training.batch", options.batch},
                                                 {"--epochs", "epochs", options.epochs},
                                                 {"--optimizer", "optimizer.kind", options.optimizer},
                                                 {"--lr", "optimizer.lr", options.lr},
                                                 {"--seed", "training.seed", options.seed},
                                                 {"--threads", "training.threads", options.threads}});
  recipe = cli::with_options(recipe, tau_options(recipe, options.tau));
  try {
    return with_settings(recipe, options.settings);
  } catch (const RecipeError& error) {
    throw RecipeError(fmt::format("--set: {}", error.what()));
  }
}

/// What the words of the command line must not say together.
void check_options(const TrainOptions& options) {
  if (options.resume.empty() && options.recipe.empty()) throw CLI::RequiredError("RECIPE");
  if (options.resume.empty() && options.force) throw RecipeError("--force is for --resume");
  if (options.resume.empty()) return;
  if (!options.recipe.empty()) {
    throw RecipeError(
        fmt::format("--resume takes the recipe from its run folder, got RECIPE '{}' too", options.recipe));
  }
  if (!options.out.empty()) throw RecipeError("--resume goes on in its run folder, got --out too");
}

CheckpointEvery checkpoint_every(const TrainOptions& options) {
  try {
    return CheckpointEvery::parse(options.checkpoint_every);
  } catch (const Error& error) {
    throw RecipeError(fmt::format("--checkpoint-every: {}", error.what()));
  }
}

/// The command that goes on with the training in `folder`.
std::string resume_command(const TrainOptions& options, const std::filesystem::path& folder) {
  std::string text = "volley train --resume " + cli::shell_quoted(folder.string());
  if (!options.data_dir.empty()) text += " --data-dir " + cli::shell_quoted(options.data_dir);
  if (options.no_figures) text += " --no-figures";
  if (options.checkpoint_every != "1e") text += " --checkpoint-every " + options.checkpoint_every;
  if (options.tensorboard) text += " --tensorboard";
  return text;
}

/// "after epoch 2", "in epoch 3, after 17 of its steps"
std::string place_text(const TrainerPosition& position) {
  if (position.iteration == 0) return fmt::format("after epoch {}", position.epoch - 1);
  return fmt::format("in epoch {}, after {} of its steps", position.epoch, position.iteration);
}

/// "'rose', 'aster'", the classes that a part has no picture of, as far as a line has room; empty for none.
std::string missing_classes(const Dataset& data) {
  constexpr std::size_t kMostNamed = 5;
  std::vector<bool> has(data.classes.size());
  for (const std::uint32_t label : data.labels) has[label] = true;
  std::vector<std::string> names;
  std::size_t missing = 0;
  for (std::size_t k = 0; k < has.size(); ++k) {
    if (!has[k] && ++missing <= kMostNamed) names.push_back(readable_line(data.classes[k]));
  }
  return quoted_list(names) + (missing > kMostNamed ? fmt::format(" and {} more", missing - kMostNamed) : "");
}

void print_header(const Recipe& recipe, const Split& data, Trainer& trainer,
                  const std::filesystem::path& folder) {
  std::size_t parameters = 0;
  for (const NamedParameter& p : trainer.net().parameters()) parameters += p.parameter->value.size();
  const auto kind = [](const auto& variant) {
    return std::visit([](const auto& o) { return o.kKind; }, variant);
  };
  say("recipe      {}{}{}\n", recipe.name, recipe.description.empty() ? "" : ": ", recipe.description);
  say("network     {} ({} parameters)\n", cli::network_text(recipe),
      cli::grouped(static_cast<double>(parameters)));
  say("data        {}: {} training{} and {} test pictures, {}\n", recipe.data, data.train.size(),
      data.validation.size() > 0 ? fmt::format(", {} validation", data.validation.size()) : "",
      data.test.size(), kind(recipe.encoder));
  if (const std::string missing = missing_classes(data.test); !missing.empty())
    say("warning     no test pictures of {}\n", missing);
  say("training    {}, {}, {}; {} epochs, T {}, batch {}, seed {}\n", recipe.rule, kind(recipe.loss),
      kind(recipe.optimizer), recipe.epochs, recipe.training.steps, recipe.training.batch,
      recipe.training.seed);
  say("machine     {}, {}, {} thread{}\n", cli::cpu_model(), kernels::active_target(), trainer.threads(),
      trainer.threads() == 1 ? "" : "s");
  say("run folder  {}\n", folder.string());
  if (trainer.position().iterations > 0) say("resumed     {}\n", place_text(trainer.position()));
  say("\n");
  std::fflush(stdout);
}

void print_table(const std::vector<EpochRecord>& epochs) {
  const bool validated = epochs.back().validation.has_value();
  const auto row = [&](const char* what, const EpochRecord& e) {
    say("{:<6}{:>6}{:>12.5f}{:>12.4f}{:>12.5f}{:>12.4f}", what, e.epoch, e.train_loss, e.train_acc,
        e.test_loss, e.test_acc);
    say("{}\n", validated ? fmt::format("{:>16.4f}", e.validation->acc) : "");
  };
  const auto lower = [](const EpochRecord& a, const EpochRecord& b) { return a.score() < b.score(); };
  say("\n{:<6}{:>6}{:>12}{:>12}{:>12}{:>12}{}\n", "", "epoch", "train loss", "train acc", "test loss",
      "test acc", validated ? "  validation acc" : "");
  row("best", *std::max_element(epochs.begin(), epochs.end(), lower));
  row("last", epochs.back());
}

/// A network that never fires has the accuracy of its first class, and no figure says that. Fewer than one
/// picture in a hundred change no accuracy to speak of: `volley eval` counts those.
void warn_of_silence(const EpochRecord& last, std::size_t samples) {
  if (last.test_silent == 0 || last.test_silent * 100 < samples) return;
  say("\nwarning: no output fired for {} of {} test pictures after epoch {}; their scores are all 0, and "
      "they\n"
      "         count as the first class\n",
      last.test_silent, samples, last.epoch);
}

void print_end(const TrainOptions& options, const History& history, const RunRecorder& run,
               const TrainerPosition& position, std::size_t test_samples) {
  const std::string folder = cli::shell_quoted(run.folder().string());
  if (!run.epochs().empty()) {
    print_table(run.epochs());
    warn_of_silence(run.epochs().back(), test_samples);
  }
  say("\nrun folder  {}\n", run.folder().string());
  if (!options.no_figures) {
    std::fflush(stdout);
    const cli::Interrupts again;  // one more Ctrl-C ends the drawing
    say("figures     {}\n",
        cli::draw_all(run.folder(), options.data_dir, history.stopped, cli::Interrupts::asked));
  }
  if (history.stopped) {
    say("interrupted {}: the checkpoint is written\n", place_text(position));
    say("resume      {}\n", resume_command(options, run.folder()));
    return;
  }
  if (history.epochs.empty()) say("nothing was left to do: --epochs N trains on\n");
  say("try next    volley eval {}\n", folder);
  say("            volley train {} --set optimizer.lr=0.01\n",
      options.recipe.empty() ? folder + "/" + run_folder::kRecipe : cli::shell_quoted(options.recipe));
}

/// Hands what a training shows to its run folder and to the user, and a Ctrl-C to the training.
class TrainRecorder final : public Recorder {
 public:
  TrainRecorder(const TrainOptions& options, const Recipe& recipe, const Split& data, RunState state,
                std::optional<run_folder::Lock> lock, Trainer& trainer)
      : options_(options),
        recipe_(recipe),
        data_(data),
        state_(std::move(state)),
        lock_(std::move(lock)),
        every_(checkpoint_every(options)),
        trainer_(trainer),
        progress_(recipe.training.batch) {}

  /// Whatever can be refused has been: from here on there is a run folder.
  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override {
    if (!lock_.has_value()) lock_.emplace(run_folder::create(recipe_.name, options_.out));
    run_ = std::make_unique<RunRecorder>(std::move(*lock_), std::move(state_), trainer_, every_);
    print_header(recipe_, data_, trainer_, run_->folder());
    if (options_.tensorboard) begin_tensorboard(epochs, iterations, test_batches);
    progress_.begin(trainer_.position(), epochs, iterations, test_batches);
  }
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    run_->iteration(record, trainer);
    if (tensorboard_ != nullptr) tensorboard_->iteration(record, trainer);
    progress_.iteration(record);
  }
  void test_batch(std::size_t done, std::size_t total) override { progress_.test_batch(done, total); }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    run_->epoch(record, trainer);
    if (tensorboard_ != nullptr) tensorboard_->epoch(record, trainer);
    progress_.epoch(record);
  }
  bool stop() override { return cli::Interrupts::asked(); }

  /// After a training that was done or interrupted.
  void end(const History& history) {
    progress_.clear();
    run_->end(trainer_);
    if (tensorboard_ != nullptr) tensorboard_->end();
    print_end(options_, history, *run_, trainer_.position(), data_.test.size());
  }
  /// After one that failed.
  void failed() {
    progress_.clear();
    if (run_ == nullptr || !std::filesystem::exists(run_->folder() / run_folder::kLatest)) return;
    say("\nrun folder  {}: its last checkpoint is kept\n", run_->folder().string());
    say("resume      {}\n", resume_command(options_, run_->folder()));
  }

 private:
  void begin_tensorboard(std::size_t epochs, std::size_t iterations, std::size_t test_batches) {
    tensorboard_ = std::make_unique<TensorBoardRecorder>(run_->folder() / kTensorBoardFolder, trainer_);
    tensorboard_->begin(epochs, iterations, test_batches);
    if (trainer_.position().iterations > 0) return;  // they have been shown
    tensorboard_->show(data_.train, *recipe_.build_parts().encoder, trainer_);
  }

  const TrainOptions& options_;
  const Recipe& recipe_;
  const Split& data_;
  RunState state_;
  std::optional<run_folder::Lock> lock_;
  CheckpointEvery every_;
  Trainer& trainer_;
  cli::Progress progress_;
  std::unique_ptr<RunRecorder> run_;
  std::unique_ptr<TensorBoardRecorder> tensorboard_;
};

/// How many epochs are left to do.
std::size_t epochs_left(const Recipe& recipe, const TrainerPosition& position) {
  const std::size_t done = position.epoch - 1;
  if (recipe.epochs >= done) return recipe.epochs - done;
  throw RecipeError(
      fmt::format("--epochs: expected at least {}, which are done, got {}", done, recipe.epochs));
}

void train(const TrainOptions& options) {
  check_options(options);
  std::optional<run_folder::Paused> paused;
  if (!options.resume.empty()) paused.emplace(run_folder::open(options.resume));
  const Recipe recipe = with_given(paused ? paused->recipe : load_recipe(options.recipe), options);
  const Split data = cli::load_data(recipe, options.data_dir);
  RunState state{.recipe_toml = to_toml(recipe), .data_sha256 = sha256_of(data)};
  if (paused && !options.force) run_folder::check_unchanged(*paused, recipe, state.data_sha256);
  if (paused && paused->checkpoint) paused->checkpoint->check_sizes(recipe);
  Sequential net = recipe.build_network(data.train);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  std::optional<run_folder::Lock> lock;
  if (paused) {
    if (paused->checkpoint) {
      paused->checkpoint->load_into(trainer);
      state.epochs = paused->checkpoint->run().epochs;
    }
    lock.emplace(std::move(paused->lock));
  }
  const std::size_t epochs = epochs_left(recipe, trainer.position());
  TrainRecorder recorder(options, recipe, data, std::move(state), std::move(lock), trainer);
  const cli::Interrupts interrupts;
  History history;
  try {
    history = trainer.fit(data, epochs, &recorder);
    recorder.end(history);
  } catch (const Error&) {
    recorder.failed();
    throw;
  }
  if (history.stopped) throw CLI::RuntimeError(130);
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
  command->add_option("--threads", options->threads, "0: one per processor; the result is the same bits");
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

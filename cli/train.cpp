#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <volley/volley.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "interrupt.hpp"
#include "kernels/targets.hpp"
#include "progress.hpp"

namespace {

using namespace volley;
using cli::say;

struct TrainOptions {
  std::string recipe;
  std::string steps, batch, epochs, lr, optimizer, tau, seed, threads;
  std::string data_dir;
  std::string out;
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

Recipe recipe_from(const TrainOptions& options) {
  Recipe recipe = load_recipe(options.recipe);
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
  say("data        {}: {} training and {} test pictures, {}\n", recipe.data, data.train.size(),
      data.test.size(), kind(recipe.encoder));
  say("training    {}, {}, {}; {} epochs, T {}, batch {}, seed {}\n", recipe.rule, kind(recipe.loss),
      kind(recipe.optimizer), recipe.epochs, recipe.training.steps, recipe.training.batch,
      recipe.training.seed);
  say("machine     {}, {}, {} thread{}\n", cli::cpu_model(), kernels::active_target(), trainer.threads(),
      trainer.threads() == 1 ? "" : "s");
  say("run folder  {}\n\n", folder.string());
  std::fflush(stdout);
}

void print_table(const std::vector<EpochRecord>& epochs) {
  const auto row = [](const char* what, const EpochRecord& e) {
    say("{:<6}{:>6}{:>12.5f}{:>12.4f}{:>12.5f}{:>12.4f}\n", what, e.epoch, e.train_loss, e.train_acc,
        e.test_loss, e.test_acc);
  };
  const auto lower = [](const EpochRecord& a, const EpochRecord& b) { return a.test_acc < b.test_acc; };
  say("\n{:<6}{:>6}{:>12}{:>12}{:>12}{:>12}\n", "", "epoch", "train loss", "train acc", "test loss",
      "test acc");
  row("best", *std::max_element(epochs.begin(), epochs.end(), lower));
  row("last", epochs.back());
}

void print_end(const TrainOptions& options, const History& history, const std::filesystem::path& folder) {
  if (!history.epochs.empty()) print_table(history.epochs);
  say("\nrun folder  {}\n", folder.string());
  if (history.epochs.empty()) {
    say("interrupted before the first epoch was done: there is no checkpoint\n");
    return;
  }
  if (history.stopped)
    say("interrupted: whole epochs are kept, the last is {}\n", history.epochs.back().epoch);
  say("try next    volley eval {}\n", folder.string());
  say("            volley train {} --set optimizer.lr=0.01    (or any other field of its recipe.toml)\n",
      options.recipe);
}

/// Hands what a training shows to its run folder and to the user, and a Ctrl-C to the training.
class TrainRecorder final : public Recorder {
 public:
  TrainRecorder(const TrainOptions& options, const Recipe& recipe, const Split& data, Trainer& trainer)
      : options_(options),
        recipe_(recipe),
        data_(data),
        trainer_(trainer),
        progress_(recipe.training.batch) {}

  /// Whatever can be refused has been: from here on there is a run folder.
  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override {
    folder_ = run_folder::create(recipe_.name, options_.out);
    run_ = std::make_unique<RunRecorder>(folder_, recipe_, cli::environment_of(trainer_));
    print_header(recipe_, data_, trainer_, folder_);
    progress_.begin(epochs, iterations, test_batches);
  }
  void iteration(const IterationRecord& record) override {
    run_->iteration(record);
    progress_.iteration(record);
  }
  void test_batch(std::size_t done, std::size_t total) override { progress_.test_batch(done, total); }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    run_->epoch(record, trainer);
    progress_.epoch(record);
  }
  bool stop() override { return cli::Interrupts::asked(); }

  /// After training, however it ended.
  void end(const History& history) {
    progress_.clear();
    run_->flush();
    print_end(options_, history, folder_);
  }

 private:
  const TrainOptions& options_;
  const Recipe& recipe_;
  const Split& data_;
  Trainer& trainer_;
  cli::Progress progress_;
  std::filesystem::path folder_;
  std::unique_ptr<RunRecorder> run_;
};

void train(const TrainOptions& options) {
  const Recipe recipe = recipe_from(options);
  const Split data = cli::load_data(recipe, options.data_dir);
  Sequential net = recipe.build_network(data.train.shape);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  TrainRecorder recorder(options, recipe, data, trainer);
  const cli::Interrupts interrupts;
  const History history = trainer.fit(data.train, data.test, recipe.epochs, &recorder);
  recorder.end(history);
  if (history.stopped) throw CLI::RuntimeError(130);
}

}  // namespace

void add_train_command(CLI::App& app) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App* command = app.add_subcommand("train", "Trains a network and writes a run folder");
  command->add_option("RECIPE", options->recipe, "A built-in recipe (see below) or a TOML file")->required();
  command->add_option("-T,--steps", options->steps, "Time steps");
  command->add_option("-b,--batch", options->batch, "Samples in a batch");
  command->add_option("--epochs", options->epochs, "Passes over the training set");
  command->add_option("--lr", options->lr, "Learning rate");
  command->add_option("--optimizer", options->optimizer, "adam or sgd, with that one's defaults");
  command->add_option("--tau", options->tau, "Membrane time constant in steps, of every neuron that has one");
  command->add_option("--seed", options->seed, "Of the weights, the shuffling and the encoder");
  command->add_option("--threads", options->threads, "0: one per processor; the result is the same bits");
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_option("--out", options->out, "The run folder, new or empty (default: runs/RECIPE-DATE-TIME)");
  command
      ->add_option("--set", options->settings, "key=value, any field of the recipe: network.2.v_reset=none")
      ->allow_extra_args(false);
  std::string names;
  for (const std::string& name : builtin_recipes()) names += "\n  " + name;
  command->footer(
      fmt::format("Built-in recipes:{}\nExample: volley train lif_fc_mnist --epochs 5 --set "
                  "network.2.surrogate=sigmoid",
                  names));
  command->callback([options] { train(*options); });
}

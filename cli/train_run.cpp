#include "train_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include <volley/kernels.hpp>
#include <volley/run_recorder.hpp>
#include <volley/text.hpp>
#include <volley/volley.hpp>

#include "common.hpp"
#include "interrupt.hpp"
#include "progress.hpp"
#include "run_pictures.hpp"
#include "tensorboard/tensorboard.hpp"

namespace volley::cli {
namespace {

/// `--tau` is for every neuron that has one.
std::vector<RecipeOption> tau_options(const Recipe& recipe, const std::string& tau) {
  std::vector<RecipeOption> options;
  for (std::size_t i = 0; i < recipe.network.size(); ++i) {
    const auto look = [&](std::string_view name, const auto&, const Range&) {
      if (name == "tau") options.push_back({"--tau", fmt::format("network.{}.tau", i), tau});
    };
    std::visit([&](const auto& layer) { layer.fields(layer, look); }, recipe.network[i]);
  }
  if (options.empty() && !tau.empty()) throw RecipeError("--tau: no layer of this network has a tau");
  return options;
}

CheckpointEvery checkpoint_every(const TrainOptions& options) {
  try {
    return CheckpointEvery::parse(options.checkpoint_every);
  } catch (const Error& error) {
    throw RecipeError(fmt::format("--checkpoint-every: {}", error.what()));
  }
}

/// "after epoch 2", "in epoch 3, after 17 of its steps"
std::string place_text(const TrainerPosition& position) {
  if (position.iteration == 0) return fmt::format("after epoch {}", position.epoch - 1);
  return fmt::format("in epoch {}, after {} of its steps", position.epoch, position.iteration);
}

/// "'rose', 'aster'", the classes that a part has no sample of, as far as a line has room; empty for none.
std::string missing_classes(const Source& source) {
  constexpr std::size_t kMostNamed = 5;
  const std::vector<std::string>& classes = source.info().classes;
  std::vector<bool> has(classes.size());
  for (const std::uint32_t label : labels_of(source)) {
    if (label < has.size()) has[label] = true;
  }
  std::vector<std::string> names;
  std::size_t missing = 0;
  for (std::size_t k = 0; k < has.size(); ++k) {
    if (!has[k] && ++missing <= kMostNamed) names.push_back(readable_line(classes[k]));
  }
  return quoted_list(names) + (missing > kMostNamed ? fmt::format(" and {} more", missing - kMostNamed) : "");
}

void print_header(const Recipe& recipe, const Sources& data, Trainer& trainer,
                  const std::filesystem::path& folder) {
  std::size_t parameters = 0;
  for (const NamedParameter& p : trainer.net().parameters()) parameters += p.parameter->value.size();
  const auto kind = [](const auto& variant) {
    return std::visit([](const auto& o) { return o.kKind; }, variant);
  };
  say("recipe      {}{}{}\n", recipe.name, recipe.description.empty() ? "" : ": ", recipe.description);
  say("network     {} ({} parameters)\n", network_text(recipe), grouped(static_cast<double>(parameters)));
  const char* what = data.train->info().kind == SampleKind::bytes ? "pictures" : "samples";
  say("data        {}: {} training{} and {} test {}, {}\n", recipe.data, data.train->size(),
      data.validation != nullptr ? fmt::format(", {} validation", data.validation->size()) : "",
      data.test->size(), what, kind(recipe.encoder));
  if (const std::string missing = missing_classes(*data.test); !missing.empty())
    say("warning     no test {} of {}\n", what, missing);
  const SourceInfo& info = data.train->info();
  const std::string steps =
      has_steps(info.kind) ? fmt::format("<= {}", info.steps) : fmt::format("{}", recipe.training.steps);
  say("training    {}, {}, {}; {} epochs, T {}, batch {}, seed {}\n", recipe.rule, kind(recipe.loss),
      kind(recipe.optimizer), recipe.epochs, steps, recipe.training.batch, recipe.training.seed);
  say("machine     {}, {}, {} thread{}\n", cpu_model(), kernels::active_target(), trainer.threads(),
      trainer.threads() == 1 ? "" : "s");
  say("run folder  {}\n", folder.string());
  if (trainer.position().iterations > 0) say("resumed     {}\n", place_text(trainer.position()));
  say("\n");
  std::fflush(stdout);
}

void print_table(const std::vector<EpochRecord>& epochs) {
  const bool validated = epochs.back().validation.has_value();
  const auto row = [&](const char* what, const EpochRecord& e) {
    const auto share = [](double acc) { return std::isnan(acc) ? "-" : fmt::format("{:.4f}", acc); };
    say("{:<6}{:>6}{:>12.5f}{:>12}{:>12.5f}{:>12}", what, e.epoch, e.train_loss, share(e.train_acc),
        e.test_loss, share(e.test_acc));
    say("{}\n", validated ? fmt::format("{:>16}", share(e.validation->acc)) : "");
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

void print_resume(const TrainOptions& options, const TrainJob& job, const RunRecorder& run) {
  say("resume      {}\n", resume_command(options, job.resumed_by ? job.resumed_by() : run.folder()));
}

/// Why early stopping ended a training of these epochs.
void print_early_stop(const std::vector<EpochRecord>& epochs) {
  const std::size_t since = epochs_since_best(epochs);
  const EpochRecord& best = epochs[epochs.size() - 1 - since];
  const bool predicts = !std::isnan(best.test_acc);
  say("\nstopped early after epoch {}: {} epoch{} without a {} {} {} than {}, of epoch {}\n",
      epochs.back().epoch, since, since == 1 ? "" : "s", predicts ? "better" : "lower",
      best.validation.has_value() ? "validation" : "test", predicts ? "accuracy" : "loss",
      predicts ? fmt::format("{:.4f}", best.score()) : fmt::format("{:.5f}", -best.score()), best.epoch);
}

void print_end(const TrainOptions& options, const TrainJob& job, const History& history,
               const RunRecorder& run, const TrainerPosition& position, std::size_t test_samples) {
  const std::string folder = shell_quoted(run.folder().string());
  if (!run.epochs().empty()) {
    print_table(run.epochs());
    warn_of_silence(run.epochs().back(), test_samples);
    if (history.stopped_early) print_early_stop(run.epochs());
  }
  say("\nrun folder  {}\n", run.folder().string());
  if (!options.no_figures) {
    std::fflush(stdout);
    const Interrupts again;  // one more Ctrl-C ends the drawing
    say("figures     {}\n", draw_all(run.folder(), options.data_dir, history.stopped, Interrupts::asked));
  }
  if (history.stopped) {
    say("interrupted {}: the checkpoint is written\n", place_text(position));
    print_resume(options, job, run);
    return;
  }
  if (!job.part.empty()) return;
  if (history.epochs.empty()) {
    say("nothing was left to do: {} N trains on\n",
        history.stopped_early ? "a higher --early-stopping" : "--epochs");
  }
  say("try next    volley eval {}\n", folder);
  say("            volley train {} --set optimizer.lr=0.01\n",
      options.recipe.empty() ? folder + "/" + run_folder::kRecipe : shell_quoted(options.recipe));
}

/// Hands what a training shows to its run folder and to the user, and a Ctrl-C to the training.
class TrainRecorder final : public Recorder {
 public:
  TrainRecorder(const TrainOptions& options, TrainJob job, const Sources& data, RunState state,
                Trainer& trainer)
      : options_(options),
        job_(std::move(job)),
        data_(data),
        state_(std::move(state)),
        every_(checkpoint_every(options)),
        trainer_(trainer),
        progress_(job_.recipe.training.batch) {}

  /// Whatever can be refused has been: from here on there is a run folder.
  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override {
    run_folder::Lock lock = job_.paused.has_value() ? std::move(job_.paused->lock) : job_.folder();
    run_ = std::make_unique<RunRecorder>(std::move(lock), std::move(state_), trainer_, every_);
    if (!job_.part.empty()) say("{}\n", job_.part);
    print_header(job_.recipe, data_, trainer_, run_->folder());
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
  bool stop() override { return Interrupts::asked(); }

  /// After a training that was done or interrupted.
  void end(const History& history) {
    progress_.clear();
    run_->end(trainer_);
    if (tensorboard_ != nullptr) tensorboard_->end();
    print_end(options_, job_, history, *run_, trainer_.position(), data_.test->size());
  }
  /// After one that failed.
  void failed() {
    progress_.clear();
    if (run_ == nullptr || !std::filesystem::exists(run_->folder() / run_folder::kLatest)) return;
    say("\nrun folder  {}: its last checkpoint is kept\n", run_->folder().string());
    print_resume(options_, job_, *run_);
  }

 private:
  void begin_tensorboard(std::size_t epochs, std::size_t iterations, std::size_t test_batches) {
    tensorboard_ = std::make_unique<TensorBoardRecorder>(run_->folder() / kTensorBoardFolder, trainer_);
    tensorboard_->begin(epochs, iterations, test_batches);
    if (trainer_.position().iterations > 0) return;  // they have been shown
    const Dataset* pictures = data_.train->pictures();
    if (pictures == nullptr) return;
    tensorboard_->show(*pictures, *job_.recipe.build_parts().encoder, trainer_);
  }

  const TrainOptions& options_;
  TrainJob job_;
  const Sources& data_;
  RunState state_;
  CheckpointEvery every_;
  Trainer& trainer_;
  Progress progress_;
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

}  // namespace

Recipe with_given(Recipe recipe, const TrainOptions& options) {
  recipe = with_options(std::move(recipe),
                        {{"-T", "training.steps", options.steps},
                         {"-b", "training.batch", options.batch},
                         {"--epochs", "epochs", options.epochs},
                         {"--optimizer", "optimizer.kind", options.optimizer},
                         {"--lr", "optimizer.lr", options.lr},
                         {"--seed", "training.seed", options.seed},
                         {"--threads", "training.threads", options.threads},
                         {"--device", "training.device", options.device},
                         {"--early-stopping", "training.early_stopping", options.early_stopping}});
  recipe = with_options(recipe, tau_options(recipe, options.tau));
  try {
    return with_settings(recipe, options.settings);
  } catch (const RecipeError& error) {
    throw RecipeError(fmt::format("--set: {}", error.what()));
  }
}

Sources load_and_balance(Recipe& recipe, const TrainOptions& options) {
  Sources data = load_data(recipe, options.data_dir);
  recipe = recipe.balanced_by(*data.train);
  return data;
}

std::string resume_command(const TrainOptions& options, const std::filesystem::path& folder) {
  std::string text = "volley train --resume " + shell_quoted(folder.string());
  if (!options.data_dir.empty()) text += " --data-dir " + shell_quoted(options.data_dir);
  if (options.no_figures) text += " --no-figures";
  if (options.checkpoint_every != "1e") text += " --checkpoint-every " + options.checkpoint_every;
  if (options.tensorboard) text += " --tensorboard";
  return text;
}

History run_training(const TrainOptions& options, TrainJob job, const Sources& data) {
  const Recipe& recipe = job.recipe;
  const std::optional<run_folder::Paused>& paused = job.paused;
  RunState state{.recipe_toml = to_toml(recipe), .data_sha256 = sha256_of(data)};
  if (paused && !options.force) run_folder::check_unchanged(*paused, recipe, state.data_sha256);
  if (paused && paused->checkpoint) paused->checkpoint->check_sizes(recipe);
  Sequential net = recipe.build_network(*data.train);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  if (paused && paused->checkpoint) {
    paused->checkpoint->load_into(trainer);
    state.epochs = paused->checkpoint->run().epochs;
  }
  const std::size_t epochs = epochs_left(recipe, trainer.position());
  TrainRecorder recorder(options, std::move(job), data, std::move(state), trainer);
  const Interrupts interrupts;
  try {
    const History history = trainer.fit(data, epochs, &recorder);
    recorder.end(history);
    return history;
  } catch (const Error&) {
    recorder.failed();
    throw;
  }
}

}  // namespace volley::cli

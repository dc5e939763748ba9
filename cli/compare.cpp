#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <volley/files.hpp>
#include <volley/known_sets.hpp>
#include <volley/process.hpp>
#include <volley/run_folder.hpp>
#include <volley/version.hpp>
#include <volley/volley.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "compare_report.hpp"
#include "interrupt.hpp"
#include "peer.hpp"

namespace {

namespace fs = std::filesystem;
using namespace volley;
using cli::Comparison;
using cli::Outcome;
using cli::Peer;
using cli::PeerRun;

constexpr std::size_t kMostSeeds = 100;

struct CompareOptions {
  std::string recipe;
  std::string peer = "spikingjelly";
  std::string python;
  std::string epochs = "5";
  std::size_t seeds = 3;
  bool same_spikes = false;
  bool peer_compile = false;
  std::string steps, batch, lr, seed, threads, device;
  std::string data_dir;
  std::string out;
  std::vector<std::string> settings;
};

/// A line of progress, to stderr: the tables go to stdout.
template <class... Args>
void tell(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(stderr, "{}\n", fmt::format(format, std::forward<Args>(args)...));
}

Recipe recipe_from(const CompareOptions& options) {
  Recipe recipe =
      cli::with_options(load_recipe(options.recipe), {{"-T", "training.steps", options.steps},
                                                      {"-b", "training.batch", options.batch},
                                                      {"--epochs", "epochs", options.epochs},
                                                      {"--lr", "optimizer.lr", options.lr},
                                                      {"--seed", "training.seed", options.seed},
                                                      {"--threads", "training.threads", options.threads},
                                                      {"--device", "training.device", options.device}});
  try {
    return with_settings(recipe, options.settings);
  } catch (const RecipeError& error) {
    throw RecipeError(fmt::format("--set: {}", error.what()));
  }
}

/// Where the files of the recipe's set lie. They are not read here: what this process holds in memory
/// would count as that of the programs it starts.
fs::path data_folder(const Recipe& recipe, const std::string& folder) {
  const std::string file = datasets::file_names(recipe.data).front();
  if (file != datasets::file_names("mnist").front()) {
    throw ArgumentError("compare", "the set must be in files called as MNIST's",
                        fmt::format("{} with {}", recipe.data, file));
  }
  return datasets::find(recipe.data, folder);
}

fs::path own_program() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) throw Error(fmt::format("[compare] cannot find this program's own file: {}", error.message()));
  return path;
}

/// What both trainings of a seed begin with.
PeerRun prepare(const Recipe& recipe, const fs::path& folder, const fs::path& data) {
  fs::create_directories(folder);
  PeerRun run{.recipe = folder / "recipe.toml", .weights = folder / "initial.safetensors", .data = data};
  write_file_whole(run.recipe, to_toml(recipe));
  Sequential net = recipe.build_network(datasets::info(recipe.data).shape);
  const TrainerParts parts = recipe.build_parts();
  parts.rule->check(net, *parts.loss);
  std::vector<NamedTensor> weights;
  for (const auto& [name, parameter] : net.parameters()) weights.push_back({name, &parameter->value});
  save_state_dict(run.weights, weights);
  return run;
}

/// Trains by `volley train` in a process of its own, so that its memory is its own.
Outcome train_here(const PeerRun& run, const fs::path& folder, const std::string& label) {
  ProgramOptions options;
  options.cancelled = cli::Interrupts::asked;
  options.line = [&](std::string_view line) {
    if (line.starts_with("epoch ")) tell("{}  {}", label, line);
  };
  std::vector<std::string> arguments{own_program().string(), "train",       run.recipe.string(), "--out",
                                     folder.string(),        "--no-figures"};
  // The files' own folder: both programs then read the very same.
  arguments.insert(arguments.end(), {"--data-dir", run.data.string()});
  const auto start = std::chrono::steady_clock::now();
  const ProgramResult result = run_program(arguments, options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (result.end == ProgramResult::End::cancelled) throw Error("interrupted");
  if (!result.ok()) throw Error(fmt::format("{} ({})", result.err, result.reason()));
  RunRecord record = read_run(folder);
  return {.epochs = std::move(record.epochs),
          .peak_bytes = static_cast<double>(result.peak_bytes),
          .threads = record.environment.threads,
          .seconds = seconds.count()};
}

/// One thread or all: whichever is faster for the peer. Both were measured; the note says how.
std::size_t best_threads(const Peer& peer, PeerRun run, std::string& note) {
  double best_speed = 0;
  std::size_t best = 1;
  std::vector<std::size_t> choices{1};
  if (peer.most_threads() > 1) choices.push_back(peer.most_threads());
  for (const std::size_t threads : choices) {
    run.threads = threads;
    const double speed = peer.trial(run);
    tell("{}  trial with {} thread{}: {} samples/s", peer.name(), threads, threads == 1 ? "" : "s",
         cli::grouped(speed));
    note += fmt::format("{}{} thread{}: {}/s", note.empty() ? "" : ", ", threads, threads == 1 ? "" : "s",
                        cli::grouped(speed));
    if (speed > best_speed) {
      best_speed = speed;
      best = threads;
    }
  }
  return best;
}

void add_notes(Comparison& c, const Recipe& recipe, const CompareOptions& options, const Peer& peer,
               const std::string& threads_note) {
  const auto kind = [](const auto& variant) {
    return std::visit([](const auto& o) { return o.kKind; }, variant);
  };
  std::string versions;
  for (const auto& [module, version] : peer.versions())
    versions += fmt::format("{}{} {}", versions.empty() ? "" : ", ", module, version);
  Sequential net = recipe.build_network(datasets::info(recipe.data).shape);
  const Environment here = cli::environment_of(Trainer(net, recipe.build_parts(), recipe.training));
  const auto note = [&](const std::string& what, const std::string& value) {
    c.notes.emplace_back(what, value);
  };
  note("the same in both",
       fmt::format("{}, {}, {}; {}; T {}, batch {}; initial weights of each seed; data{}",
                   cli::network_text(recipe), kind(recipe.loss), kind(recipe.optimizer), recipe.rule,
                   recipe.training.steps, recipe.training.batch,
                   options.same_spikes ? "; order of the samples; every input spike" : ""));
  if (!options.same_spikes) note("each by its own random numbers", "order of the samples, input spikes");
  note("data", fmt::format("{}{}", recipe.data,
                           recipe.train_samples + recipe.test_samples > 0
                               ? fmt::format(", the first {} for training and {} for the test (0: all)",
                                             recipe.train_samples, recipe.test_samples)
                               : ""));
  if (recipe.rule == "article") {
    note("the rule",
         fmt::format("{} has no such neuron or rule: there it is written in plain torch", c.peer));
  }
  if (options.same_spikes) {
    note("times", fmt::format("{}'s without the making of Volley's spikes, volley's with it", c.peer));
  }
  if (c.compiled.has_value()) note("compiled", "the first seed alone; its first epoch has the compilation");
  note("volley", fmt::format("{}, {}, {}", VOLLEY_VERSION, cli::compiler(), here.simd_target));
  note(c.peer, versions);
  note("threads tried there, the faster taken", threads_note);
  note("processor", here.cpu);
  note("date", here.date);
}

void check_epochs(const Outcome& outcome, const Recipe& recipe, const std::string& who) {
  if (outcome.epochs.size() == recipe.epochs) return;
  throw Error(fmt::format("{}: expected {} epochs, got {}", who, recipe.epochs, outcome.epochs.size()));
}

/// Training and test samples of an epoch.
std::pair<std::size_t, std::size_t> samples_of(const Recipe& recipe) {
  const datasets::Info set = datasets::info(recipe.data);
  const auto chosen = [](std::size_t wanted, std::size_t all) { return wanted == 0 ? all : wanted; };
  std::size_t train = chosen(recipe.train_samples, set.train_samples);
  if (recipe.training.drop_last) train -= train % recipe.training.batch;
  return {train, chosen(recipe.test_samples, set.test_samples)};
}

void compare(const CompareOptions& options) {
  cli::check_peer_name(options.peer);
  Recipe recipe = recipe_from(options);
  if (recipe.validation > 0 || Augment(recipe.augment).active()) {
    throw ArgumentError("compare",
                        "the recipe must have no validation and no augmentation, which the peers lack");
  }
  const auto has_weights = [](const auto& loss) {
    if constexpr (requires { loss.class_weights; }) {
      return loss.class_weights.balanced || !loss.class_weights.values.empty();
    } else {
      return false;
    }
  };
  const auto has_groups = [](const auto& o) { return o.decay_only_weights || !o.groups.empty(); };
  if (recipe.training.early_stopping > 0 || std::visit(has_weights, recipe.loss) ||
      std::visit(has_groups, recipe.optimizer)) {
    throw ArgumentError("compare",
                        "the recipe must have no class_weights, no groups of parameters and no "
                        "early_stopping, which the peers lack");
  }
  recipe.training.monitors = false;  // the peers count nothing either
  const fs::path data = data_folder(recipe, options.data_dir);
  const Peer peer(options.peer, options.python);
  const cli::Interrupts interrupts;
  const run_folder::Lock lock = run_folder::create(recipe.name + "-and-" + options.peer, options.out);
  const fs::path& folder = lock.folder();

  Comparison c{.recipe = recipe.name,
               .peer = options.peer,
               .own_version = fmt::format("volley {}", VOLLEY_VERSION),
               .peer_version = peer.version()};
  std::tie(c.train_samples, c.test_samples) = samples_of(recipe);
  std::string threads_note;
  std::size_t threads = 0;
  const std::uint32_t first_seed = recipe.training.seed;
  for (std::size_t s = 0; s < options.seeds; ++s) {
    recipe.training.seed = first_seed + static_cast<std::uint32_t>(s);
    const fs::path place = folder / fmt::format("seed-{}", recipe.training.seed);
    PeerRun run = prepare(recipe, place, data);
    run.same_spikes = options.same_spikes;
    if (threads == 0) threads = best_threads(peer, run, threads_note);
    run.threads = threads;
    c.seeds.push_back(recipe.training.seed);
    const std::string seed_text = fmt::format("seed {}", recipe.training.seed);
    c.ours.push_back(train_here(run, place / "volley", "volley  " + seed_text));
    check_epochs(c.ours.back(), recipe, "volley");
    const auto train_there = [&](const std::string& label) {
      Outcome outcome = peer.train(run, [&](const EpochRecord& e) {
        tell("{}  {}  epoch {}/{}  train loss {:.5f} acc {:.4f}  test loss {:.5f} acc {:.4f}  {} images/s",
             label, seed_text, e.epoch, recipe.epochs, e.train_loss, e.train_acc, e.test_loss, e.test_acc,
             cli::grouped(e.train_samples_per_second));
      });
      check_epochs(outcome, recipe, label);
      return outcome;
    };
    c.theirs.push_back(train_there(peer.name()));
    if (options.peer_compile && s == 0) {
      run.compiled = true;
      c.compiled = train_there(peer.name() + ", compiled");
    }
  }
  recipe.training.seed = first_seed;
  add_notes(c, recipe, options, peer, threads_note);
  const std::string picture = cli::write_report(c, folder);
  cli::say("{}\ntables    {}\nrows      {}\nfigure    {}\n", cli::report_markdown(c),
           (folder / "compare.md").string(), (folder / "compare.csv").string(), picture);
}

}  // namespace

void add_compare_command(CLI::App& app) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "The same recipe here and in another framework");
  command->add_option("RECIPE", options->recipe, "A built-in recipe or a TOML file")->required();
  command->add_option("--peer", options->peer, "The other framework")->capture_default_str();
  command->add_option("--epochs", options->epochs, "Passes over the training set")->capture_default_str();
  command->add_option("--seeds", options->seeds, "How many trainings, from the recipe's seed on")
      ->check(CLI::Range(std::size_t{1}, kMostSeeds))
      ->capture_default_str();
  command->add_flag("--same-spikes", options->same_spikes, "The peer gets our very spikes, in our order");
  command->add_flag("--peer-compile", options->peer_compile,
                    "The peer's first seed once more, its network passed through torch.compile");
  command->add_option("--python", options->python,
                      "The Python that has the peer (default: $VOLLEY_PEER_PYTHON, .peers/bin/python)");
  command->add_option("-T,--steps", options->steps, "Time steps");
  command->add_option("-b,--batch", options->batch, "Samples in a batch");
  command->add_option("--lr", options->lr, "Learning rate");
  command->add_option("--seed", options->seed, "The first seed");
  command->add_option("--threads", options->threads, "Of volley; 0: one per processor");
  cli::add_device_option(*command, options->device);
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_option("--out", options->out, "Folder for tables and runs, new or empty (default: in runs/)");
  command->add_option("--set", options->settings, "key=value, any field of the recipe")
      ->allow_extra_args(false);
  command->footer("Example: volley compare lif_fc_mnist --peer spikingjelly --epochs 5 --seeds 3");
  command->callback([options] { compare(*options); });
}

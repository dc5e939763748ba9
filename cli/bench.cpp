#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include <volley/files.hpp>
#include <volley/kernels.hpp>
#include <volley/run_recorder.hpp>
#include <volley/volley.hpp>

#include "bench_measure.hpp"
#include "commands.hpp"
#include "common.hpp"
#include "interrupt.hpp"
#include "progress.hpp"
#include "statistics.hpp"

namespace {

using namespace volley;
using cli::grouped;
using cli::Phase;
using cli::Profile;
using cli::say;
using kernels::Limits;

constexpr double kProfileSeconds = 2;

struct BenchOptions {
  std::string recipe;
  std::string steps, batch, seed, threads, device;
  std::string epochs = "5";
  double seconds = 10;
  std::string data_dir;
  std::vector<std::string> settings;
  bool json = false;
};

/// A median and the median distance from it.
struct Spread {
  double median = 0;
  double mad = 0;

  Spread() = default;
  explicit Spread(const std::vector<double>& values) : median(volley::median(values)) {
    std::vector<double> distances;
    for (const double v : values) distances.push_back(std::abs(v - median));
    mad = volley::median(distances);
  }
};

struct Report {
  Recipe recipe;  // with as many samples as were used
  Environment environment;
  Spread train, test;  // samples a second
  double peak_bytes = 0;
  Profile profile;
  Limits limits;

  double per_sample(double of_a_batch) const {
    return of_a_batch / static_cast<double>(recipe.training.batch);
  }
  double total(double Phase::*field) const {
    double sum = 0;
    for (const Phase& p : profile.phases) sum += p.*field;
    return sum;
  }
};

Recipe recipe_from(const BenchOptions& options) {
  const Recipe recipe =
      cli::with_options(load_recipe(options.recipe), {{"-T", "training.steps", options.steps},
                                                      {"-b", "training.batch", options.batch},
                                                      {"--epochs", "epochs", options.epochs},
                                                      {"--seed", "training.seed", options.seed},
                                                      {"--threads", "training.threads", options.threads},
                                                      {"--device", "training.device", options.device}});
  try {
    return with_settings(recipe, options.settings);
  } catch (const RecipeError& error) {
    throw RecipeError(fmt::format("--set: {}", error.what()));
  }
}

/// Cuts the data so that the epochs take no longer than `seconds` in all, by the speed of a few batches.
void fit_to_time(Recipe& recipe, Split& data, double seconds) {
  constexpr std::size_t kBatches = 4;
  const std::size_t batch = recipe.training.batch;
  Sequential net = recipe.build_network(data.train);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  const History trial = trainer.fit(data.train.first(kBatches * batch), data.test.first(batch), 2);
  const double speed = trial.epochs.back().train_samples_per_second;  // the first epoch warms up
  const double most = speed * seconds / static_cast<double>(recipe.epochs);
  const double share = std::min(1.0, most / static_cast<double>(data.train.size() + data.test.size()));
  const auto cut = [&](Dataset& set) {
    const auto samples = static_cast<std::size_t>(share * static_cast<double>(set.size()));
    if (share < 1) set = set.first(std::max(batch, samples));
    return set.size();
  };
  recipe.train_samples = cut(data.train);
  recipe.test_samples = cut(data.test);
}

/// A training as `volley train` does it, with a run folder that is thrown away.
class BenchRecorder final : public Recorder {
 public:
  BenchRecorder(const Recipe& recipe, Trainer& trainer, bool quiet)
      : folder_("bench"),
        run_(run_folder::create(recipe.name, folder_.path()), {.recipe_toml = to_toml(recipe)}, trainer),
        trainer_(trainer) {
    if (!quiet) progress_.emplace(recipe.training.batch);
  }
  ~BenchRecorder() override {
    if (progress_.has_value()) progress_->clear();
  }
  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override {
    if (progress_.has_value()) progress_->begin(trainer_.position(), epochs, iterations, test_batches);
  }
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    run_.iteration(record, trainer);
    if (progress_.has_value()) progress_->iteration(record);
  }
  void test_batch(std::size_t done, std::size_t total) override {
    if (progress_.has_value()) progress_->test_batch(done, total);
  }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    run_.epoch(record, trainer);
    if (progress_.has_value()) progress_->epoch(record);
  }
  bool stop() override { return cli::Interrupts::asked(); }

 private:
  ScratchFolder folder_;
  RunRecorder run_;
  Trainer& trainer_;
  std::optional<cli::Progress> progress_;
};

double peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

void print_phases(const Report& r) {
  const double whole = 1 / r.train.median;
  const auto row = [&](const std::string& name, double seconds) {
    say("{:<22}{:>9.3f}{:>8.1f} %", name, 1e6 * seconds, 100 * seconds / whole);
  };
  say("{:<22}{:>9}{:>10}{:>12}{:>9}{:>11}{:>9}{:>11}\n", "phase of training", "us", "share", "bytes", "GB/s",
      "of limit", "GFLOP/s", "of limit");
  for (const Phase& p : r.profile.phases) {
    row(p.name, r.per_sample(p.seconds));
    const double bytes = p.bytes / p.seconds, operations = p.operations / p.seconds;
    say("{:>12}{:>9.1f}{:>9.1f} %", grouped(r.per_sample(p.bytes)), bytes * 1e-9,
        100 * bytes / r.limits.bytes_per_second);
    if (p.operations > 0)
      say("{:>9.1f}{:>9.1f} %", operations * 1e-9, 100 * operations / r.limits.operations_per_second);
    say("\n");
  }
  const double parts = r.per_sample(r.total(&Phase::seconds));
  row("rest (-: overlapped)", whole - parts);
  say("\n");
  row("whole", whole);
  const double bytes = r.per_sample(r.total(&Phase::bytes)),
               operations = r.per_sample(r.total(&Phase::operations));
  say("{:>12}{:>9.1f}{:>9.1f} %{:>9.1f}{:>9.1f} %\n", grouped(bytes), bytes / whole * 1e-9,
      100 * bytes / whole / r.limits.bytes_per_second, operations / whole * 1e-9,
      100 * operations / whole / r.limits.operations_per_second);
}

void print_text(const Report& r) {
  const double spikes = r.per_sample(r.profile.spikes);
  say("\ntraining    {} samples/s +- {}\n", grouped(r.train.median), grouped(r.train.mad));
  say("test        {} samples/s +- {}\n", grouped(r.test.median), grouped(r.test.mad));
  say("spikes      {} a sample, {} million a second in training\n", grouped(spikes),
      grouped(spikes * r.train.median * 1e-6));
  say("memory      {} MiB at the most\n", grouped(r.peak_bytes / (1 << 20)));
  say("limits      {:.1f} GB/s of memory, {:.0f} GFLOP/s, measured with {} thread{}\n\n",
      r.limits.bytes_per_second * 1e-9, r.limits.operations_per_second * 1e-9, r.environment.threads,
      r.environment.threads == 1 ? "" : "s");
  print_phases(r);
}

void print_json(const Report& r) {
  using Json = nlohmann::ordered_json;
  const auto speed = [](const Spread& s) { return Json{{"median", s.median}, {"mad", s.mad}}; };
  const double spikes = r.per_sample(r.profile.spikes);
  Json phases = Json::array();
  for (const Phase& p : r.profile.phases) {
    phases.push_back(
        {{"name", p.name},
         {"seconds_per_sample", r.per_sample(p.seconds)},
         {"bytes_per_sample", r.per_sample(p.bytes)},
         {"operations_per_sample", r.per_sample(p.operations)},
         {"share_of_memory_limit", p.bytes / p.seconds / r.limits.bytes_per_second},
         {"share_of_arithmetic_limit", p.operations / p.seconds / r.limits.operations_per_second}});
  }
  const Json json{{"recipe", r.recipe.name},
                  {"network", cli::network_text(r.recipe)},
                  {"steps", r.recipe.training.steps},
                  {"batch", r.recipe.training.batch},
                  {"epochs", r.recipe.epochs},
                  {"train_samples", r.recipe.train_samples},
                  {"test_samples", r.recipe.test_samples},
                  {"version", r.environment.version},
                  {"cpu", r.environment.cpu},
                  {"simd_target", r.environment.simd_target},
                  {"threads", r.environment.threads},
                  {"seed", r.environment.seed},
                  {"date", r.environment.date},
                  {"train_samples_per_second", speed(r.train)},
                  {"test_samples_per_second", speed(r.test)},
                  {"spikes_per_sample", spikes},
                  {"spikes_per_second", spikes * r.train.median},
                  {"bytes_per_sample", r.per_sample(r.total(&Phase::bytes))},
                  {"operations_per_sample", r.per_sample(r.total(&Phase::operations))},
                  {"peak_bytes", r.peak_bytes},
                  {"memory_limit_bytes_per_second", r.limits.bytes_per_second},
                  {"arithmetic_limit_operations_per_second", r.limits.operations_per_second},
                  {"phases", phases}};
  say("{}", cli::json_text(json));
}

void print_header(const Report& r) {
  const Recipe& recipe = r.recipe;
  say("recipe      {}: {}\n", recipe.name, cli::network_text(recipe));
  say("training    {} epochs of {} training and {} test pictures, T {}, batch {}, seed {}\n", recipe.epochs,
      recipe.train_samples, recipe.test_samples, recipe.training.steps, recipe.training.batch,
      recipe.training.seed);
  say("machine     {}, {}, {} thread{}\n\n", r.environment.cpu, r.environment.simd_target,
      r.environment.threads, r.environment.threads == 1 ? "" : "s");
  std::fflush(stdout);
}

std::vector<double> column(const History& history, double EpochRecord::*field) {
  std::vector<double> values;
  for (const EpochRecord& e : history.epochs) values.push_back(e.*field);
  return values;
}

void bench(const BenchOptions& options) {
  Recipe recipe = recipe_from(options);
  Split data = cli::load_pictures(recipe, options.data_dir);
  recipe = recipe.balanced_by(data.train);
  recipe.training.early_stopping = 0;  // all epochs are measured
  const cli::Interrupts interrupts;
  fit_to_time(recipe, data, options.seconds);
  Sequential net = recipe.build_network(data.train);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  Report report{.recipe = recipe, .environment = environment_of(trainer)};
  if (!options.json) print_header(report);
  BenchRecorder recorder(recipe, trainer, options.json);
  const History history = trainer.fit(data.train, data.test, recipe.epochs, &recorder);
  report.peak_bytes = peak_bytes();
  if (history.stopped) throw CLI::RuntimeError(130);
  report.train = Spread(column(history, &EpochRecord::train_samples_per_second));
  report.test = Spread(column(history, &EpochRecord::test_samples_per_second));
  report.profile = cli::profile_training(recipe, data.train, kProfileSeconds);
  ThreadPool pool(recipe.training.threads);
  report.limits = kernels::measure_limits(pool);
  if (cli::Interrupts::asked()) throw CLI::RuntimeError(130);
  (options.json ? print_json : print_text)(report);
}

}  // namespace

void add_bench_command(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "How fast a recipe trains here, and what takes the time");
  command->add_option("RECIPE", options->recipe, "A built-in recipe or a TOML file")->required();
  command->add_option("-T,--steps", options->steps, "Time steps");
  command->add_option("-b,--batch", options->batch, "Samples in a batch");
  command->add_option("--epochs", options->epochs, "Passes over the training set: medians of so many")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "About how long to train, on less data where needed")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the weights, the shuffling and the encoder");
  command->add_option("--threads", options->threads, "0: one per processor");
  cli::add_device_option(*command, options->device);
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_option("--set", options->settings, "key=value, any field of the recipe")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "As JSON");
  command->footer("Example: volley bench lif_fc_mnist --threads 1 --json");
  command->callback([options] { bench(*options); });
}

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <volley/volley.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "storage/checkpoint.hpp"

namespace {

using namespace volley;
using cli::say;

struct EvalOptions {
  std::string run;
  std::string data;
  std::string split = "test";
  std::string checkpoint = "best";
  std::string steps, threads;
  std::string data_dir;
  bool json = false;
};

/// What an evaluation says of each class.
struct ClassReport {
  std::vector<std::vector<std::size_t>> confusion;  // [label][prediction]
  std::vector<double> accuracy;                     // share of its pictures that were right
  std::vector<double> rate;                         // mean score of the class on its own pictures
};

ClassReport class_report(const Evaluation& evaluation, const Dataset& data) {
  const std::size_t classes = data.classes.size();
  const std::size_t K = evaluation.scores.shape()[1];  // a network may have outputs beyond the classes
  ClassReport report{std::vector(classes, std::vector<std::size_t>(K)), std::vector<double>(classes),
                     std::vector<double>(classes)};
  std::vector<std::size_t> counts(classes);
  for (std::size_t n = 0; n < data.size(); ++n) {
    const std::size_t label = data.labels[n];
    ++counts[label];
    ++report.confusion[label][evaluation.predictions[n]];
    report.rate[label] += static_cast<double>(evaluation.scores.data()[n * K + label]);
  }
  for (std::size_t k = 0; k < classes; ++k) {
    if (counts[k] == 0) continue;
    report.accuracy[k] = static_cast<double>(report.confusion[k][k]) / static_cast<double>(counts[k]);
    report.rate[k] /= static_cast<double>(counts[k]);
  }
  return report;
}

struct Run {
  Recipe recipe;
  Checkpoint checkpoint;
};

Run load_run(const EvalOptions& options) {
  const char* name = options.checkpoint == "best" ? run_folder::kBest : run_folder::kLatest;
  Recipe recipe = run_folder::load_recipe(options.run);
  const std::filesystem::path path = std::filesystem::path(options.run) / name;
  if (!std::filesystem::exists(path)) {
    throw Error(
        fmt::format("{}: expected a {}, found none: no epoch of this run was finished", options.run, name));
  }
  return {std::move(recipe), Checkpoint(path)};
}

/// What the layers did, and an estimate of the energy that it would take.
void print_activity(const std::vector<LayerActivity>& layers) {
  say("\n{:<8}{:<12}{:>9}{:>9}{:>8}{:>11}{:>15}{:>15}{:>12}\n", "layer", "kind", "neurons", "rate", "dead",
      "saturated", "SynOps/image", "MACs/image", "nJ/image");
  const auto row = [](const LayerActivity& a) {
    const std::string neurons =
        a.neurons == 0 ? "" : fmt::format("{:>9}{:>9.4f}{:>8}{:>11}", a.neurons, a.rate, a.dead, a.saturated);
    const std::string synapses = a.dense_macs == 0
                                     ? ""
                                     : fmt::format("{:>15}{:>15}{:>12.1f}", cli::grouped(a.synops),
                                                   cli::grouped(a.macs), a.energy() / 1000);
    say("{:<8}{:<12}{:<37}{}\n", a.layer, a.kind, neurons, synapses);
  };
  for (const LayerActivity& layer : layers) row(layer);
  const LayerActivity total = total_of(layers);
  row(total);
  say("energy: {} pJ a synaptic operation, {} pJ a multiply-accumulate (45 nm, Horowitz 2014); arithmetic "
      "alone\n",
      kPicojoulesPerAC, kPicojoulesPerMAC);
  say("the same weights without spikes, once an image: {} MACs, {:.1f} nJ\n", cli::grouped(total.dense_macs),
      total.dense_energy() / 1000);
}

nlohmann::ordered_json activity_json(const std::vector<LayerActivity>& layers) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const LayerActivity& a : layers) {
    json.push_back({{"layer", a.layer},
                    {"kind", a.kind},
                    {"neurons", a.neurons},
                    {"rate", a.rate},
                    {"dead", a.dead},
                    {"saturated", a.saturated},
                    {"synops", a.synops},
                    {"macs", a.macs},
                    {"dense_macs", a.dense_macs},
                    {"energy_pj", a.energy()},
                    {"dense_energy_pj", a.dense_energy()}});
  }
  return json;
}

void print_text(const EvalOptions& options, const Run& run, const Dataset& data, const Evaluation& evaluation,
                const ClassReport& report) {
  say("run       {}, checkpoint {}, epoch {}\n", options.run, options.checkpoint,
      run.checkpoint.epoch().epoch);
  say("data      {}: {} pictures, T {}\n", data.name, data.size(), run.recipe.training.steps);
  say("loss      {:.5f}\naccuracy  {:.4f}\nspeed     {} images/s\n\n", evaluation.loss, evaluation.accuracy,
      cli::grouped(static_cast<double>(data.size()) / evaluation.seconds));
  std::size_t name_width = 5;
  for (const std::string& name : data.classes) name_width = std::max(name_width, name.size());
  say("{:<{}}  {:>6}  {:>5}  taken for\n{:{}}", "class", name_width, "right", "rate", "", name_width + 15);
  const std::size_t columns = report.confusion.front().size();
  for (std::size_t k = 0; k < columns; ++k) say("{:>6}", k);
  say("\n");
  for (std::size_t k = 0; k < data.classes.size(); ++k) {
    say("{:<{}}  {:>6.4f}  {:>5.3f}", data.classes[k], name_width, report.accuracy[k], report.rate[k]);
    for (const std::size_t count : report.confusion[k]) say("{:>6}", count);
    say("\n");
  }
  print_activity(evaluation.activity);
}

void print_json(const EvalOptions& options, const Run& run, const Dataset& data, const Evaluation& evaluation,
                const ClassReport& report) {
  const nlohmann::ordered_json json{
      {"run", options.run},
      {"checkpoint", options.checkpoint},
      {"epoch", run.checkpoint.epoch().epoch},
      {"data", data.name},
      {"samples", data.size()},
      {"steps", run.recipe.training.steps},
      {"loss", evaluation.loss},
      {"accuracy", evaluation.accuracy},
      {"samples_per_second", static_cast<double>(data.size()) / evaluation.seconds},
      {"classes", data.classes},
      {"class_accuracy", report.accuracy},
      {"class_rate", report.rate},
      {"confusion", report.confusion},
      {"layers", activity_json(evaluation.activity)},
  };
  say("{}\n", json.dump(2));
}

/// The training set is read only where it is wanted: its pictures take longer than the test.
Dataset evaluated_data(const Recipe& recipe, const EvalOptions& options) {
  if (options.split == "test") return cli::load_test_data(recipe, options.data_dir);
  Split split = cli::load_data(recipe, options.data_dir);
  return options.split == "train" ? std::move(split.train) : std::move(split.validation);
}

void evaluate(const EvalOptions& options) {
  Run run = load_run(options);
  run.recipe = cli::with_options(std::move(run.recipe), {{"-T", "training.steps", options.steps},
                                                         {"--threads", "training.threads", options.threads},
                                                         {"--data", "data", options.data}});
  if (!options.data.empty())
    run.recipe.train_samples = run.recipe.test_samples = 0, run.recipe.validation = 0;  // of its own set
  const Dataset data = evaluated_data(run.recipe, options);
  if (data.size() == 0)
    throw Error(fmt::format("{}: its recipe holds out nothing for validation", options.run));
  run.recipe.training.monitors = true;
  run.checkpoint.check_sizes(run.recipe);
  Sequential net = run.recipe.build_network(data.shape);
  run.checkpoint.load_into(net);
  Trainer trainer(net, run.recipe.build_parts(), run.recipe.training);
  // The encoder draws as it did after that epoch, so that the run's own figures come out again.
  const Evaluation evaluation = trainer.evaluate(data, run.checkpoint.epoch().epoch);
  const ClassReport report = class_report(evaluation, data);
  (options.json ? print_json : print_text)(options, run, data, evaluation, report);
}

}  // namespace

void add_eval_command(CLI::App& app) {
  const auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Evaluates a trained run, class by class");
  command->add_option("RUN", options->run, "A run folder that volley train wrote")->required();
  command->add_option("--data", options->data, "Another data set than the run's own");
  command->add_option("--split", options->split, "Training, held-out or test pictures")
      ->check(CLI::IsMember({"train", "validation", "test"}))
      ->capture_default_str();
  command->add_option("--checkpoint", options->checkpoint, "The best epoch's or the latest one's")
      ->check(CLI::IsMember({"best", "latest"}))
      ->capture_default_str();
  command->add_option("-T,--steps", options->steps, "Time steps, other than those of the training");
  command->add_option("--threads", options->threads, "0: one per processor; the result is the same bits");
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_flag("--json", options->json, "As JSON");
  command->footer("Example: volley eval runs/lif_fc_mnist-20260102-030405 --json");
  command->callback([options] { evaluate(*options); });
}

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/volley.hpp>

#include "class_report.hpp"
#include "commands.hpp"
#include "common.hpp"
#include "trained_run.hpp"

namespace {

using namespace volley;
using cli::say;

struct EvalOptions {
  std::string run;
  std::string data;
  std::string split = "test";
  std::string checkpoint = "best";
  std::string steps, threads, device;
  std::string data_dir;
  bool json = false;
};

/// Beside the accuracy of a label a sample. That of the three highest scores, where there are more.
struct Metrics {
  double macro_accuracy, macro_f1;
  std::optional<double> top_3;

  Metrics(const Evaluation& evaluation, const Dataset& data) {
    const std::size_t outputs = evaluation.scores.shape()[1];
    const std::size_t classes = std::max(outputs, data.classes.size());
    macro_accuracy = volley::macro_accuracy(evaluation.predictions, data.labels, classes);
    macro_f1 = volley::macro_f1(evaluation.predictions, data.labels, classes);
    if (outputs > 3) top_3 = top_k_accuracy(evaluation.scores, data.labels, 3);
  }
};

/// What an accuracy hides: predictions that the scores did not decide.
void print_undecided(const Evaluation& evaluation, std::size_t samples) {
  if (evaluation.silent > 0) {
    say("silent    no output fired for {} of {} pictures: their scores are all 0, they count as the first "
        "class\n",
        evaluation.silent, samples);
  }
  if (evaluation.tied > 0) {
    say("ties      {} of {} pictures have several highest scores; the first of these counts\n",
        evaluation.tied, samples);
  }
}

/// Right, and the mean score; "-" for a class without pictures.
std::string share_text(double share, int width, int digits) {
  return std::isnan(share) ? fmt::format("{:>{}}", "-", width)
                           : fmt::format("{:>{}.{}f}", share, width, digits);
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

/// "pictures" or "samples".
const char* noun(const cli::TrainedRun& run) {
  return run.source().pictures() != nullptr ? "pictures" : "samples";
}

/// Beside the loss of real targets: over all outputs, where a sample has one target for each.
struct Errors {
  double mean_absolute, root_mean_squared, r_squared;

  Errors(const Evaluation& evaluation, const Tensor& targets)
      : mean_absolute(mean_absolute_error(evaluation.scores, targets)),
        root_mean_squared(root_mean_squared_error(evaluation.scores, targets)),
        r_squared(volley::r_squared(evaluation.scores, targets)) {}
};

std::optional<Errors> errors_of(const cli::TrainedRun& run, const Evaluation& evaluation) {
  const Source& source = run.source();
  Tensor targets(evaluation.scores.shape());
  Samples samples;
  const std::size_t row = targets.shape().from(1).size();
  for (std::uint32_t n = 0; n < source.size(); ++n) {
    source.read({&n, 1}, samples);
    if (samples.targets.values.size() != row) return {};
    std::ranges::copy(samples.targets.values.values(), targets.data() + n * row);
  }
  return Errors(evaluation, targets);
}

void print_head(const EvalOptions& options, const cli::TrainedRun& run) {
  say("run       {}, checkpoint {}, epoch {}\n", options.run, options.checkpoint,
      run.checkpoint().epoch().epoch);
  if (run.checkpoint().numerics() != numerics_version()) {
    say("numerics  {} (Volley {}), here {}: sums and draws differ, and so may figures from the run's own\n",
        run.checkpoint().numerics(), run.checkpoint().volley_version(), numerics_version());
  }
  const SourceInfo& info = run.source().info();
  say("data      {}: {} {}, T {}\n", info.name, info.size, noun(run),
      has_steps(info.kind) ? fmt::format("<= {}", info.steps)
                           : fmt::format("{}", run.recipe().training.steps));
}

void print_speed(const cli::TrainedRun& run, const Evaluation& evaluation) {
  const char* unit = run.source().pictures() != nullptr ? "images" : "samples";
  say("speed     {} {}/s\n\n", cli::grouped(static_cast<double>(run.source().size()) / evaluation.seconds),
      unit);
}

void print_classes(const Dataset& data, const ClassReport& report) {
  std::size_t name_width = 5;
  std::vector<std::string> names;
  const std::size_t classes = report.confusion.size();
  for (std::size_t k = 0; k < classes; ++k) {
    names.push_back(readable_line(data.classes[k]));
    name_width = std::max(name_width, names.back().size());
  }
  say("{:<{}}  {:>6}  {:>5}  taken for\n{:{}}", "class", name_width, "right", "rate", "", name_width + 15);
  const std::size_t columns = report.confusion.front().size();
  for (std::size_t k = 0; k < columns; ++k) say("{:>6}", k);
  say("\n");
  for (std::size_t k = 0; k < classes; ++k) {
    say("{:<{}}  {}  {}", names[k], name_width, share_text(report.accuracy[k], 6, 4),
        share_text(report.rate[k], 5, 3));
    for (const std::size_t count : report.confusion[k]) say("{:>6}", count);
    say("\n");
  }
}

void print_text(const EvalOptions& options, const cli::TrainedRun& run, const Evaluation& evaluation) {
  const Dataset& data = run.data();
  print_head(options, run);
  say("loss      {:.5f}\n", evaluation.loss);
  if (!std::isnan(evaluation.accuracy)) say("accuracy  {:.4f}\n", evaluation.accuracy);
  if (!data.labels.empty()) {
    const Metrics metrics(evaluation, data);
    say("macro     accuracy {:.4f}, F1 {:.4f}\n", metrics.macro_accuracy, metrics.macro_f1);
    if (metrics.top_3.has_value()) say("top 3     {:.4f}\n", *metrics.top_3);
  } else if (const auto errors = errors_of(run, evaluation); errors.has_value()) {
    say("errors    mean absolute {:.6g}, root mean squared {:.6g}, R2 {:.4f}\n", errors->mean_absolute,
        errors->root_mean_squared, errors->r_squared);
  }
  print_undecided(evaluation, run.source().size());
  print_speed(run, evaluation);
  if (!data.labels.empty()) print_classes(data, class_report(evaluation, data));
  print_activity(evaluation.activity);
}

void print_json(const EvalOptions& options, const cli::TrainedRun& run, const Evaluation& evaluation) {
  const Dataset& data = run.data();
  const SourceInfo& info = run.source().info();
  nlohmann::ordered_json json{
      {"run", options.run},
      {"checkpoint", options.checkpoint},
      {"epoch", run.checkpoint().epoch().epoch},
      {"numerics", run.checkpoint().numerics()},
      {"data", info.name},
      {"samples", info.size},
      {"steps", has_steps(info.kind) ? info.steps : run.recipe().training.steps},
      {"loss", evaluation.loss},
      {"accuracy", evaluation.accuracy},  // null, as NaN is written, where nothing is predicted
  };
  if (!data.labels.empty()) {
    const Metrics metrics(evaluation, data);
    json["macro_accuracy"] = metrics.macro_accuracy;
    json["macro_f1"] = metrics.macro_f1;
    if (metrics.top_3.has_value()) json["top_3_accuracy"] = *metrics.top_3;
  } else if (const auto errors = errors_of(run, evaluation); errors.has_value()) {
    json["mean_absolute_error"] = errors->mean_absolute;
    json["root_mean_squared_error"] = errors->root_mean_squared;
    json["r_squared"] = errors->r_squared;
  }
  json["silent"] = evaluation.silent;
  json["tied"] = evaluation.tied;
  json["samples_per_second"] = static_cast<double>(info.size) / evaluation.seconds;
  if (!data.labels.empty()) {
    const ClassReport report = class_report(evaluation, data);
    json["classes"] = data.classes;
    json["class_accuracy"] = report.accuracy;  // null for a class without samples
    json["class_rate"] = report.rate;
    json["confusion"] = report.confusion;
  }
  json["layers"] = activity_json(evaluation.activity);
  say("{}", cli::json_text(json));
}

void evaluate(const EvalOptions& options) {
  cli::TrainedRun run(options.run, {.checkpoint = options.checkpoint,
                                    .data = options.data,
                                    .split = options.split,
                                    .data_dir = options.data_dir,
                                    .steps = options.steps,
                                    .threads = options.threads,
                                    .device = options.device});
  const Evaluation evaluation = run.evaluate();
  (options.json ? print_json : print_text)(options, run, evaluation);
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
  cli::add_device_option(*command, options->device);
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->add_flag("--json", options->json, "As JSON");
  command->footer("Example: volley eval runs/lif_fc_mnist-20260102-030405 --json");
  command->callback([options] { evaluate(*options); });
}

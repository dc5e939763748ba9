#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <volley/recipe.hpp>

#include "report/chart.hpp"
#include "report/examples.hpp"
#include "report/page.hpp"
#include "report/report.hpp"

namespace volley::report {
namespace {

constexpr std::size_t kMostPoints = 300;  // of a curve over steps
constexpr std::size_t kMostClasses = 30;  // of a confusion matrix that a person can read
constexpr std::size_t kMostConfusions = 20;

/// Whether its network predicts something, which is right or not.
bool predicts(const RunRecord& run) { return run.epochs.empty() || run.epochs.back().predicts(); }

std::vector<Fact> headline(const RunRecord& run) {
  std::vector<Fact> facts;
  if (const auto best = best_epoch(run.epochs)) {
    const EpochRecord& epoch = run.epochs[*best];
    const bool validated = epoch.validation.has_value();
    const std::string chosen = fmt::format(
        "epoch {}, {}", epoch.epoch,
        validated ? "chosen on samples held out of the training" : "chosen on the test set, so too high");
    const EpochRecord& last = run.epochs.back();
    const std::string of_last = fmt::format("epoch {}", last.epoch);
    if (predicts(run)) {
      facts.push_back({"best test accuracy", percent(epoch.test_acc), chosen});
      facts.push_back({"last test accuracy", percent(last.test_acc), of_last});
    } else {
      facts.push_back({"best test loss", shown(epoch.test_loss), chosen});
      facts.push_back({"last test loss", shown(last.test_loss), of_last});
    }
    facts.push_back(
        {"training speed", grouped(last.train_samples_per_second), "samples per second, last epoch"});
    double seconds = 0;
    for (const EpochRecord& e : run.epochs) seconds += e.seconds;
    facts.push_back({"time", duration(seconds), "training and tests"});
  }
  const std::size_t patience = run.recipe.training.early_stopping, since = epochs_since_best(run.epochs);
  const bool early = patience > 0 && since >= patience && run.epochs.size() < run.recipe.epochs;
  facts.push_back(
      {"epochs", fmt::format("{} of {}", run.epochs.size(), run.recipe.epochs),
       fmt::format("{} iterations{}", grouped(static_cast<double>(run.iterations.size())),
                   early ? fmt::format("; stopped early, {} epochs after the best", since) : "")});
  return facts;
}

template <class Number>
Series series_of(const std::string& name, const std::vector<EpochRecord>& epochs, const Number& number) {
  auto [x, y] = over_epochs(epochs, number);
  return {.name = name, .x = std::move(x), .y = std::move(y)};
}

template <class Number>
Series steps_of(const std::string& name, const std::vector<IterationRecord>& iterations,
                const Number& number) {
  Series series{.name = name};
  for (const IterationRecord& i : iterations) {
    series.x.push_back(static_cast<double>(i.iteration));
    series.y.push_back(number(i));
  }
  return thinned(std::move(series), kMostPoints);
}

Chart loss_chart(const RunRecord& run) {
  Chart chart{.title = "Loss", .x_label = "epoch", .y_label = "loss"};
  chart.series.push_back(series_of("training", run.epochs, [](const auto& e) { return e.train_loss; }));
  chart.series.push_back(series_of("test", run.epochs, [](const auto& e) { return e.test_loss; }));
  if (!run.epochs.empty() && run.epochs[0].validation) {
    chart.series.push_back(
        series_of("held out", run.epochs, [](const auto& e) { return e.validation->loss; }));
  }
  return chart;
}

Chart accuracy_chart(const RunRecord& run) {
  Chart chart{.title = "Accuracy", .x_label = "epoch", .y_label = "accuracy, %"};
  chart.series.push_back(series_of("training", run.epochs, [](const auto& e) { return 100 * e.train_acc; }));
  chart.series.push_back(series_of("test", run.epochs, [](const auto& e) { return 100 * e.test_acc; }));
  chart.series.back().marked = best_epoch(run.epochs);
  chart.series.back().name += " (ring: best)";
  if (!run.epochs.empty() && run.epochs[0].validation) {
    chart.series.push_back(
        series_of("held out", run.epochs, [](const auto& e) { return 100 * e.validation->acc; }));
  }
  return chart;
}

/// A number of every layer of neurons, over the epochs.
template <class Number>
Chart layer_chart(const RunRecord& run, std::string title, std::string y_label, const Number& number) {
  Chart chart{.title = std::move(title), .x_label = "epoch", .y_label = std::move(y_label)};
  for (const EpochRecord& epoch : run.epochs) {
    for (const LayerActivity& layer : epoch.activity) {
      if (layer.neurons == 0) continue;
      const std::string name = fmt::format("{} {}", layer.layer, layer.kind);
      auto series = std::ranges::find(chart.series, name, &Series::name);
      if (series == chart.series.end()) series = chart.series.insert(series, Series{.name = name});
      series->x.push_back(static_cast<double>(epoch.epoch));
      series->y.push_back(number(layer));
    }
  }
  return chart;
}

void add_epochs(Html& page, const std::vector<EpochRecord>& epochs) {
  std::vector<std::vector<std::string>> rows;
  for (const EpochRecord& e : epochs) {
    rows.push_back({fmt::format("{}", e.epoch), shown(e.train_loss), percent(e.train_acc), shown(e.test_loss),
                    percent(e.test_acc), grouped(e.train_samples_per_second),
                    grouped(e.test_samples_per_second), fmt::format("{:.2f}", e.seconds)});
  }
  page.open("details").leaf("summary", "The epochs as a table");
  add_table(page, "What each epoch showed",
            {"epoch", "train loss", "train accuracy", "test loss", "test accuracy", "train samples/s",
             "test samples/s", "seconds"},
            rows);
  page.close();
}

void add_curves(Html& page, const RunRecord& run) {
  page.open("div", {{"class", "charts"}});
  draw(page, loss_chart(run));
  if (predicts(run)) draw(page, accuracy_chart(run));
  draw(page, {.title = "Loss of each iteration (mean and range of neighbours)",
              .x_label = "iteration",
              .y_label = "loss",
              .series = {steps_of("loss", run.iterations, [](const auto& i) { return i.loss; })}});
  draw(page,
       {.title = "Gradient norm (mean and range of neighbours)",
        .x_label = "iteration",
        .y_label = "norm, before clipping",
        .logarithmic = true,
        .series = {steps_of("gradient norm", run.iterations, [](const auto& i) { return i.grad_norm; })}});
  const bool monitored = std::ranges::any_of(run.epochs, [](const auto& e) { return !e.activity.empty(); });
  if (monitored) {
    draw(page, layer_chart(run, "Firing rate by layer", "spikes per neuron and step, %",
                           [](const LayerActivity& a) { return 100 * a.rate; }));
    draw(page, layer_chart(run, "Dead neurons by layer", "never fired on the test set, %", [](const auto& a) {
           return 100 * static_cast<double>(a.dead) / static_cast<double>(a.neurons);
         }));
  }
  page.close();
  if (!run.epochs.empty()) add_epochs(page, run.epochs);
}

/// Of the best epoch, whose checkpoint the test's section is of too.
void add_layers(Html& page, const EpochRecord& epoch) {
  std::vector<std::vector<std::string>> rows;
  std::vector<LayerActivity> all = epoch.activity;
  all.push_back(total_of(epoch.activity));
  for (const LayerActivity& a : all) {
    const bool neurons = a.neurons > 0, synapses = a.dense_macs > 0;
    rows.push_back({fmt::format("{} {}", a.layer, a.kind),
                    neurons ? grouped(static_cast<double>(a.neurons)) : "", neurons ? percent(a.rate) : "",
                    neurons ? fmt::format("{}", a.dead) : "", neurons ? fmt::format("{}", a.saturated) : "",
                    synapses ? grouped(a.synops) : "", synapses ? grouped(a.macs) : "",
                    synapses ? fmt::format("{:.1f}", a.energy() / 1000) : ""});
  }
  add_table(page,
            fmt::format("What the layers did on the test set after epoch {}, the best; synaptic operations, "
                        "multiply-accumulates and the estimate of their energy (45 nm) are per picture",
                        epoch.epoch),
            {"layer", "neurons", "firing rate", "dead", "saturated", "SynOps", "MACs", "energy, nJ"}, rows);
}

/// The largest share of a class that was taken for another one.
double largest_mistake(const std::vector<std::vector<std::size_t>>& confusion) {
  double most = 0;
  for (std::size_t k = 0; k < confusion.size(); ++k) {
    const double all = std::accumulate(confusion[k].begin(), confusion[k].end(), 0.0);
    for (std::size_t j = 0; j < confusion[k].size(); ++j) {
      if (j != k && confusion[k][j] > 0) most = std::max(most, static_cast<double>(confusion[k][j]) / all);
    }
  }
  return most;
}

void add_confusion(Html& page, const Tested& tested) {
  const auto& confusion = tested.classes.confusion;
  open_table(page,
             "Rows: what a picture shows. Columns: what it was taken for. Colours are of the mistakes: the "
             "stronger, the larger the share of the row; the strongest is the largest of all",
             "confusion");
  const double most = largest_mistake(confusion);
  page.open("thead").open("tr").leaf("td", "");
  for (std::size_t k = 0; k < confusion[0].size(); ++k)
    page.leaf("th", class_name(tested.data, k), {{"scope", "col"}});
  page.leaf("th", "right", {{"scope", "col"}}).leaf("th", "mean score", {{"scope", "col"}});
  page.close().close().open("tbody");
  for (std::size_t k = 0; k < confusion.size(); ++k) {
    std::size_t count = 0;
    for (const std::size_t n : confusion[k]) count += n;
    page.open("tr").leaf("th", class_name(tested.data, k), {{"scope", "row"}});
    for (std::size_t j = 0; j < confusion[k].size(); ++j) {
      const bool mistake = j != k && confusion[k][j] > 0;
      const double share =
          mistake ? static_cast<double>(confusion[k][j]) / static_cast<double>(count) / most : 0;
      const std::string shade = fmt::format("--share: {:.3f}", share);
      page.leaf("td", fmt::format("{}", confusion[k][j]),
                {{"class", j == k ? "right" : ""}, {"style", shade}});
    }
    page.leaf("td", percent(tested.classes.accuracy[k]), {{"style", "--share: 0"}});
    page.leaf("td", mean_text(tested.classes.rate[k]), {{"style", "--share: 0"}}).close();
  }
  page.close().close().close();
}

/// Where there are too many classes for a matrix: which were mistaken for which most often.
void add_confusions(Html& page, const Tested& tested) {
  struct Mistake {
    std::size_t count, label, prediction;
  };
  std::vector<Mistake> mistakes;
  const auto& confusion = tested.classes.confusion;
  for (std::size_t k = 0; k < confusion.size(); ++k) {
    for (std::size_t j = 0; j < confusion[k].size(); ++j)
      if (j != k && confusion[k][j] > 0) mistakes.push_back({confusion[k][j], k, j});
  }
  std::ranges::stable_sort(mistakes, std::greater{}, &Mistake::count);
  mistakes.resize(std::min(mistakes.size(), kMostConfusions));
  std::vector<std::vector<std::string>> rows;
  for (const Mistake& m : mistakes) {
    rows.push_back({class_name(tested.data, m.label), class_name(tested.data, m.prediction),
                    fmt::format("{}", m.count)});
  }
  add_table(page, "The most frequent mistakes", {"class", "taken for", "pictures"}, rows);
  rows.clear();
  for (std::size_t k = 0; k < confusion.size(); ++k) {
    rows.push_back(
        {class_name(tested.data, k), percent(tested.classes.accuracy[k]), mean_text(tested.classes.rate[k])});
  }
  page.open("details").leaf("summary", "Every class");
  add_table(page, "What was right of each class", {"class", "right", "mean score"}, rows);
  page.close();
}

void add_test(Html& page, const Tested& tested) {
  page.leaf("p", fmt::format("The checkpoint of epoch {} on {} samples of {}: accuracy {}, loss {}.",
                             tested.epoch, grouped(static_cast<double>(tested.data.size())), tested.data.name,
                             percent(tested.evaluation.accuracy), shown(tested.evaluation.loss)));
  if (tested.classes.confusion[0].size() > kMostClasses) {
    add_confusions(page, tested);
  } else {
    add_confusion(page, tested);
  }
}

void add_machine(Html& page, const RunRecord& run) {
  const Environment& e = run.environment;
  add_table(page, "Where the training began", {},
            {{"processor", e.cpu},
             {"instruction set", e.simd_target},
             {"threads", fmt::format("{}", e.threads)},
             {"Volley", fmt::format("{}, numerics {}", e.version, e.numerics)},
             {"compiler", e.compiler},
             {"date", e.date},
             {"seed", fmt::format("{}", e.seed)}});
}

Sections sections_of(const Report& report) {
  const auto& epochs = report.run.epochs;
  Sections sections;
  sections.emplace_back("curves", "Curves");
  if (report.tested) sections.emplace_back("test", "Classes");
  if (report.tested) sections.emplace_back("examples", "Examples");
  if (!epochs.empty() && !epochs.back().activity.empty()) sections.emplace_back("layers", "Layers");
  sections.emplace_back("machine", "Machine");
  sections.emplace_back("commands", "Commands");
  sections.emplace_back("recipe", "Recipe");
  return sections;
}

}  // namespace

std::string run_page(const Report& report) {
  const RunRecord& run = report.run;
  const Sections sections = sections_of(report);
  Html page = begin_page(run.recipe.name + " - a Volley report", sections);
  page.leaf("h1", run.recipe.name);
  if (!run.recipe.description.empty()) page.leaf("p", run.recipe.description);
  page.leaf(
      "p",
      fmt::format("{}, data {}, seed {}", run.folder.string(), run.recipe.data, run.recipe.training.seed),
      {{"class", "faint"}});
  add_facts(page, headline(run));
  for (const std::string& what : report.missing)
    page.open("div", {{"class", "note"}, {"role", "note"}}).leaf("p", "Missing here: " + what).close();
  for (const auto& section : sections) {
    const std::string& id = section.first;
    open_section(page, sections, id);
    if (id == "curves") add_curves(page, run);
    if (id == "test") add_test(page, *report.tested);
    if (id == "examples") add_examples(page, *report.tested);
    if (id == "layers") add_layers(page, run.epochs[*best_epoch(run.epochs)]);
    if (id == "machine") add_machine(page, run);
    if (id == "commands") add_commands(page, report.commands);
    if (id == "recipe") {
      page.open("details").leaf("summary", "recipe.toml, complete");
      page.open("pre", {{"tabindex", "0"}}).leaf("code", to_toml(run.recipe)).close().close();
    }
    page.close();
  }
  return end_page(std::move(page));
}

}  // namespace volley::report

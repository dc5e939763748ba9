#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/recipe.hpp>
#include <volley/recipe_difference.hpp>

#include "report/chart.hpp"
#include "report/page.hpp"
#include "report/report.hpp"
#include "run_spread.hpp"

namespace volley::report {
namespace {

constexpr std::size_t kMostPoints = 200;

/// The names of their folders, or where two are the same their whole paths.
std::vector<std::string> names_of(const std::vector<RunRecord>& runs) {
  std::vector<std::string> names;
  const auto name = [](const RunRecord& run) {
    const std::filesystem::path folder = run.folder.lexically_normal();
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  };
  for (const RunRecord& run : runs) {
    const auto same = [&](const RunRecord& other) { return name(other) == name(run); };
    names.push_back(std::ranges::count_if(runs, same) > 1 ? run.folder.string() : name(run));
  }
  return names;
}

template <class Number>
Chart epoch_chart(const std::vector<RunRecord>& runs, std::string title, std::string y_label,
                  const Number& number) {
  Chart chart{.title = std::move(title), .x_label = "epoch", .y_label = std::move(y_label)};
  const std::vector<std::string> names = names_of(runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    auto [x, y] = over_epochs(runs[i].epochs, number);
    chart.series.push_back({.name = names[i], .x = std::move(x), .y = std::move(y)});
  }
  return chart;
}

Chart norm_chart(const std::vector<RunRecord>& runs) {
  Chart chart{.title = "Gradient norm (mean of neighbours)",
              .x_label = "iteration",
              .y_label = "norm, before clipping",
              .logarithmic = true};
  const std::vector<std::string> names = names_of(runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Series series{.name = names[i]};
    for (const IterationRecord& step : runs[i].iterations) {
      series.x.push_back(static_cast<double>(step.iteration));
      series.y.push_back(step.grad_norm);
    }
    series = thinned(std::move(series), kMostPoints);
    series.low.clear();  // bands of several runs hide each other
    series.high.clear();
    chart.series.push_back(std::move(series));
  }
  return chart;
}

void add_curves(Html& page, const std::vector<RunRecord>& runs) {
  page.open("div", {{"class", "charts"}});
  Chart accuracy = epoch_chart(runs, "Test accuracy (ring: best)", "accuracy, %",
                               [](const EpochRecord& e) { return 100 * e.test_acc; });
  for (std::size_t i = 0; i < runs.size(); ++i) accuracy.series[i].marked = best_epoch(runs[i].epochs);
  draw(page, accuracy);
  draw(page, epoch_chart(runs, "Training accuracy", "accuracy, %",
                         [](const EpochRecord& e) { return 100 * e.train_acc; }));
  draw(page, epoch_chart(runs, "Test loss", "loss", [](const EpochRecord& e) { return e.test_loss; }));
  draw(page, epoch_chart(runs, "Training loss", "loss", [](const EpochRecord& e) { return e.train_loss; }));
  draw(page, norm_chart(runs));
  const auto monitored = [](const RunRecord& run) {
    return std::ranges::any_of(run.epochs, [](const auto& e) { return !e.activity.empty(); });
  };
  if (std::ranges::any_of(runs, monitored)) {
    draw(page, epoch_chart(runs, "Mean firing rate of all neurons", "spikes per neuron and step, %",
                           [](const EpochRecord& e) {
                             return e.activity.empty() ? NAN : 100 * total_of(e.activity).rate;
                           }));
  }
  page.close();
}

void add_results(Html& page, const std::vector<RunRecord>& runs) {
  const std::vector<std::string> names = names_of(runs);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    std::vector<std::string> row{names[i], run.recipe.name,
                                 fmt::format("{} of {}", run.epochs.size(), run.recipe.epochs)};
    if (const auto best = best_epoch(run.epochs)) {
      double seconds = 0;
      for (const EpochRecord& epoch : run.epochs) seconds += epoch.seconds;
      const EpochRecord &top = run.epochs[*best], &last = run.epochs.back();
      row.insert(row.end(),
                 {fmt::format("{} (epoch {})", percent(top.test_acc), top.epoch), percent(last.test_acc),
                  shown(last.test_loss), grouped(last.train_samples_per_second), duration(seconds)});
    } else {
      row.resize(8);
    }
    row.insert(row.end(), {fmt::format("{}", run.environment.threads), run.environment.simd_target,
                           run.environment.cpu});
    rows.push_back(std::move(row));
  }
  add_table(page, "Results of each run; its speed is that of the last epoch",
            {"run", "recipe", "epochs", "best test accuracy", "last test accuracy", "last test loss",
             "train samples/s", "time", "threads", "instructions", "processor"},
            rows);
}

void add_differences(Html& page, const std::vector<RunRecord>& runs) {
  std::map<std::string, std::vector<std::string>> values;  // by key, one for each run
  for (std::size_t i = 1; i < runs.size(); ++i) {
    for (const RecipeDifference& d : differences_of(runs[0].recipe, runs[i].recipe)) {
      auto& row = values.try_emplace(d.key, runs.size(), d.first).first->second;
      row[i] = d.second;
    }
  }
  if (values.empty()) {
    page.leaf("p", "The recipes are the same in every field.");
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (auto& [key, row] : values) {
    rows.push_back({key});
    rows.back().insert(rows.back().end(), row.begin(), row.end());
  }
  std::vector<std::string> columns = names_of(runs);
  columns.insert(columns.begin(), "field");
  add_table(page, "The fields in which the recipes differ; they agree in all others", columns, rows);
}

/// A mean and "+-" its spread, where there is one: of shares in percent, of losses as they are.
std::string spread_text(const EpochNumber& number, const MeanAndSpread& at) {
  const bool share = std::string_view(number.name).ends_with("acc");
  const std::string mean = share ? percent(at.mean) : shown(at.mean);
  if (std::isnan(at.spread)) return mean;
  return mean +
         (share ? fmt::format(" \u00b1 {:.2f}", 100 * at.spread) : fmt::format(" \u00b1 {:.2g}", at.spread));
}

std::vector<std::string> spread_row(std::string name, const std::vector<RunRecord>& runs,
                                    const std::vector<EpochRecord>& epochs) {
  std::vector<std::string> row{std::move(name)};
  for (const EpochNumber& number : epoch_numbers(runs))
    row.push_back(spread_text(number, mean_and_spread(epochs, number.value)));
  return row;
}

void add_spread_table(Html& page, const std::vector<RunRecord>& runs) {
  const std::vector<EpochRecord> best = best_of_each(runs);
  if (best.empty()) {
    page.leaf("p", "No epoch is finished.");
    return;
  }
  std::vector<std::string> columns{"epoch"};
  for (const EpochNumber& number : epoch_numbers(runs)) columns.emplace_back(number.name);
  add_table(page,
            fmt::format("Mean and standard deviation (of a sample, n - 1) of {} seeds; best and last are "
                        "those of each run",
                        best.size()),
            columns, {spread_row("best", runs, best), spread_row("last", runs, last_of_each(runs))});
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < common_epochs(runs); ++i)
    rows.push_back(spread_row(fmt::format("{}", i + 1), runs, epoch_of_each(runs, i)));
  if (rows.empty()) return;
  page.open("details").leaf("summary", "The epochs that all runs have");
  add_table(page, "Mean and standard deviation after each epoch", columns, rows);
  page.close();
}

/// The mean of two numbers over the epochs that all runs have, with a band of the standard deviation.
Chart spread_chart(const std::vector<RunRecord>& runs, std::string title, std::string y_label, double factor,
                   const std::vector<std::pair<std::string, double (*)(const EpochRecord&)>>& numbers) {
  Chart chart{.title = std::move(title), .x_label = "epoch", .y_label = std::move(y_label)};
  for (const auto& [name, value] : numbers) {
    Series series{.name = name};
    for (std::size_t i = 0; i < common_epochs(runs); ++i) {
      const MeanAndSpread at = mean_and_spread(epoch_of_each(runs, i), value);
      series.x.push_back(static_cast<double>(i + 1));
      series.y.push_back(factor * at.mean);
      series.low.push_back(factor * (at.mean - at.spread));
      series.high.push_back(factor * (at.mean + at.spread));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

void add_spread(Html& page, const std::vector<RunRecord>& runs) {
  add_spread_table(page, runs);
  page.open("div", {{"class", "charts"}});
  draw(page, spread_chart(runs, "Accuracy (mean, band: standard deviation)", "accuracy, %", 100,
                          {{"training", [](const EpochRecord& e) { return e.train_acc; }},
                           {"test", [](const EpochRecord& e) { return e.test_acc; }}}));
  draw(page, spread_chart(runs, "Loss (mean, band: standard deviation)", "loss", 1,
                          {{"training", [](const EpochRecord& e) { return e.train_loss; }},
                           {"test", [](const EpochRecord& e) { return e.test_loss; }}}));
  page.close();
}

std::string page_of_runs(const std::string& title, const Sections& sections,
                         const std::vector<RunRecord>& runs, const std::vector<Command>& commands) {
  if (runs.empty()) throw ArgumentError("report", "a comparison must have 1 or more runs", "0");
  Html page = begin_page(title + " - a Volley report", sections);
  page.leaf("h1", title);
  for (const auto& section : sections) {
    const std::string& id = section.first;
    open_section(page, sections, id);
    if (id == "spread") add_spread(page, runs);
    if (id == "results") add_results(page, runs);
    if (id == "curves") add_curves(page, runs);
    if (id == "recipes") add_differences(page, runs);
    if (id == "commands") add_commands(page, commands);
    page.close();
  }
  return end_page(std::move(page));
}

}  // namespace

std::string comparison_page(const std::vector<RunRecord>& runs, const std::vector<Command>& commands) {
  return page_of_runs(
      fmt::format("{} runs compared", runs.size()),
      {{"results", "Results"}, {"curves", "Curves"}, {"recipes", "Recipes"}, {"commands", "Commands"}}, runs,
      commands);
}

std::string seeds_page(const std::vector<RunRecord>& runs, const std::vector<Command>& commands) {
  const std::string name = runs.empty() ? "" : runs.front().recipe.name;
  return page_of_runs(fmt::format("{}: seeds {}", name, seeds_text(runs)),
                      {{"spread", "Mean and spread"},
                       {"results", "Each run"},
                       {"curves", "Curves"},
                       {"recipes", "Recipes"},
                       {"commands", "Commands"}},
                      runs, commands);
}

}  // namespace volley::report

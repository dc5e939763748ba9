#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <volley/error.hpp>

#include "figures/run_figures.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostPoints = 2000;  // of a curve; more would not be seen
constexpr std::size_t kPieces = 40;        // of one that sums it up

const std::vector<EpochRecord>& epochs_of(const FigureSource& source) {
  if (source.record->epochs.empty()) throw Error("no epoch of this run is finished");
  return source.record->epochs;
}

const std::vector<EpochRecord>& monitored_epochs_of(const FigureSource& source) {
  const std::vector<EpochRecord>& epochs = epochs_of(source);
  if (epochs.back().activity.empty()) throw Error("this run has no monitors.csv (training.monitors)");
  return epochs;
}

const EpochRecord& best_of(const std::vector<EpochRecord>& epochs) {
  return *std::ranges::max_element(epochs, {}, &EpochRecord::score);
}

/// One point for each epoch.
template <class Value>
Series by_epoch(const std::string& name, const std::vector<EpochRecord>& epochs, const Value& value) {
  Series series{.name = name};
  for (const EpochRecord& epoch : epochs) {
    series.x.push_back(static_cast<double>(epoch.epoch));
    series.y.push_back(value(epoch));
  }
  return series;
}

Plot epoch_plot(const std::string& y_label) {
  return {.x = {.label = "epoch", .whole = true}, .y = {.label = y_label}};
}

Figure of_run(const FigureSource& source, const std::string& what, Plot plot) {
  return {.title = fmt::format("{}: {}", source.record->recipe.name, what), .plots = {std::move(plot)}};
}

/// "2 lif"
std::string name_of(const LayerActivity& layer) {
  return layer.layer == kInputLayer ? layer.layer : fmt::format("{} {}", layer.layer, layer.kind);
}

/// The means of every `size` consecutive norms, each at its middle.
Series means_of(const std::vector<IterationRecord>& iterations, std::size_t size) {
  Series series{.name = size == 1 ? "each iteration" : fmt::format("mean of {} iterations", size)};
  for (std::size_t begin = 0; begin < iterations.size(); begin += size) {
    const std::size_t end = std::min(begin + size, iterations.size());
    double sum = 0;
    for (std::size_t k = begin; k < end; ++k) sum += iterations[k].grad_norm;
    series.x.push_back(static_cast<double>(begin + end + 1) / 2);
    series.y.push_back(sum / static_cast<double>(end - begin));
  }
  return series;
}

}  // namespace

Figure loss_figure(const FigureSource& source) {
  const std::vector<EpochRecord>& epochs = epochs_of(source);
  Plot plot = epoch_plot("loss");
  plot.series.push_back(by_epoch("training", epochs, [](const EpochRecord& e) { return e.train_loss; }));
  plot.series.push_back(by_epoch("test", epochs, [](const EpochRecord& e) { return e.test_loss; }));
  if (epochs.back().validation.has_value()) {
    plot.series.push_back(by_epoch("validation", epochs, [](const EpochRecord& e) {
      return e.validation.has_value() ? e.validation->loss : NAN;
    }));
  }
  return of_run(source, "loss", std::move(plot));
}

Figure accuracy_figure(const FigureSource& source) {
  const std::vector<EpochRecord>& epochs = epochs_of(source);
  if (std::isnan(epochs.back().test_acc))
    throw Error("this run has no accuracy: its network predicts nothing");
  Plot plot = epoch_plot("accuracy (%)");
  plot.series.push_back(by_epoch("training", epochs, [](const EpochRecord& e) { return 100 * e.train_acc; }));
  plot.series.push_back(by_epoch("test", epochs, [](const EpochRecord& e) { return 100 * e.test_acc; }));
  if (epochs.back().validation.has_value()) {
    plot.series.push_back(by_epoch("validation", epochs, [](const EpochRecord& e) {
      return e.validation.has_value() ? 100 * e.validation->acc : NAN;
    }));
  }
  const EpochRecord& best = best_of(epochs);
  plot.series.push_back({.name = fmt::format("best: {:.2f} %", 100 * best.test_acc),
                         .kind = Series::Kind::rings,
                         .x = {static_cast<double>(best.epoch)},
                         .y = {100 * best.test_acc},
                         .color = 2});
  return of_run(source, "accuracy", std::move(plot));
}

Figure gradient_figure(const FigureSource& source) {
  const std::vector<IterationRecord>& iterations = source.record->iterations;
  if (iterations.empty()) throw Error("no iteration of this run is recorded");
  Plot plot{.x = {.label = "iteration"}, .y = {.label = "norm of the gradient", .log = true}};
  plot.series.push_back(means_of(iterations, iterations.size() / kMostPoints + 1));
  plot.series.back().faint = true;
  if (iterations.size() >= 4 * kPieces) {
    plot.series.push_back(means_of(iterations, iterations.size() / kPieces));
    plot.series.back().color = 0;
    plot.series.back().marked = false;
  }
  return of_run(source, "gradient", std::move(plot));
}

Figure activity_figure(const FigureSource& source) {
  const EpochRecord& epoch = best_of(monitored_epochs_of(source));
  using Kind = Series::Kind;
  Series rate{.kind = Kind::bars, .width = 0.6};
  Series dead{.name = "dead (never fire)", .kind = Kind::bars, .color = 1, .width = 0.35};
  Series saturated{.name = "saturated (fire at every step)", .kind = Kind::bars, .color = 4, .width = 0.35};
  std::vector<Mark> marks;
  for (const LayerActivity& layer : epoch.activity) {
    if (layer.neurons == 0) continue;
    const auto place = static_cast<double>(marks.size());
    const auto neurons = static_cast<double>(layer.neurons);
    marks.push_back({place, name_of(layer)});
    rate.x.push_back(place);
    rate.y.push_back(100 * layer.rate);
    dead.x.push_back(place - 0.19);
    dead.y.push_back(100 * static_cast<double>(layer.dead) / neurons);
    saturated.x.push_back(place + 0.19);
    saturated.y.push_back(100 * static_cast<double>(layer.saturated) / neurons);
  }
  if (marks.empty()) throw Error("no layer of this run makes spikes");
  const Axis layers{.low = -0.6, .high = static_cast<double>(marks.size()) - 0.4, .marks = marks};
  Axis below = layers;
  below.label = "layer";
  Plot rates{.x = layers, .y = {.label = "firing rate (%)", .low = 0}, .series = {rate}};
  Plot lost{.x = below, .y = {.label = "neurons (%)", .low = 0}, .series = {dead, saturated}};
  return {.title = fmt::format("{}: activity on the test set after epoch {}, the best",
                               source.record->recipe.name, epoch.epoch),
          .height = 720,
          .plots = {std::move(rates), std::move(lost)}};
}

Figure sparsity_figure(const FigureSource& source) {
  const std::vector<EpochRecord>& epochs = monitored_epochs_of(source);
  Plot plot = epoch_plot("silent (% of neurons and steps)");
  for (std::size_t i = 0; i < epochs.back().activity.size(); ++i) {
    const LayerActivity& layer = epochs.back().activity[i];
    if (layer.neurons == 0) continue;
    plot.series.push_back(by_epoch(name_of(layer), epochs, [&](const EpochRecord& e) {
      return i < e.activity.size() ? 100 * (1 - e.activity[i].rate) : NAN;
    }));
  }
  if (plot.series.empty()) throw Error("no layer of this run makes spikes");
  return of_run(source, "sparsity on the test set", std::move(plot));
}

}  // namespace volley

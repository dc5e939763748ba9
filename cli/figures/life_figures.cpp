#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <volley/error.hpp>

#include "figures/run_figures.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostRows = 48;    // of a raster: more strokes could not be told apart
constexpr std::size_t kMostCells = 400;  // rows of a map
constexpr std::size_t kMostLayers = 4;   // the last ones are the ones that decide
constexpr std::size_t kNamed = 20;       // classes whose names have room beside an axis

/// "picture 3 of mnist test: seven, taken for one"; without a label "three.png: taken for one"
std::string title_of(const FigureSource& source) {
  const Dataset& data = *source.data;
  const SampleLife& life = *source.life;
  std::string place = data.size() == 1 ? data.name : fmt::format("picture {} of {}", life.sample, data.name);
  const auto name = [&](std::size_t k) {
    return k < data.classes.size() ? data.classes[k] : fmt::format("output {}", k);
  };
  if (data.classes.size() < 2) return place;
  const bool silent = std::ranges::count(life.scores, 0.0f) == std::ssize(life.scores);
  const std::string taken = silent ? "no output fired" : "taken for " + name(life.prediction);
  if (!source.labelled) return fmt::format("{}: {}", place, taken);
  return fmt::format("{}: {}, {}", place, name(data.labels[life.sample]), taken);
}

/// At most `most` of `count`, evenly.
std::vector<std::size_t> chosen(std::size_t count, std::size_t most) {
  std::vector<std::size_t> all(std::min(count, most));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i * count / all.size();
  return all;
}

std::string neurons_text(std::size_t shown, std::size_t count, const char* what) {
  return shown == count ? what : fmt::format("{} of {} {}s", shown, count, what);
}

/// The names of the classes where the layer is the output, else numbers.
std::vector<Mark> class_marks(const FigureSource& source, std::size_t neurons) {
  const std::vector<std::string>& classes = source.data->classes;
  std::vector<Mark> marks;
  if (neurons != source.life->scores.size() || neurons < classes.size() || classes.size() < 2 ||
      neurons > kNamed) {
    return marks;
  }
  for (std::size_t k = 0; k < classes.size(); ++k) marks.push_back({static_cast<double>(k), classes[k]});
  return marks;
}

Axis time_axis(const SampleLife& life, const std::string& label) {
  return {.label = label, .low = -0.5, .high = static_cast<double>(life.steps) - 0.5, .whole = true};
}

/// The layers from the one that is `most` before the last.
std::vector<const LayerLife*> last_layers(const SampleLife& life, std::size_t most, bool firing) {
  std::vector<const LayerLife*> layers;
  for (const LayerLife& layer : life.layers) {
    if (!firing || !layer.spikes.empty()) layers.push_back(&layer);
  }
  if (layers.size() > most) layers.erase(layers.begin(), layers.end() - static_cast<std::ptrdiff_t>(most));
  return layers;
}

/// Spikes as strokes; `fired(t, f)` says where. Where there are too many rows, some of those that fire.
template <class Fired>
Plot raster_plot(const FigureSource& source, const std::string& title, std::size_t features, const char* what,
                 const Fired& fired) {
  std::vector<std::size_t> rows = chosen(features, features);
  std::string label = fmt::format("{}s", what);
  if (features > kMostRows) {
    std::erase_if(rows, [&](std::size_t f) {
      for (std::size_t t = 0; t < source.life->steps; ++t) {
        if (fired(t, f)) return false;
      }
      return true;
    });
    const std::vector<std::size_t> places = chosen(rows.size(), kMostRows);
    label = fmt::format("{} of {} that fire", places.size(), rows.size());
    for (std::size_t i = 0; i < places.size(); ++i) rows[i] = rows[places[i]];
    rows.resize(places.size());
  }
  std::vector<Mark> marks = class_marks(source, features);
  if (!marks.empty()) label = "output";
  Series strokes{.kind = Series::Kind::ticks, .color = 0};
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t t = 0; t < source.life->steps; ++t) {
      if (!fired(t, rows[row])) continue;
      strokes.x.push_back(static_cast<double>(t));
      strokes.y.push_back(static_cast<double>(row));
    }
  }
  return {.title = strokes.x.empty() ? title + ": silent" : title,
          .x = time_axis(*source.life, ""),
          .y = {.label = label,
                .low = -0.5,
                .high = static_cast<double>(std::max<std::size_t>(rows.size(), 1)) - 0.5,
                .whole = true,
                .marks = std::move(marks)},
          .series = {std::move(strokes)}};
}

/// values (T, F) as a map with time from left to right.
HeatMap over_time(const Tensor& values, const std::vector<std::size_t>& features) {
  const std::size_t T = values.shape()[0];
  HeatMap map{.columns = T, .rows = features.size()};
  for (const std::size_t f : features) {
    for (std::size_t t = 0; t < T; ++t) map.values.push_back(values.data()[t * values.shape()[1] + f]);
  }
  return map;
}

/// Of all values of a plot's maps.
void span_colors(Plot& plot) {
  bool any = false;
  for (const HeatMap& map : plot.maps) {
    for (const float value : map.values) {
      if (!std::isfinite(value)) continue;
      const auto v = static_cast<double>(value);
      plot.low = any ? std::min(plot.low, v) : v;
      plot.high = any ? std::max(plot.high, v) : v;
      any = true;
    }
  }
}

/// `pixels` for each plot, more where the words at its axis need it; the last one names the time.
void give_height(Figure& figure, double pixels) {
  double height = 100;
  for (const Plot& plot : figure.plots) {
    figure.rows.push_back(std::max(pixels, 80 + 20 * static_cast<double>(plot.y.marks.size())));
    height += figure.rows.back();
  }
  figure.rows.back() += 30;
  figure.height = static_cast<std::size_t>(height);
  figure.plots.back().x.label = kTimeLabel;
}

/// The mean over time of what went into the network, as the picture it is of; of three channels their mean.
Panel mean_panel(const SampleLife& life, const Shape& picture) {
  const std::size_t pixels = picture[1] * picture[2];
  Panel panel{.values = std::vector<float>(pixels)};
  const Tensor& x = life.input_values;
  const std::size_t pictures = x.size() / pixels;  // steps, or steps and channels
  for (std::size_t i = 0; i < x.size(); ++i) {
    panel.values[i % pixels] += x.data()[i] * 255 / static_cast<float>(pictures);
  }
  return panel;
}

}  // namespace

Panel picture_panel(const Dataset& data, std::size_t sample, const std::string& caption) {
  const std::size_t pixels = data.shape[1] * data.shape[2];
  const std::span<const std::uint8_t> picture = data.picture(sample);
  Panel panel{std::vector<float>(pixels), caption};
  for (std::size_t i = 0; i < picture.size(); ++i) {
    panel.values[i % pixels] += static_cast<float>(picture[i]) / static_cast<float>(data.shape[0]);
  }
  return panel;
}

Figure encoding_figure(const FigureSource& source) {
  const SampleLife& life = *source.life;
  const Shape& picture = source.data->shape;
  Figure figure{.title = title_of(source), .height = 460, .columns = {1, 2}};
  std::vector<Panel> panels{picture_panel(*source.data, life.sample, "picture")};
  if (life.input == picture && life.input_spikes) {
    panels.push_back(mean_panel(life, picture));
    panels.back().caption = fmt::format("mean of {} steps", life.steps);
  }
  figure.plots.push_back(panel_plot(panels, picture[2], 1, 160));
  const std::size_t F = life.input.size();
  if (life.input_spikes) {
    figure.plots.push_back(raster_plot(source, "its spikes", F, "input", [&](std::size_t t, std::size_t f) {
      return life.input_values.data()[t * F + f] != 0;
    }));
    figure.plots.back().x.label = kTimeLabel;
    return figure;
  }
  const std::vector<std::size_t> rows = chosen(F, kMostCells);
  Plot plot{.title = "its currents",
            .x = time_axis(life, kTimeLabel),
            .y = {.label = neurons_text(rows.size(), F, "input"), .whole = true},
            .maps = {over_time(life.input_values, rows)},
            .scale = "current"};
  span_colors(plot);
  figure.plots.push_back(std::move(plot));
  return figure;
}

Figure raster_figure(const FigureSource& source) {
  const SampleLife& life = *source.life;
  const std::vector<const LayerLife*> layers = last_layers(life, kMostLayers - 1, true);
  if (layers.empty() && !life.input_spikes) throw Error("nothing in this network makes spikes");
  Figure figure{.title = title_of(source)};
  if (life.input_spikes) {
    const std::size_t F = life.input.size();
    figure.plots.push_back(raster_plot(source, "input", F, "input", [&](std::size_t t, std::size_t f) {
      return life.input_values.data()[t * F + f] != 0;
    }));
  }
  for (const LayerLife* layer : layers) {
    figure.plots.push_back(raster_plot(
        source, fmt::format("layer {}, {}", layer->name, layer->kind), layer->neurons(), "neuron",
        [&](std::size_t t, std::size_t f) { return layer->spikes[t * layer->neurons() + f] != 0; }));
  }
  give_height(figure, 220);
  return figure;
}

namespace {

/// The outputs to look at: the label's, or without one the prediction, and the strongest other.
std::vector<std::size_t> two_outputs(const FigureSource& source, const LayerLife& layer) {
  const SampleLife& life = *source.life;
  if (layer.neurons() != life.scores.size()) return chosen(layer.neurons(), 2);
  const bool labelled = source.labelled && source.data->classes.size() >= 2;
  const std::size_t label = labelled ? source.data->labels[life.sample] : life.prediction;
  std::size_t other = label == 0 ? 1 : 0;
  for (std::size_t k = 0; k < life.scores.size(); ++k) {
    if (k != label && life.scores[k] > life.scores[other]) other = k;
  }
  if (other >= life.scores.size()) return {label};
  return {label, other};
}

Series over_steps(const Tensor& values, std::size_t f) {
  Series series;
  for (std::size_t t = 0; t < values.shape()[0]; ++t) {
    series.x.push_back(static_cast<double>(t));
    series.y.push_back(static_cast<double>(values.data()[t * values.shape()[1] + f]));
  }
  return series;
}

}  // namespace

Figure membrane_figure(const FigureSource& source) {
  const SampleLife& life = *source.life;
  if (life.layers.empty()) throw Error("this network has no neurons");
  const LayerLife& layer = life.layers.back();
  const std::vector<Mark> names = class_marks(source, layer.neurons());
  Plot current{.x = time_axis(life, ""), .y = {.label = "current x"}};
  Plot potential{.x = time_axis(life, kTimeLabel), .y = {.label = "potential h after charge"}};
  const std::vector<std::size_t> neurons = two_outputs(source, layer);
  for (std::size_t i = 0; i < neurons.size(); ++i) {
    const std::size_t f = neurons[i];
    Series x = over_steps(layer.current, f), h = over_steps(layer.potential, f);
    x.name = f < names.size() ? "output " + names[f].text : fmt::format("neuron {}", f);
    x.color = h.color = i;
    Series fired{.kind = Series::Kind::points, .color = i};
    for (std::size_t t = 0; t < life.steps && !layer.spikes.empty(); ++t) {
      if (layer.spikes[t * layer.neurons() + f] == 0) continue;
      fired.x.push_back(h.x[t]);
      fired.y.push_back(h.y[t]);
    }
    fired.name = fmt::format("its spikes: {}", fired.x.size());
    current.series.push_back(std::move(x));
    h.name = current.series.back().name;
    h.marked = false;
    current.series.back().marked = false;
    potential.series.push_back(std::move(h));
    if (!layer.spikes.empty()) potential.series.push_back(std::move(fired));
  }
  if (!layer.spikes.empty()) {
    Series threshold = over_steps(layer.threshold, neurons.front());
    threshold.name = "threshold";
    threshold.kind = Series::Kind::level;
    potential.series.push_back(std::move(threshold));
  }
  return {.title = title_of(source),
          .height = 720,
          .plots = {std::move(current), std::move(potential)},
          .rows = {2, 3}};
}

Figure heatmap_figure(const FigureSource& source) {
  const SampleLife& life = *source.life;
  const std::vector<const LayerLife*> layers = last_layers(life, kMostLayers, false);
  if (layers.empty()) throw Error("this network has no neurons");
  Figure figure{.title = title_of(source)};
  for (const LayerLife* layer : layers) {
    const std::vector<std::size_t> rows = chosen(layer->neurons(), kMostCells);
    const std::vector<Mark> marks = class_marks(source, layer->neurons());
    Plot plot{.title = fmt::format("layer {}, {}", layer->name, layer->kind),
              .x = time_axis(life, ""),
              .y = {.label = marks.empty() ? neurons_text(rows.size(), layer->neurons(), "neuron") : "output",
                    .whole = true,
                    .marks = marks},
              .maps = {over_time(layer->potential, rows)},
              .scale = "potential h"};
    span_colors(plot);
    figure.plots.push_back(std::move(plot));
  }
  give_height(figure, 240);
  return figure;
}

Figure predict_figure(const FigureSource& source) {
  const SampleLife& life = *source.life;
  Series bars{.kind = Series::Kind::bars, .color = 0};
  std::vector<Mark> marks = class_marks(source, life.scores.size());
  for (std::size_t k = 0; k < life.scores.size(); ++k) {
    bars.x.push_back(static_cast<double>(k));
    bars.y.push_back(static_cast<double>(life.scores[k]));
  }
  Plot scores{.x = {.label = marks.empty() ? "output" : "class", .whole = true, .marks = std::move(marks)},
              .y = {.label = "score"},
              .series = {std::move(bars)}};
  Figure figure = encoding_figure(source);
  figure.plots.front() =
      panel_plot({picture_panel(*source.data, life.sample, "picture")}, source.data->shape[2], 1, 200);
  figure.plots.push_back(std::move(scores));
  if (!life.layers.empty() && !life.layers.back().spikes.empty()) {
    figure.plots.push_back(std::move(raster_figure(source).plots.back()));
  }
  figure.height = 760;
  return figure;
}

}  // namespace volley

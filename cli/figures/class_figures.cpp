#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <volley/conv.hpp>
#include <volley/error.hpp>

#include "figures/gnuplot.hpp"
#include "figures/run_figures.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostNamed = 30;     // classes that have room for their names
constexpr std::size_t kMostCounted = 16;   // classes whose cells have room for a number
constexpr std::size_t kMostPictures = 64;  // of weights
constexpr double kShownShare = 0.995;      // of weights, those within the scale of colours
constexpr std::size_t kSheet = 40;         // pictures on the sheet of a run

std::vector<Mark> marks_of(const std::vector<std::string>& names) {
  std::vector<Mark> marks;
  const std::size_t every = (names.size() + kMostNamed - 1) / kMostNamed;
  for (std::size_t k = 0; k < names.size(); k += every) marks.push_back({static_cast<double>(k), names[k]});
  return marks;
}

/// The names of `outputs`, some of which may stand for no class.
std::vector<std::string> names_of(const Dataset& data, std::size_t outputs) {
  std::vector<std::string> names = data.classes;
  for (std::size_t k = names.size(); k < outputs; ++k) names.push_back(fmt::format("output {}", k));
  return names;
}

struct Weights {
  std::vector<Panel> panels;
  std::size_t width = 0;
  std::string what;
};

/// A row of weights for each output, as the picture whose pixels they weigh; of three channels their mean.
Weights pictures_of(Linear& linear, const Dataset& data) {
  const Shape& picture = data.shape;
  if (linear.in() != picture.size()) {
    throw Error(fmt::format("its first weights are of {} inputs, and not of the {} pixels of a picture",
                            linear.in(), picture.size()));
  }
  const std::size_t pixels = picture[1] * picture[2];
  const bool classes = linear.out() == data.classes.size();
  Weights weights{.width = picture[2],
                  .what = classes ? "weights of each class" : "weights of the first layer"};
  for (std::size_t k = 0; k < std::min(linear.out(), kMostPictures); ++k) {
    Panel panel{std::vector<float>(pixels), classes ? data.classes[k] : fmt::format("neuron {}", k)};
    for (std::size_t i = 0; i < picture.size(); ++i) {
      panel.values[i % pixels] +=
          linear.weight().value.data()[k * picture.size() + i] / static_cast<float>(picture[0]);
    }
    weights.panels.push_back(std::move(panel));
  }
  return weights;
}

/// A kernel for each output and input channel.
Weights pictures_of(Conv2d& conv) {
  const Tensor& weight = conv.parameters().front().parameter->value;  // (out, in, kh, kw)
  const Shape& shape = weight.shape();
  const std::size_t size = shape[2] * shape[3];
  Weights weights{.width = shape[3], .what = "kernels of the first layer"};
  for (std::size_t k = 0; k < std::min(shape[0] * shape[1], kMostPictures); ++k) {
    const float* first = weight.data() + k * size;
    const std::string channel = fmt::format("{}", k / shape[1]);
    weights.panels.push_back({std::vector<float>(first, first + size),
                              shape[1] == 1 ? channel : fmt::format("{} of {}", channel, k % shape[1])});
  }
  return weights;
}

Weights first_weights(Sequential& net, const Dataset& data) {
  for (std::size_t i = 0; i < net.size(); ++i) {
    if (auto* linear = dynamic_cast<Linear*>(&net[i])) return pictures_of(*linear, data);
    if (auto* conv = dynamic_cast<Conv2d*>(&net[i])) return pictures_of(*conv);
  }
  throw Error("the network has neither a linear layer nor a convolution outside of its blocks");
}

}  // namespace

Figure dataset_figure(const Dataset& data, std::size_t first, std::size_t count) {
  if (first >= data.size()) {
    throw ArgumentError("data",
                        fmt::format("first picture of {} must be 0 to {}", data.name,
                                    static_cast<std::ptrdiff_t>(data.size()) - 1),
                        fmt::format("{}", first));
  }
  std::vector<Panel> panels;
  for (std::size_t n = first; n < std::min(data.size(), first + count); ++n) {
    panels.push_back(picture_panel(data, n, data.classes[data.labels[n]]));
  }
  return panel_figure(fmt::format("{}, from picture {}", data.name, first), panels, data.shape[2], 10, 112);
}

Figure samples_figure(const FigureSource& source) { return dataset_figure(*source.data, 0, kSheet); }

Figure weights_figure(const FigureSource& source) {
  const Weights weights = first_weights(*source.net, *source.data);
  std::vector<float> sizes;
  for (const Panel& panel : weights.panels) {
    for (const float value : panel.values) sizes.push_back(std::isfinite(value) ? std::abs(value) : 0);
  }
  // The few that are far larger than all others would leave no colour for these.
  const auto most =
      sizes.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(sizes.size() - 1) * kShownShare);
  std::nth_element(sizes.begin(), most, sizes.end());
  const std::size_t count = weights.panels.size();
  const std::size_t columns = count <= 10 ? 5 : count <= 32 ? 8 : 11;
  Figure figure = panel_figure(fmt::format("{}: {}", source.record->recipe.name, weights.what),
                               weights.panels, weights.width, columns, count <= 10 ? 150 : 84);
  Plot& plot = figure.plots.front();
  plot.colors = ColorScale::diverging;
  plot.high = *most > 0 ? static_cast<double>(*most) : 1;
  plot.low = -plot.high;
  plot.scale = "weight";
  figure.width += static_cast<std::size_t>(gnuplot::kScale);
  return figure;
}

namespace {

/// What the scores of an evaluation are, by the loss.
std::string score_label(const Recipe& recipe) {
  const std::string_view kind = std::visit([](const auto& loss) { return loss.kKind; }, recipe.loss);
  if (kind.starts_with("rate")) return "firing rate (spikes per step)";
  return kind.starts_with("count") ? "spikes" : "score";
}

/// Of which checkpoint an evaluation is.
std::string after_epoch(const FigureSource& source) {
  return source.epoch == 0 ? "" : fmt::format(", after epoch {}", source.epoch);
}

}  // namespace

Figure rates_figure(const FigureSource& source) {
  const ClassReport& report = *source.classes;
  const std::vector<std::string>& names = source.data->classes;
  using Kind = Series::Kind;
  Series own{.name = "pictures of the class", .kind = Kind::bars, .color = 0, .width = 0.35};
  Series others{.name = "all other pictures", .kind = Kind::bars, .color = 1, .width = 0.35};
  for (std::size_t k = 0; k < names.size(); ++k) {
    double pictures = 0, sum = 0;
    for (std::size_t label = 0; label < names.size(); ++label) {
      if (label == k) continue;
      double count = 0;
      for (const std::size_t n : report.confusion[label]) count += static_cast<double>(n);
      if (count == 0) continue;
      pictures += count;
      sum += count * report.rates[label][k];
    }
    own.x.push_back(static_cast<double>(k) - 0.19);
    own.y.push_back(report.rates[k][k]);
    others.x.push_back(static_cast<double>(k) + 0.19);
    others.y.push_back(pictures > 0 ? sum / pictures : 0);
  }
  return {.title = fmt::format("{}: what each class's output gives on {}{}", source.record->recipe.name,
                               source.data->name, after_epoch(source)),
          .plots = {{.x = {.label = "class",
                           .low = -0.6,
                           .high = static_cast<double>(names.size()) - 0.4,
                           .marks = marks_of(names)},
                     .y = {.label = score_label(source.record->recipe)},
                     .series = {std::move(own), std::move(others)}}}};
}

/// Colours show the mistakes: up to the largest share of a class that is taken for another.
Figure confusion_figure(const FigureSource& source) {
  const std::vector<std::vector<std::size_t>>& confusion = source.classes->confusion;
  const std::size_t rows = confusion.size();
  const std::vector<std::string> outputs = names_of(*source.data, confusion.front().size());
  HeatMap map{.columns = outputs.size(), .rows = rows};
  double most = 0;
  for (std::size_t label = 0; label < rows; ++label) {
    const double all = std::accumulate(confusion[label].begin(), confusion[label].end(), 0.0);
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const double share = all > 0 ? 100 * static_cast<double>(confusion[label][k]) / all : 0;
      if (k != label) most = std::max(most, share);
      map.values.push_back(k == label ? NAN : static_cast<float>(share));
    }
  }
  Plot plot{.x = {.label = "taken for", .marks = marks_of(outputs)},
            .y = {.label = "class", .downward = true, .marks = marks_of(source.data->classes)},
            .low = 0,
            .high = most > 0 ? most : 1,
            .scale = "mistakes (% of the class)",
            .square = true};
  for (std::size_t label = 0; label < rows; ++label) {
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      if (rows > kMostCounted || outputs.size() > kMostCounted || confusion[label][k] == 0) continue;
      const bool bright = static_cast<double>(map.values[label * outputs.size() + k]) > 0.6 * plot.high;
      plot.notes.push_back({.x = static_cast<double>(k),
                            .y = static_cast<double>(label),
                            .text = fmt::format("{}", confusion[label][k]),
                            .color = k == label ? Note::Color::ink
                                     : bright   ? Note::Color::black
                                                : Note::Color::white,
                            .small = true});
    }
  }
  plot.maps.push_back(std::move(map));
  return {.title = fmt::format("{}: confusion on {}{}", source.record->recipe.name, source.data->name,
                               after_epoch(source)),
          .width = 860,
          .height = 760,
          .plots = {std::move(plot)}};
}

}  // namespace volley

#include "report/examples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "png_bytes.hpp"
#include "report/page.hpp"

namespace volley::report {
namespace {

constexpr std::size_t kMostRows = 40;        // of a raster of lines
constexpr std::size_t kMostInputRows = 112;  // of a raster of pixels
constexpr std::size_t kMostColumns = 400;

/// The spikes of `rows` neurons, (T, rows), as pixels: the darker, the more of the neighbours that a pixel
/// stands for fired.
template <class Fired>
std::string raster_png(std::size_t steps, std::size_t rows, const Fired& fired) {
  const std::size_t tall = (rows + kMostInputRows - 1) / kMostInputRows;
  const std::size_t wide = (steps + kMostColumns - 1) / kMostColumns;
  const Shape shape{1, (rows + tall - 1) / tall, (steps + wide - 1) / wide};
  std::vector<std::uint8_t> pixels;
  for (std::size_t y = 0; y < shape[1]; ++y) {
    for (std::size_t x = 0; x < shape[2]; ++x) {
      std::size_t count = 0, all = 0;
      for (std::size_t t = x * wide; t < std::min(steps, (x + 1) * wide); ++t) {
        for (std::size_t f = y * tall; f < std::min(rows, (y + 1) * tall); ++f, ++all) count += fired(t, f);
      }
      pixels.push_back(static_cast<std::uint8_t>(255 - 255 * count / all));
    }
  }
  return png_bytes(pixels, shape);
}

void add_pixels(Html& page, const std::string& png, const std::string& words) {
  page.open("div", {{"class", "wide"}}).leaf("p", words, {{"class", "small"}});
  page.lone("img", {{"class", "raster"}, {"src", data_uri(png)}, {"alt", words}}).close();
}

/// A row of lines for each neuron: the label's, the prediction's and the others.
void add_lines(Html& page, const LayerLife& layer, std::size_t label, std::size_t prediction, bool classes,
               const std::string& words) {
  constexpr double kWidth = 220, kLeft = 16, kRow = 10;
  const std::size_t F = layer.neurons(), T = layer.steps();
  page.open("div", {{"class", "wide"}}).leaf("p", words, {{"class", "small"}});
  page.open("svg", {{"class", "spikes"},
                    {"viewBox", fmt::format("0 0 {} {}", kWidth, kRow * static_cast<double>(F))},
                    {"role", "img"},
                    {"aria-label", words}});
  for (std::size_t f = 0; f < F; ++f) {
    const double top = kRow * static_cast<double>(f);
    const std::string number = fmt::format("{}", f);
    const std::string base = fmt::format("{:.0f}", top + 8);
    page.leaf("text", number, {{"x", "12"}, {"y", base}, {"text-anchor", "end"}});
    std::string lines;
    for (std::size_t t = 0; t < T; ++t) {
      if (layer.spikes[t * F + f] == 0) continue;
      const double x = kLeft + (kWidth - kLeft) * (static_cast<double>(t) + 0.5) / static_cast<double>(T);
      lines += fmt::format("M{:.1f} {:.0f}v8", x, top + 1);
    }
    const char* kind = !classes ? "" : f == label ? "label-row" : f == prediction ? "chosen" : "";
    if (!lines.empty()) page.lone("path", {{"class", kind}, {"d", lines}});
  }
  page.close().close();
}

void add_spikes(Html& page, const SampleLife& life, std::size_t label) {
  if (life.input_spikes) {
    const std::size_t F = life.input_values.size() / life.steps;
    std::size_t count = 0;
    for (const float s : life.input_values.values()) count += s != 0;
    const std::string words =
        fmt::format("Spikes into the network: {} inputs over {} steps, {} fired", F, life.steps,
                    percent(static_cast<double>(count) / static_cast<double>(life.input_values.size())));
    add_pixels(
        page,
        raster_png(life.steps, F,
                   [&](std::size_t t, std::size_t f) { return life.input_values.data()[t * F + f] != 0; }),
        words);
  }
  const auto fires = [](const LayerLife& layer) { return !layer.spikes.empty(); };
  const auto last = std::find_if(life.layers.rbegin(), life.layers.rend(), fires);
  if (last == life.layers.rend()) {
    page.leaf("p", "No layer of this network fires.", {{"class", "small wide"}});
    return;
  }
  const std::size_t F = last->neurons();
  const bool classes = F == life.scores.size();
  std::string words = fmt::format("Spikes of the {}, {} {}: {} neurons over {} steps",
                                  &*last == &life.layers.back() ? "output layer" : "last layer that fires",
                                  last->name, last->kind, F, last->steps());
  if (classes) words += ", one for each class; green: what it shows";
  if (classes && life.prediction != label) words += ", orange: what it was taken for";
  if (F <= kMostRows) {
    add_lines(page, *last, label, life.prediction, classes, words);
  } else {
    add_pixels(page,
               raster_png(last->steps(), F,
                          [&](std::size_t t, std::size_t f) { return last->spikes[t * F + f] != 0; }),
               words);
  }
}

void add_example(Html& page, const Tested& tested, const SampleLife& life) {
  const std::size_t label = tested.data.labels[life.sample];
  const bool right = life.prediction == label;
  const std::string shows = class_name(tested.data, label), taken = class_name(tested.data, life.prediction);
  page.open("li").open("figure");
  page.open("figcaption").text(fmt::format("Picture {}: {}", life.sample, shows));
  page.leaf("span", right ? ", right" : ", taken for " + taken, {{"class", right ? "good" : "bad"}}).close();
  page.lone(
      "img",
      {{"class", "picture"},
       {"src", data_uri(png_bytes(tested.data.picture(life.sample), tested.data.shape))},
       {"alt", fmt::format("Picture {} of {}, which shows: {}", life.sample, tested.data.name, shows)}});
  page.open("table").leaf("caption", "Highest scores").open("tbody");
  std::vector<std::size_t> order(life.scores.size());
  for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t k) { return life.scores[k]; });
  for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()); ++i) {
    page.open("tr").leaf("th", class_name(tested.data, order[i]), {{"scope", "row"}});
    page.leaf("td", fmt::format("{:.3f}", life.scores[order[i]])).close();
  }
  page.close().close();
  add_spikes(page, life, label);
  page.close().close();
}

}  // namespace

std::vector<std::size_t> worth_a_look(const Evaluation& evaluation, const Dataset& data, std::size_t right,
                                      std::size_t wrong) {
  const std::size_t K = evaluation.scores.shape()[1];
  const auto sureness = [&](std::size_t n) {
    const float* scores = evaluation.scores.data() + n * K;
    return scores[evaluation.predictions[n]] - scores[data.labels[n]];
  };
  std::vector<std::size_t> chosen, mistaken;
  std::set<std::uint32_t> classes;
  for (std::size_t n = 0; n < data.size(); ++n) {
    if (evaluation.predictions[n] != data.labels[n]) {
      mistaken.push_back(n);
    } else if (chosen.size() < right && classes.insert(data.labels[n]).second) {
      chosen.push_back(n);
    }
  }
  std::ranges::stable_sort(mistaken, std::greater{}, sureness);
  mistaken.resize(std::min(mistaken.size(), wrong));
  chosen.insert(chosen.end(), mistaken.begin(), mistaken.end());
  return chosen;
}

void add_examples(Html& page, const Tested& tested) {
  const auto is_right = [&](const SampleLife& life) {
    return life.prediction == tested.data.labels[life.sample];
  };
  for (const bool right : {true, false}) {
    page.leaf("h3", right ? "Right" : "Wrong, the surest mistakes first");
    if (std::ranges::none_of(tested.examples, [&](const auto& life) { return is_right(life) == right; })) {
      page.leaf("p", "None.");
      continue;
    }
    page.open("ul", {{"class", "examples"}});
    for (const SampleLife& life : tested.examples) {
      if (is_right(life) == right) add_example(page, tested, life);
    }
    page.close();
  }
}

}  // namespace volley::report

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include <volley/choices.hpp>
#include <volley/encoder.hpp>

#include "figures/gnuplot.hpp"
#include "figures/run_figures.hpp"

namespace volley {
namespace {

constexpr double kRow = 30;          // pixels
constexpr double kArc = 0.55;        // what an arc is farther out than the one within it, in rows
constexpr std::size_t kPoints = 32;  // of an arc

/// What one row reads of another. Row 0 is the input.
struct Read {
  std::size_t from, to;
  std::size_t delay = 0;
  std::size_t level = 0;  // of its arc: how many lie within it

  std::size_t low() const { return std::min(from, to); }
  std::size_t high() const { return std::max(from, to); }
};

std::vector<Read> reads_of(const Graph& net) {
  std::vector<Read> all;
  for (std::size_t i = 0; i < net.size(); ++i) {
    for (const GraphEdge& edge : net.edges(i)) all.push_back({edge.from, i + 1, edge.delay});
  }
  return all;
}

bool is_straight(const Read& read) { return read.delay == 0 && read.to == read.from + 1; }

/// Gives arcs that overlap levels of their own, short ones within long ones; returns how many levels there
/// are.
std::size_t lay_out(std::vector<Read>& arcs) {
  std::ranges::stable_sort(arcs, {}, [](const Read& r) { return r.high() - r.low(); });
  std::size_t levels = 0;
  for (std::size_t i = 0; i < arcs.size(); ++i) {
    Read& arc = arcs[i];
    const auto overlaps = [&](const Read& other) {
      const bool same = other.low() == arc.low() && other.high() == arc.high();
      return other.level == arc.level && (same || (other.low() < arc.high() && arc.low() < other.high()));
    };
    while (std::any_of(arcs.begin(), arcs.begin() + static_cast<std::ptrdiff_t>(i), overlaps)) ++arc.level;
    levels = std::max(levels, arc.level + 1);
  }
  return levels;
}

double width_of(const Read& arc) { return kArc * static_cast<double>(arc.level + 1); }

/// The curve of an arc on the left of the rows; a layer that reads itself has a small one.
void add_arc(Series& series, const Read& arc) {
  const double own = arc.from == arc.to ? 0.35 : 0;
  const double from = static_cast<double>(arc.from) + own, to = static_cast<double>(arc.to) - own;
  for (std::size_t k = 0; k <= kPoints; ++k) {
    const double u = static_cast<double>(k) / kPoints;
    series.x.push_back(-width_of(arc) * std::sin(std::numbers::pi * u));
    series.y.push_back(from + (to - from) * (1 - std::cos(std::numbers::pi * u)) / 2);
  }
}

Series line() { return {.kind = Series::Kind::line, .color = 0, .marked = false}; }

/// The features that each layer gives, as a pass shows them.
std::vector<Shape> features_of(const Graph& net, const Shape& input, std::size_t steps) {
  Tape tape;
  const Tensor nothing(input.after({1, std::max<std::size_t>(steps, 1)}));
  net.forward(nothing, tape);
  std::vector<Shape> features;
  for (const Tape& child : tape.children()) features.push_back(child.trace().y.shape().from(2));
  return features;
}

/// "3 linear, 64": a layer's name, kind and features, and how it joins what it reads.
std::string row_text(const Graph& net, std::size_t i, const Shape& features) {
  const NodeOptions& node = net.node(i);
  std::string text = fmt::format("{}  {}  {}", net.name_of(i), net[i].kind(), features.text());
  if (node.inputs.size() > 1)
    text += fmt::format("  {} of {}", choices(node.join)[static_cast<std::size_t>(node.join)],
                        node.inputs.size());
  return text;
}

}  // namespace

Figure network_figure(const FigureSource& source) {
  Graph& net = *source.net;
  const Shape input = make_encoder(source.record->recipe.encoder)->output_shape(source.data->shape);
  const std::vector<Shape> features = features_of(net, input, source.record->recipe.training.steps);
  std::vector<Read> reads = reads_of(net), arcs;
  std::ranges::copy_if(reads, std::back_inserter(arcs), [](const Read& r) { return !is_straight(r); });
  const double left = 0.6 + kArc * static_cast<double>(lay_out(arcs));
  const auto rows = static_cast<double>(net.size() + 1);
  Plot plot{.x = {.low = -left, .high = std::max(16.0, 2 * left)},
            .y = {.low = -0.7, .high = rows - 0.3, .downward = true},
            .bare = true,
            .square = true};
  for (const Read& read : reads) {
    if (!is_straight(read)) continue;
    Series straight = line();
    straight.x = {0, 0};
    straight.y = {static_cast<double>(read.from), static_cast<double>(read.to)};
    plot.series.push_back(std::move(straight));
  }
  for (const Read& arc : arcs) {
    Series curve = line();
    if (arc.delay > 0) curve.kind = Series::Kind::level;
    add_arc(curve, arc);
    plot.series.push_back(std::move(curve));
    if (arc.delay == 0) continue;
    const double middle = (static_cast<double>(arc.from) + static_cast<double>(arc.to)) / 2;
    plot.notes.push_back({.x = -width_of(arc) - 0.1,
                          .y = middle,
                          .text = fmt::format("@{}", arc.delay),
                          .align = Note::Align::right,
                          .small = true});
  }
  Series places{.kind = Series::Kind::points, .color = 0};
  for (std::size_t row = 0; row <= net.size(); ++row) {
    places.x.push_back(0);
    places.y.push_back(static_cast<double>(row));
    plot.notes.push_back(
        {.x = 0.5,
         .y = static_cast<double>(row),
         .text = row == 0 ? "input  " + input.text() : row_text(net, row - 1, features.at(row - 1)),
         .align = Note::Align::left});
  }
  plot.series.push_back(std::move(places));
  const auto pixels = [](double size) { return static_cast<std::size_t>(size); };
  return {.title = fmt::format("{}: network", source.record->recipe.name),
          .width = pixels((left + *plot.x.high) * kRow),
          .height = pixels((rows + 0.4) * kRow + gnuplot::kTitle + gnuplot::kEdge),
          .plots = {std::move(plot)}};
}

}  // namespace volley

#include <volley/graph.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <volley/error.hpp>
#include <volley/text.hpp>

#include "layers/layer_access.hpp"

namespace volley {
namespace {

constexpr std::string_view kInput = "input";
constexpr std::size_t kMostDelay = 1 << 16;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name(const std::string& name) {
  const auto fits = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  };
  return std::ranges::all_of(name, fits) && !std::ranges::all_of(name, is_digit) && name != kInput;
}

/// "lif@2" in its parts.
struct Reference {
  std::string name;
  std::size_t delay = 0;
};

Reference parse(const std::string& text) {
  const std::size_t at = text.find('@');
  Reference reference{text.substr(0, at)};
  if (at == std::string::npos) return reference;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + at + 1, end, reference.delay);
  if (error != std::errc{} || stop != end || reference.delay > kMostDelay) {
    throw ArgumentError(Graph::kKind,
                        fmt::format("an input must be NAME or NAME@STEPS, at most {} steps", kMostDelay),
                        fmt::format("'{}'", text));
  }
  return reference;
}

}  // namespace

Graph::Graph(const Graph& other)
    : Layer(other), nodes_(other.nodes_), loops_(other.loops_), pasts_(other.pasts_) {
  for (Node& node : nodes_) node.layer = node.layer->clone();
}

Graph& Graph::operator=(const Graph& other) {
  if (this != &other) *this = Graph(other);
  return *this;
}

Graph::Graph(Graph&& other) noexcept
    : Layer(std::move(other)),
      nodes_(std::exchange(other.nodes_, {})),
      loops_(std::exchange(other.loops_, {})),
      pasts_(std::exchange(other.pasts_, {})) {}

Graph& Graph::operator=(Graph&& other) noexcept {
  Layer::operator=(std::move(other));
  std::swap(nodes_, other.nodes_);
  std::swap(loops_, other.loops_);
  std::swap(pasts_, other.pasts_);
  return *this;
}

void Graph::check_node(const NodeOptions& options) const {
  if (!options.name.empty() && !is_name(options.name)) {
    throw ArgumentError(kKind, "a name must be of letters, digits, _ and -, no number and not 'input'",
                        fmt::format("'{}'", options.name));
  }
  for (std::size_t i = 0; i < nodes_.size() && !options.name.empty(); ++i) {
    if (nodes_[i].options.name == options.name)
      throw ArgumentError(kKind, "a name must be that of one layer",
                          fmt::format("'{}' a second time", options.name));
  }
  const std::size_t inputs = options.inputs.empty() ? 1 : options.inputs.size();
  if (options.join == Connect::IAND && inputs != 2) {
    throw ArgumentError(kKind, "IAND must join two inputs", fmt::format("{}", inputs));
  }
}

void Graph::add(std::shared_ptr<Layer> layer, const NodeOptions& options) {
  if (layer == nullptr) throw ArgumentError(kKind, "a layer must not be null");
  std::set<const Layer*> here;
  walk([&](const std::string&, Layer& l) { here.insert(&l); });
  layer->walk([&](const std::string& path, Layer& l) {
    if (&l == this) throw ArgumentError(kKind, "a Sequential must not be a layer of itself");
    if (here.contains(&l) && LayerAccess::has_parameters(l)) {
      throw ArgumentError(kKind, "a layer with parameters must be in a network once",
                          fmt::format("the {} '{}' a second time", l.kind(), path));
    }
  });
  check_node(options);
  for (const std::string& input : options.inputs) static_cast<void>(parse(input));
  const bool learns = !LayerAccess::is_fixed(*layer);
  nodes_.push_back({std::move(layer), options, learns, {}});
  try {
    link();
  } catch (...) {
    nodes_.pop_back();
    link();
    throw;
  }
  draw_untouched();
}

/// Those of a node, by the names that there are now.
std::vector<GraphEdge> Graph::edges_of(std::size_t node) const {
  const NodeOptions& options = nodes_[node].options;
  if (options.inputs.empty()) return {{node, 0}};  // the node before
  std::vector<GraphEdge> edges;
  for (const std::string& input : options.inputs) {
    const auto [name, delay] = parse(input);
    GraphEdge edge{kUnknown, delay};
    if (name == kInput) edge.from = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (name_of(i) == name) edge.from = i + 1;
    }
    if (edge.from != kUnknown && edge.from > node && delay == 0) {
      throw ArgumentError(
          kKind,
          fmt::format("layer '{}' must read a layer that comes before it, or an earlier step", name_of(node)),
          fmt::format("'{}'; '{}@1' is its last step", input, input));
    }
    edges.push_back(edge);
  }
  return edges;
}

/// Looks all names up, and finds what must run step by step: from a node that reads a later one to that one.
void Graph::link() {
  loops_.clear();
  pasts_.assign(nodes_.size() + 1, 0);
  for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i].edges = edges_of(i);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Loop loop{i, i};
    bool loops = false;
    for (const GraphEdge& edge : nodes_[i].edges) {
      if (edge.from == kUnknown) continue;
      pasts_[edge.from] = std::max(pasts_[edge.from], edge.delay);
      if (edge.from <= i) continue;
      loops = true;
      loop.last = std::max(loop.last, edge.from - 1);
    }
    if (!loops) continue;
    if (!loops_.empty() && loop.first <= loops_.back().last) {
      loops_.back().last = std::max(loops_.back().last, loop.last);
    } else {
      loops_.push_back(loop);
    }
  }
}

void Graph::check_linked() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (std::size_t k = 0; k < nodes_[i].edges.size(); ++k) {
      if (nodes_[i].edges[k].from != kUnknown) continue;
      std::vector<std::string> names{std::string(kInput)};
      for (std::size_t j = 0; j < nodes_.size(); ++j) names.push_back(name_of(j));
      throw ArgumentError(kKind,
                          fmt::format("inputs of layer '{}' must be names of layers, or 'input'", name_of(i)),
                          fmt::format("'{}'{}", nodes_[i].options.inputs[k],
                                      suggestion(parse(nodes_[i].options.inputs[k]).name, names)));
    }
  }
}

const std::shared_ptr<Layer>& Graph::at(std::size_t i) const {
  if (i >= nodes_.size()) {
    throw ArgumentError(kKind, fmt::format("index must be < {}", nodes_.size()), fmt::format("{}", i));
  }
  return nodes_[i].layer;
}

const NodeOptions& Graph::node(std::size_t i) const {
  static_cast<void>(at(i));
  return nodes_[i].options;
}

const std::vector<GraphEdge>& Graph::edges(std::size_t i) const {
  static_cast<void>(at(i));
  check_linked();
  return nodes_[i].edges;
}

std::string Graph::name_of(std::size_t i) const {
  static_cast<void>(at(i));
  return nodes_[i].options.name.empty() ? fmt::format("{}", i) : nodes_[i].options.name;
}

std::string Graph::signal_name(std::size_t signal) const {
  return signal == 0 ? std::string(kInput) : name_of(signal - 1);
}

/// What the node's layer is given, of the shapes that are known; rank 0 where none is.
Shape Graph::joined_shape(std::size_t node, const std::vector<Shape>& of_signals) const {
  const Node& of = nodes_[node];
  Shape joined;
  std::size_t channels = 0;
  for (const GraphEdge& edge : of.edges) {
    const Shape& shape = of_signals[edge.from];
    const bool concatenates = of.options.join == Connect::CONCATENATE;
    if (shape.rank() == 0) {
      if (concatenates) return {};
      continue;
    }
    if (joined.rank() == 0) joined = shape;
    const bool fits =
        concatenates ? joined.rank() == shape.rank() && joined.from(1) == shape.from(1) : joined == shape;
    if (!fits) {
      throw ShapeError(kKind,
                       fmt::format("inputs of layer '{}' must have {} features {}, as '{}' has",
                                   name_of(node), concatenates ? "behind the first the" : "the",
                                   joined.text(), signal_name(of.edges.front().from)),
                       shape);
    }
    channels += shape[0];
  }
  return of.options.join == Connect::CONCATENATE ? joined.from(1).after({channels}) : joined;
}

/// What the node's layer gives of `given`.
Shape Graph::shape_of(std::size_t node, const Shape& given) const {
  try {
    return nodes_[node].layer->output_shape(given);
  } catch (const ShapeError& error) {
    throw error.at(fmt::format("layer {}", name_of(node)));
  }
}

/// The features of all signals. Those of later nodes are known when these are: it looks again while it learns
/// one.
std::vector<Shape> Graph::shapes(const Shape& features) const {
  check_linked();
  std::vector<Shape> all(nodes_.size() + 1);
  all[0] = features;
  for (bool learned = true; learned;) {
    learned = false;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const Shape given = joined_shape(i, all);
      if (given.rank() == 0 || all[i + 1].rank() != 0) continue;
      all[i + 1] = shape_of(i, given);
      learned = true;
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (all[i + 1].rank() != 0) continue;
    throw ArgumentError(kKind, fmt::format("layer '{}' must read what does not come of it alone", name_of(i)),
                        "a loop that nothing enters");
  }
  return all;
}

Shape Graph::output_shape(const Shape& features) const {
  const auto is_next = [](const Node& node) { return node.options.inputs.empty(); };
  if (!std::ranges::all_of(nodes_, is_next)) return shapes(features).back();
  Shape shape = features;
  for (std::size_t i = 0; i < nodes_.size(); ++i) shape = shape_of(i, shape);
  return shape;
}

std::vector<std::string> Graph::state_names() const {
  std::vector<std::string> names;
  for (std::size_t s = 0; s < pasts_.size(); ++s) {
    if (pasts_[s] == 0) continue;
    names.push_back("past." + signal_name(s));
    names.push_back("past_spikes." + signal_name(s));
  }
  return names;
}

Form Graph::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = {}, .constant = true};
}

std::vector<NamedLayer> Graph::do_children() {
  std::vector<NamedLayer> all;
  for (std::size_t i = 0; i < nodes_.size(); ++i) all.push_back({name_of(i), nodes_[i].layer.get()});
  return all;
}

std::unique_ptr<Layer> Graph::do_clone() const { return std::make_unique<Graph>(*this); }

}  // namespace volley

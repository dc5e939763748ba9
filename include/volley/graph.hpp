#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <volley/fields.hpp>
#include <volley/layer.hpp>

namespace volley {

/// How a node joins the signals that come to it, a, b, c, ... in their order.
enum class Connect {
  ADD,          // a + b + c
  AND,          // a b c; of spikes, spikes
  IAND,         // (1 - a) b, of exactly two; of spikes, spikes
  CONCATENATE,  // one after another along the first feature dimension; of spikes, spikes
  MEAN,         // (a + b + c) / 3
  PRODUCT,      // a b c as real values
};

/// Where a layer stands in a Graph. In a recipe these are keys of its table.
struct NodeOptions {
  /// Letters, digits, _ and -, no number; none: its index, "3".
  std::string name{};
  /// What it reads, by name: nodes, and "input" for what comes to the graph. "lif@2" is what lif gave two
  /// steps before, 0 before the first step. Of a node that comes later it must be such an earlier step. None:
  /// the node before, or "input" for the first.
  std::vector<std::string> inputs{};
  Connect join = Connect::ADD;  // how they are joined

  friend bool operator==(const NodeOptions&, const NodeOptions&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name, any());
    visit("inputs", self.inputs, any());
    visit("join", self.join, any());
  }
};

/// One signal that a layer of a Graph reads.
struct GraphEdge {
  std::size_t from;   // 0: what comes to the graph, i + 1: what layer i gives
  std::size_t delay;  // how many steps before

  friend bool operator==(const GraphEdge&, const GraphEdge&) = default;
};

/// Layers that read each other by name. Without names and inputs they follow one another, which is what
/// Sequential is another word for:
///
///     Sequential net{Flatten{}, Linear{784, 10}, LIF{}};
///
///     Graph net;                                                     // two layers of neurons, the second of
///     which net.add(std::make_shared<Linear>(784, 100), {.name = "in"});   // comes back to the first a step
///     later net.add(std::make_shared<Linear>(50, 100), {.name = "back", .inputs = {"second@1"}});
///     net.add(std::make_shared<LIF>(), {.name = "first", .inputs = {"in", "back"}});
///     net.add(std::make_shared<Linear>(100, 50));
///     net.add(std::make_shared<LIF>(), {.name = "second"});
///
/// The last node's output is the graph's. Several outputs are one that CONCATENATE joins, and several inputs
/// are parts of one: a Slice of "input". Parameters and buffers are named by their node, as PyTorch names
/// them: "1.weight", "back.weight". A copy has copies of the layers.
///
/// Time: layers run over all steps at once, but those of a loop, from the first that reads a later one to the
/// last that it reads, which run step by step, each from a state to the next. The bits are those of any other
/// way to cut the steps. A batch normalization in a loop has the statistics of each step.
///
/// Gradients of an output that several read are added up from the last reader to the first:
/// docs/math/graph.md.
class Graph final : public Layer {
 public:
  static constexpr const char* kKind = "sequential";

  Graph() = default;
  template <class... Layers>
  requires(sizeof...(Layers) > 0 && (std::is_base_of_v<Layer, std::remove_cvref_t<Layers>> && ...) &&
           !(sizeof...(Layers) == 1 && (std::is_same_v<Graph, std::remove_cvref_t<Layers>> &&
                                        ...))) explicit Graph(Layers&&... layers) {
    (add(std::make_shared<std::remove_cvref_t<Layers>>(std::forward<Layers>(layers))), ...);
  }
  Graph(const Graph& other);
  Graph(Graph&& other) noexcept;
  Graph& operator=(const Graph& other);
  Graph& operator=(Graph&& other) noexcept;

  /// Puts a layer at the end. A caller that keeps a pointer shares the layer. Parameters that nothing has set
  /// since their construction are drawn from seed 0 by their path. Throws ArgumentError for null, for a layer
  /// with parameters that is here already, for this Graph itself, for a name that is here or is none, and for
  /// inputs that do not go together. A name of a later node is looked up in the first pass.
  void add(std::shared_ptr<Layer> layer, const NodeOptions& options = {});
  std::size_t size() const { return nodes_.size(); }
  /// Throws ArgumentError unless i < size().
  Layer& operator[](std::size_t i) { return *at(i); }
  const Layer& operator[](std::size_t i) const { return *at(i); }
  /// The i-th layer, shared.
  const std::shared_ptr<Layer>& at(std::size_t i) const;
  /// How the i-th stands in the graph, as it was added.
  const NodeOptions& node(std::size_t i) const;
  /// What the i-th reads, in the order of its inputs. Throws ArgumentError where an input is no layer.
  const std::vector<GraphEdge>& edges(std::size_t i) const;
  /// "3", or the name that it was given.
  std::string name_of(std::size_t i) const;

  std::string_view kind() const override { return kKind; }
  /// Throws ShapeError with the layer's index, or name, and the shape that it was given when a layer refuses,
  /// and where what is joined does not fit; ArgumentError for inputs that are no nodes.
  Shape output_shape(const Shape& features) const override;
  /// What readers of earlier steps need: the last steps of what they read, as "past.NAME" of real values or
  /// "past_spikes.NAME".
  std::vector<std::string> state_names() const override;

 private:
  friend class Residual;
  class Pass;

  struct Node {
    std::shared_ptr<Layer> layer;
    NodeOptions options;
    bool learns = false;           // whether a training changes it
    std::vector<GraphEdge> edges;  // from kUnknown: no node has that name yet
  };
  /// Nodes that run step by step, both included.
  struct Loop {
    std::size_t first, last;
  };
  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);

  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::vector<NamedLayer> do_children() override;
  std::unique_ptr<Layer> do_clone() const override;

  void check_node(const NodeOptions& options) const;
  std::vector<GraphEdge> edges_of(std::size_t node) const;
  void link();
  void check_linked() const;
  std::string signal_name(std::size_t signal) const;
  std::vector<Shape> shapes(const Shape& features) const;
  Shape shape_of(std::size_t node, const Shape& given) const;
  Shape joined_shape(std::size_t node, const std::vector<Shape>& of_signals) const;

  std::vector<Node> nodes_;
  std::vector<Loop> loops_;         // in order, without overlap
  std::vector<std::size_t> pasts_;  // of each signal: how many steps before its first are read
};

/// A Graph whose layers follow one another.
using Sequential = Graph;

}  // namespace volley

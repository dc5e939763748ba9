#include <algorithm>
#include <deque>
#include <vector>

#include <volley/graph.hpp>
#include <volley/state.hpp>

#include "layers/joint.hpp"
#include "layers/layer_access.hpp"
#include "layers/timeline.hpp"
#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

/// What is kept of one step of a loop, or of the layers outside loops: for each node its joint and the
/// signals that it reads, where these are cut out of a Timeline.
struct Step {
  struct Node {
    Joint joint;
    std::deque<SignalMemory> read;
  };
  std::deque<Node> nodes;
  std::deque<Tape> tapes;  // of a loop: a layer has one for each step
  std::vector<Signal> y;   // of a loop
};

/// The gradient of a signal, as far as its readers have been gone through.
struct Gradient {
  Signal sum;                         // of those that read the signal itself; empty: none has yet
  bool in_timeline = false;           // whether some is in the signal's timeline
  SignalMemory memory, added_memory;  // of the form of the signal
};

/// A signal that is read step by step, or at earlier steps.
struct Line {
  bool used = false;
  Timeline timeline;
  SignalMemory whole;
  Tensor dy;
};

struct Saved {
  Step whole;                 // of layers outside loops
  std::deque<Step> steps;     // of all loops
  std::deque<Line> lines;     // of each signal
  std::deque<Timeline> read;  // of each node in a loop: what it read
  std::deque<SignalMemory> read_memory;
  std::deque<State> states;     // of layers in loops, where the pass has none
  std::vector<Shape> shapes;    // of the signals, where any is in a timeline
  std::vector<Signal> signals;  // 0: what comes to the graph; i + 1: what node i gives
  std::vector<Signal> inputs;   // of the node that runs
  std::deque<Gradient> gradients;
  std::deque<Tensor> sums;   // memory for gradients, which are many only where a graph branches
  std::vector<bool> wanted;  // whether the gradient of each signal is
};

template <class T>
void grow(std::deque<T>& all, std::size_t size) {
  while (all.size() < size) all.emplace_back();
}

}  // namespace

/// One forward or backward of a graph.
class Graph::Pass {
 public:
  Pass(const Graph& graph, Tape& tape)
      : graph_(graph), tape_(tape), device_(executor_of(tape)), saved_(tape.saved<Saved>()) {
    grow(saved_.whole.nodes, graph.nodes_.size());
  }

  Signal forward(const Signal& x);
  Signal backward(const Signal& dy);

 private:
  bool within(const Loop& loop, std::size_t signal) const {
    return signal > loop.first && signal - 1 <= loop.last;
  }
  const Loop* loop_at(std::size_t node) const;
  bool in_a_loop(std::size_t node) const { return loop_at(node) != nullptr; }
  State& state_of(std::size_t node);
  void find_wanted();
  void find_lines(const Signal& x);
  std::size_t readers_of(std::size_t signal) const;
  bool reads_alone(std::size_t node) const;
  Tensor& free_sum(const Signal& besides);

  Signal read(const GraphEdge& edge, Step::Node& node, std::size_t k);
  Signal read_step(const GraphEdge& edge, const Loop& loop, Step& step, Step::Node& node, std::size_t k,
                   std::size_t t);
  void run_node(std::size_t i);
  void run_loop(const Loop& loop);

  void add_gradient(std::size_t signal, const Signal& dy);
  void add_to_line(std::size_t signal, const Signal& dy, std::size_t at);
  Signal gradient_of(std::size_t signal);
  void unread(const GraphEdge& edge, const Signal& dy);
  void backward_node(std::size_t i);
  void backward_loop(const Loop& loop);
  Layer& layer(std::size_t i) const { return *graph_.nodes_[i].layer; }

  const Graph& graph_;
  Tape& tape_;
  Executor& device_;
  Saved& saved_;
};

const Graph::Loop* Graph::Pass::loop_at(std::size_t node) const {
  for (const Loop& loop : graph_.loops_) {
    if (loop.first <= node && node <= loop.last) return &loop;
  }
  return nullptr;
}

/// That which a layer in a loop goes on from at each step.
State& Graph::Pass::state_of(std::size_t node) {
  return tape_.state() != nullptr ? tape_.state()->child(node) : saved_.states[node];
}

/// A signal's gradient is wanted where the graph's input's is and it comes of that, or where a layer that
/// learns is on its way.
void Graph::Pass::find_wanted() {
  std::vector<bool>& wanted = saved_.wanted;
  wanted.assign(graph_.nodes_.size() + 1, false);
  wanted[0] = tape_.needs_input_gradient();
  for (bool found = true; found;) {
    found = false;
    for (std::size_t i = 0; i < graph_.nodes_.size(); ++i) {
      if (wanted[i + 1]) continue;
      const Node& node = graph_.nodes_[i];
      const auto is_wanted = [&](const GraphEdge& edge) { return wanted[edge.from]; };
      wanted[i + 1] = node.learns || std::ranges::any_of(node.edges, is_wanted);
      found = found || wanted[i + 1];
    }
  }
}

/// Which signals are read at earlier steps, or by a loop, or come of one.
void Graph::Pass::find_lines(const Signal& x) {
  const std::size_t signals = graph_.nodes_.size() + 1;
  grow(saved_.lines, signals);
  for (Line& line : saved_.lines) line.used = false;
  for (std::size_t i = 0; i < graph_.nodes_.size(); ++i) {
    const bool steps = in_a_loop(i);
    saved_.lines[i + 1].used = saved_.lines[i + 1].used || steps;
    for (const GraphEdge& edge : graph_.nodes_[i].edges) {
      Line& line = saved_.lines[edge.from];
      line.used = line.used || steps || edge.delay > 0;
    }
  }
  const bool any = std::ranges::any_of(saved_.lines, &Line::used);
  if (!any) return;
  saved_.shapes = graph_.shapes(x.shape().from(2));
  for (std::size_t s = 0; s < signals; ++s) {
    Line& line = saved_.lines[s];
    if (!line.used) continue;
    line.timeline.begin(saved_.shapes[s], x.samples(), graph_.pasts_[s], x.steps(), device_);
    if (tape_.state() != nullptr) line.timeline.load(*tape_.state(), graph_.signal_name(s), device_);
  }
}

std::size_t Graph::Pass::readers_of(std::size_t signal) const {
  std::size_t readers = signal == graph_.nodes_.size();  // the graph's output
  for (const Node& node : graph_.nodes_) {
    readers += static_cast<std::size_t>(std::ranges::count(node.edges, signal, &GraphEdge::from));
  }
  return readers;
}

/// Whether a node reads one signal as it is, which no other reads: what a device can compute on the way.
bool Graph::Pass::reads_alone(std::size_t node) const {
  const std::vector<GraphEdge>& edges = graph_.nodes_[node].edges;
  return edges.size() == 1 && !saved_.lines[edges[0].from].used && readers_of(edges[0].from) == 1;
}

Signal Graph::Pass::read(const GraphEdge& edge, Step::Node& node, std::size_t k) {
  if (edge.delay == 0) return saved_.signals[edge.from];
  const Timeline& timeline = saved_.lines[edge.from].timeline;
  grow(node.read, k + 1);
  return timeline.take(timeline.past() - edge.delay, timeline.steps(), node.read[k], device_);
}

Signal Graph::Pass::read_step(const GraphEdge& edge, const Loop& loop, Step& step, Step::Node& node,
                              std::size_t k, std::size_t t) {
  if (edge.delay == 0 && within(loop, edge.from)) return step.y[edge.from - 1];
  const Timeline& timeline = saved_.lines[edge.from].timeline;
  grow(node.read, k + 1);
  return timeline.take(timeline.past() + t - edge.delay, 1, node.read[k], device_);
}

void Graph::Pass::run_node(std::size_t i) {
  Step::Node& node = saved_.whole.nodes[i];
  const std::vector<GraphEdge>& edges = graph_.nodes_[i].edges;
  std::vector<Signal>& inputs = saved_.inputs;
  inputs.clear();
  bool wanted = false;
  for (std::size_t k = 0; k < edges.size(); ++k) {
    inputs.push_back(read(edges[k], node, k));
    wanted = wanted || saved_.wanted[edges[k].from];
  }
  const Signal x = node.joint.forward(inputs, graph_.nodes_[i].options.join, device_);
  Tape& child = tape_.child(i);
  child.set_needs_input_gradient(wanted);
  // The one that reads y, where it is the next.
  const bool alone = i + 1 < graph_.nodes_.size() && !in_a_loop(i + 1) && reads_alone(i + 1) &&
                     graph_.nodes_[i + 1].edges[0].from == i + 1;
  TapeAccess::offer_y_by_sample(child, alone && LayerAccess::reads_input_by_sample(layer(i + 1)));
  Signal& y = saved_.signals[i + 1];
  y = layer(i).forward(x, child);
  if (Line& line = saved_.lines[i + 1]; line.used) line.timeline.put(y, line.timeline.past(), device_);
}

/// Layers that read each other's earlier steps: all of them, step by step.
void Graph::Pass::run_loop(const Loop& loop) {
  const std::size_t n = graph_.nodes_.size(), T = saved_.signals[0].steps();
  grow(saved_.steps, T);
  grow(saved_.states, n);
  grow(saved_.read, n);
  grow(saved_.read_memory, n);
  for (std::size_t i = loop.first; i <= loop.last; ++i) {
    saved_.states[i].reset();
    saved_.read[i].begin(graph_.joined_shape(i, saved_.shapes), saved_.signals[0].samples(), 0, T, device_);
  }
  PassContext context = tape_.context();
  context.lengths = {};
  for (std::size_t t = 0; t < T; ++t) {
    Step& step = saved_.steps[t];
    grow(step.nodes, n);
    while (step.tapes.size() < n) step.tapes.emplace_back(tape_.device());
    step.y.resize(n);
    for (std::size_t i = loop.first; i <= loop.last; ++i) {
      const Node& node = graph_.nodes_[i];
      std::vector<Signal>& inputs = saved_.inputs;
      inputs.clear();
      bool wanted = false;
      for (std::size_t k = 0; k < node.edges.size(); ++k) {
        inputs.push_back(read_step(node.edges[k], loop, step, step.nodes[i], k, t));
        wanted = wanted || saved_.wanted[node.edges[k].from];
      }
      const Signal x = step.nodes[i].joint.forward(inputs, node.options.join, device_);
      Tape& of_step = step.tapes[i];
      of_step.set_context(context);
      of_step.set_needs_input_gradient(wanted);
      TapeAccess::take_place(of_step, tape_.child(i));
      step.y[i] = layer(i).forward(x, of_step, &state_of(i));
      Timeline& timeline = saved_.lines[i + 1].timeline;
      timeline.put(step.y[i], timeline.past() + t, device_);
      saved_.read[i].put(x, t, device_);
    }
  }
  for (std::size_t i = loop.first; i <= loop.last; ++i) {
    Line& line = saved_.lines[i + 1];
    saved_.signals[i + 1] = line.timeline.take(line.timeline.past(), T, line.whole, device_);
    const Signal x = saved_.read[i].take(0, T, saved_.read_memory[i], device_);
    TapeAccess::set_trace(tape_.child(i), {&layer(i), x, saved_.signals[i + 1]});
    std::vector<const Tape*> tapes;
    for (std::size_t t = 0; t < T; ++t) tapes.push_back(&saved_.steps[t].tapes[i]);
    TapeAccess::set_steps(tape_.child(i), std::move(tapes));
  }
}

Signal Graph::Pass::forward(const Signal& x) {
  find_wanted();
  saved_.signals.assign(graph_.nodes_.size() + 1, Signal());
  saved_.signals[0] = x;
  find_lines(x);
  if (Line& line = saved_.lines[0]; line.used) line.timeline.put(x, line.timeline.past(), device_);
  for (std::size_t i = 0; i < graph_.nodes_.size(); ++i) {
    const Loop* loop = loop_at(i);
    if (loop == nullptr) {
      run_node(i);
    } else {
      run_loop(*loop);
      i = loop->last;
    }
  }
  for (std::size_t s = 0; tape_.state() != nullptr && s < graph_.pasts_.size(); ++s) {
    if (saved_.lines[s].used) saved_.lines[s].timeline.store(*tape_.state(), graph_.signal_name(s), device_);
  }
  return saved_.signals.back();
}

/// Memory for a gradient: one in which none lies that is still needed.
Tensor& Graph::Pass::free_sum(const Signal& besides) {
  const auto is_free = [&](const Tensor& memory) {
    const auto lies_here = [&](const Gradient& g) { return !g.sum.empty() && lies_in(g.sum, memory); };
    return (besides.empty() || !lies_in(besides, memory)) &&
           std::ranges::none_of(saved_.gradients, lies_here);
  };
  for (Tensor& memory : saved_.sums) {
    if (is_free(memory)) return memory;
  }
  return saved_.sums.emplace_back();
}

void Graph::Pass::add_gradient(std::size_t signal, const Signal& dy) {
  Gradient& gradient = saved_.gradients[signal];
  if (gradient.sum.empty()) {
    gradient.sum = dy;
    return;
  }
  // Both in the form of the signal.
  const Signal& y = saved_.signals[signal];
  const Signal before = in_form_of(y, gradient.sum, gradient.memory, device_);
  const Signal added = in_form_of(y, dy, gradient.added_memory, device_);
  Tensor& sum = free_sum(dy);
  sum.resize(before.stored_shape());
  device_.run(ops::Connect{.how = ops::Connection::add,
                           .b = values_of(before, device_),
                           .s = values_of(added, device_),
                           .y = device_.write(sum),
                           .size = sum.size()});
  gradient.sum = before.with_values(sum);
}

void Graph::Pass::add_to_line(std::size_t signal, const Signal& dy, std::size_t at) {
  Gradient& gradient = saved_.gradients[signal];
  Timeline& timeline = saved_.lines[signal].timeline;
  if (!gradient.in_timeline) timeline.begin_gradient(device_);
  gradient.in_timeline = true;
  timeline.add_gradient(dy, at, device_);
}

/// What all its readers have given; empty: there are none.
Signal Graph::Pass::gradient_of(std::size_t signal) {
  Gradient& gradient = saved_.gradients[signal];
  if (gradient.in_timeline) {
    Line& line = saved_.lines[signal];
    add_gradient(signal,
                 line.timeline.gradient(line.timeline.past(), line.timeline.steps(), line.dy, device_));
  }
  return gradient.sum;
}

/// The gradient of what an edge outside a loop has brought.
void Graph::Pass::unread(const GraphEdge& edge, const Signal& dy) {
  if (!saved_.wanted[edge.from]) return;
  if (edge.delay == 0) return add_gradient(edge.from, dy);
  add_to_line(edge.from, dy, saved_.lines[edge.from].timeline.past() - edge.delay);
}

void Graph::Pass::backward_node(std::size_t i) {
  if (!saved_.wanted[i + 1]) return;
  const Signal dy = gradient_of(i + 1);
  if (dy.empty()) return;
  const std::vector<GraphEdge>& edges = graph_.nodes_[i].edges;
  Tape& child = tape_.child(i);
  bool wanted = false;
  for (const GraphEdge& edge : edges) wanted = wanted || saved_.wanted[edge.from];
  child.set_needs_input_gradient(wanted);
  TapeAccess::lend_dx_memory(child, free_sum(dy));
  const std::size_t from = edges[0].from;
  const bool alone = reads_alone(i) && from > 0 && from == i && wanted;
  TapeAccess::offer_dx_by_sample(child, alone && LayerAccess::reads_gradient_by_sample(layer(from - 1)));
  const Signal dx = layer(i).backward(child, dy);
  saved_.gradients[i + 1].sum = {};
  if (!wanted) return;
  const std::span<const Signal> parts = saved_.whole.nodes[i].joint.backward(dx, device_);
  for (std::size_t k = edges.size(); k-- > 0;) unread(edges[k], parts[k]);
}

void Graph::Pass::backward_loop(const Loop& loop) {
  const std::size_t T = saved_.signals[0].steps();
  bool any = false;
  for (std::size_t i = loop.first; i <= loop.last; ++i) any = any || saved_.wanted[i + 1];
  if (!any) return;
  for (std::size_t i = loop.first; i <= loop.last; ++i) {
    if (tape_.state() == nullptr) saved_.states[i].reset();
    Timeline& timeline = saved_.lines[i + 1].timeline;
    const Signal& sum = saved_.gradients[i + 1].sum;
    if (!saved_.gradients[i + 1].in_timeline) timeline.begin_gradient(device_);
    saved_.gradients[i + 1].in_timeline = true;
    if (!sum.empty()) timeline.add_gradient(sum, timeline.past(), device_);
    saved_.gradients[i + 1].sum = {};
  }
  for (std::size_t t = T; t-- > 0;) {
    Step& step = saved_.steps[t];
    for (std::size_t i = loop.last + 1; i-- > loop.first;) {
      if (!saved_.wanted[i + 1]) continue;
      const Node& node = graph_.nodes_[i];
      Line& line = saved_.lines[i + 1];
      const Signal dy = line.timeline.gradient(line.timeline.past() + t, 1, line.dy, device_);
      const Signal dx = layer(i).backward(step.tapes[i], dy, &state_of(i));
      if (dx.empty()) continue;
      const std::span<const Signal> parts = step.nodes[i].joint.backward(dx, device_);
      for (std::size_t k = node.edges.size(); k-- > 0;) {
        const GraphEdge& edge = node.edges[k];
        if (!saved_.wanted[edge.from]) continue;
        add_to_line(edge.from, parts[k], saved_.lines[edge.from].timeline.past() + t - edge.delay);
      }
    }
  }
}

Signal Graph::Pass::backward(const Signal& dy) {
  const std::size_t n = graph_.nodes_.size();
  find_wanted();
  grow(saved_.gradients, n + 1);
  for (Gradient& gradient : saved_.gradients) {
    gradient.sum = {};
    gradient.in_timeline = false;
  }
  saved_.gradients[n].sum = dy;
  for (std::size_t s = 0; tape_.state() != nullptr && s <= n; ++s) {
    Line& line = saved_.lines[s];
    if (!line.used || line.timeline.past() == 0) continue;
    line.timeline.begin_gradient(device_);
    saved_.gradients[s].in_timeline = true;
    line.timeline.load_gradient(*tape_.state(), graph_.signal_name(s), device_);
  }
  for (std::size_t i = n; i-- > 0;) {
    const Loop* loop = loop_at(i);
    if (loop == nullptr) {
      backward_node(i);
    } else {
      backward_loop(*loop);
      i = loop->first;
    }
  }
  const Signal dx = tape_.needs_input_gradient() ? gradient_of(0) : Signal();
  for (std::size_t s = 0; tape_.state() != nullptr && s <= n; ++s) {
    Line& line = saved_.lines[s];
    if (line.used) line.timeline.store_gradient(*tape_.state(), graph_.signal_name(s), device_);
  }
  return dx;
}

Signal Graph::do_forward(const Signal& x, Tape& tape) const { return Pass(*this, tape).forward(x); }

Signal Graph::do_backward(Tape& tape, const Signal& dy) { return Pass(*this, tape).backward(dy); }

}  // namespace volley

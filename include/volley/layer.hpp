#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <volley/signal.hpp>
#include <volley/tape.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// What a parameter is: optimizers group by it.
enum class ParameterKind {
  weight,  // of a synapse
  bias,
  norm,    // scale or shift of a normalisation
  neuron,  // a number of a neuron, such as w of PLIF
};

/// A trainable array and its gradient, of one shape.
struct Parameter {
  Tensor value;
  Tensor gradient;
  std::optional<ParameterKind> kind{};  // not given: by its name, "bias" or a weight

  Parameter() = default;
  explicit Parameter(const Shape& shape, std::optional<ParameterKind> what = {})
      : value(shape), gradient(shape), kind(what) {}
};

/// A parameter and its name in the network: "1.weight" is the weight of the second layer of a Sequential.
struct NamedParameter {
  std::string name;
  Parameter* parameter;
};

/// parameter->kind, or what its name says where that is not given.
ParameterKind kind_of(const NamedParameter& named);

/// A tensor and its name: "1.running_mean" of a network.
struct NamedTensor {
  std::string name;
  Tensor* tensor;
};

/// What the neurons of a layer did in a pass, (N, T, features...) each.
struct Membrane {
  Tensor current;    // x, with what comes back where the layer is recurrent
  Tensor h;          // the potential after charge, which fires or not
  Tensor v;          // after the step: reset where it fired
  Tensor threshold;  // what h had to reach; empty where nothing fires
};

class Layer;
class State;

/// A layer and its name in the layer that holds it: "branch".
struct NamedLayer {
  std::string name;
  Layer* layer;
};

/// The form of the signal that a layer's do_forward receives. The default is the plain one.
struct Form {
  enum class Values {
    real,      // real values; spikes arrive as 0 and 1
    currents,  // real values; spikes are refused
    any,       // real values or spikes, as they come
  };

  Values values = Values::real;
  std::optional<Layout> layout = Layout::row_major;  // none: the layout in which the signal comes
  bool constant = false;                             // whether one stored step may stand for all
};

/// A differentiable operation on whole passes: all samples and all T steps at once.
///
/// The public functions are written once, here: they check what comes, bring it into the form that the layer
/// reads, and call the virtual part. A layer of a user overrides `kind`, `output_shape`, `do_forward` and
/// `do_backward`, and the other virtual functions where it has parameters, buffers or children.
///
/// Gradients of signals overwrite; gradients of parameters accumulate. No exceptions.
///
/// Threads: forward may run in several threads at once, each with a tape of its own. backward changes
/// gradients and buffers: while it runs, no other call may use the layer. Both rules are checked where two
/// passes meet, and broken ones throw. A layer that is destroyed, moved from or assigned to while a pass uses
/// it is not detected.
class Layer {
 public:
  virtual ~Layer() = default;

  /// The name of this kind of layer in recipes and messages: "linear".
  virtual std::string_view kind() const = 0;

  /// The feature shape that comes out when `features` goes in. Throws ShapeError when the layer cannot take
  /// it.
  virtual Shape output_shape(const Shape& features) const = 0;

  /// y for x of shape (N, T, features...), T >= 1, in any form. y is a view of memory in `tape`, valid until
  /// the tape's next forward. x must live, unchanged, until backward is done. With a state the pass goes on
  /// from it and leaves there what the next one goes on from; without, it begins at rest (state.hpp). Throws
  /// ShapeError for a shape that the layer cannot take, ArgumentError for spikes where it takes currents, and
  /// for a state where a layer needs all steps at once.
  Signal forward(const Signal& x, Tape& tape, State* state = nullptr) const;

  /// dx, in the form of x, for dy, real values of y's shape in any form. Must follow a forward of this layer
  /// on the same tape, any number of times; adds to the gradients of the parameters. Returns an empty signal
  /// where tape.needs_input_gradient() is false. dx is valid until the tape's next forward or backward. With
  /// a state, its gradients are those of the state after the pass, and become those of the state before it.
  /// Throws ShapeError for another shape, ArgumentError for spikes, for the tape of another pass, and for a
  /// state where forward had none.
  Signal backward(Tape& tape, const Signal& dy, State* state = nullptr);

  /// Multiply-accumulates of one sample at one step, were each input of `features` real-valued; 0 for a layer
  /// without weights between neurons.
  virtual std::size_t macs(const Shape& features) const;

  /// Whether macs() counts the layer's own spikes of the step before, and not its input.
  virtual bool is_recurrent() const { return false; }

  /// The layers that this one holds, in order. Throws Error where one is null.
  std::vector<NamedLayer> children();
  /// The parameters of the layer, then those of its children, always in the same order: "weight",
  /// "branch.0.weight".
  std::vector<NamedParameter> parameters();
  /// What else is learned and kept with the parameters, such as running statistics, in the same order.
  /// forward reads it, backward may change it, no optimizer does.
  std::vector<NamedTensor> buffers();
  /// All that a file keeps of the layer: the values of its parameters, then its buffers. Throws Error where
  /// two have one name.
  std::vector<NamedTensor> named_tensors();

  /// What the layer's neurons did in the last forward on `tape`, its own; none for a layer without
  /// potentials. Layers do not keep it: it is computed again, from the x of that forward and the parameters
  /// as they are now. Throws ArgumentError for the tape of another
  /// layer.
  std::optional<Membrane> membrane(const Tape& tape) const;

  /// What the layer, without its children, keeps in a State: "v". None for most.
  virtual std::vector<std::string> state_names() const { return {}; }

  /// Draws all initial parameters. A draw is a function of `seed` and of the path of the layer whose
  /// parameters it is, "3.branch.0": no two layers of a network share one. `path` is that of this layer in a
  /// larger network.
  void initialize(std::uint32_t seed, std::string_view path = "");

  /// A copy, children included. Throws ArgumentError for a kind that has no do_clone.
  std::unique_ptr<Layer> clone() const;

  /// Calls body(path, layer) for this layer, whose path is empty, and for all that it holds, in order.
  template <class Body>
  void walk(const Body& body) {
    walk("", body);
  }

 protected:
  Layer() = default;
  Layer(const Layer&) = default;
  Layer(Layer&&) = default;
  Layer& operator=(const Layer&) = default;
  Layer& operator=(Layer&&) = default;

  /// The form in which do_forward gets an x of `features`, and do_backward returns dx.
  virtual Form reads(const Shape& features) const;
  /// y of shape (N, T, output_shape(features)), a view of memory in tape.saved<T>(). x is in the form of
  /// reads().
  virtual Signal do_forward(const Signal& x, Tape& tape) const = 0;
  /// dx in the form of the x that do_forward got, for dy in the form of the y that it returned.
  virtual Signal do_backward(Tape& tape, const Signal& dy) = 0;
  /// membrane() of what do_forward has left in tape.saved<T>().
  virtual std::optional<Membrane> do_membrane(const Tape&) const { return {}; }
  virtual std::vector<NamedLayer> do_children() { return {}; }
  /// Of this layer, without its children's.
  virtual std::vector<NamedParameter> own_parameters() { return {}; }
  virtual std::vector<NamedTensor> own_buffers() { return {}; }
  /// Draws own_parameters(). `place` stands for the layer's path: another number for every layer of a
  /// network.
  virtual void draw_parameters(std::uint32_t seed, std::uint32_t place);
  /// make_unique of the layer's own class from *this.
  virtual std::unique_ptr<Layer> do_clone() const;

  /// Draws from seed 0, by their path from here, the parameters that nothing has set or looked at since they
  /// were constructed. A container calls it when it has taken a layer, so that no two of its layers begin
  /// with the same weights.
  void draw_untouched();
  /// Marks the own parameters as set by the user; for functions that return them.
  void touch() { untouched_ = false; }

 private:
  friend struct LayerAccess;  // src/layers/layer_access.hpp

  /// Which layer this is among all of the process, and who uses it. A copy is another layer.
  class Use {
   public:
    Use() = default;
    Use(const Use&) {}
    Use& operator=(const Use&) {
      id_ = next_id();
      return *this;
    }
    std::uint64_t id() const { return id_; }
    int& users() const { return users_; }

   private:
    static std::uint64_t next_id();
    std::uint64_t id_ = next_id();
    mutable int users_ = 0;  // forwards under way, or -1: a backward; changed atomically
  };

  /// Whether forward, and backward, take a signal that is computed as it is read. Private to the CPU.
  virtual bool reads_input_by_sample() const { return false; }
  virtual bool reads_gradient_by_sample() const { return false; }

  template <class Body>
  void walk(const std::string& path, const Body& body) {
    check_depth(path);
    body(path, *this);
    for (const NamedLayer& child : children()) {
      child.layer->walk(path.empty() ? child.name : path + '.' + child.name, body);
    }
  }
  void check_depth(const std::string& path) const;

  Use use_;
  bool untouched_ = true;
};

/// The values of `parameters`.
std::vector<NamedTensor> values_of(const std::vector<NamedParameter>& parameters);

/// Sets every gradient to zero; where they lie, or on a device, which will add to them.
void zero_gradients(const std::vector<NamedParameter>& parameters);
void zero_gradients(const std::vector<NamedParameter>& parameters, const Device& device);

}  // namespace volley

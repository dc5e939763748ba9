#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <volley/signal.hpp>
#include <volley/tape.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// A trainable array and its gradient, of one shape.
struct Parameter {
  Tensor value;
  Tensor gradient;

  Parameter() = default;
  explicit Parameter(const Shape& shape) : value(shape), gradient(shape) {}
};

/// A parameter and its name in the network: "1.weight" is the weight of the second layer of a Sequential.
struct NamedParameter {
  std::string name;
  Parameter* parameter;
};

/// A tensor and its name: "1.running_mean" of a network.
struct NamedTensor {
  std::string name;
  Tensor* tensor;
};

/// A differentiable operation on whole passes: all samples and all T steps at once.
///
/// Gradients of signals overwrite; gradients of parameters accumulate. No exceptions.
class Layer {
 public:
  Layer() = default;
  Layer(const Layer&) = default;
  Layer(Layer&&) = default;
  Layer& operator=(const Layer&) = default;
  Layer& operator=(Layer&&) = default;
  virtual ~Layer() = default;

  /// The name a recipe knows this kind of layer by: "linear".
  virtual std::string_view kind() const = 0;

  /// The feature shape that comes out when `features` goes in. Throws Error when the layer cannot take it.
  virtual Shape output_shape(const Shape& features) const = 0;

  /// y for x of shape (N, T, features...). y and what backward needs live in `tape` until its next forward;
  /// x must live until backward is done.
  virtual Signal forward(const Signal& x, Tape& tape) const = 0;

  /// dx (real-valued, of x's shape) for dy (real-valued, of y's shape), each in the form of its signal, after
  /// a forward on the same tape; adds to the gradients of the parameters. Returns an empty signal where
  /// tape.needs_input_gradient() is false.
  virtual Signal backward(Tape& tape, const Signal& dy) = 0;

  /// Whether forward takes an x, and backward a dy, whose values a SampleSource makes.
  virtual bool reads_input_by_sample() const { return false; }
  virtual bool reads_gradient_by_sample() const { return false; }

  /// Multiply-accumulates of one sample at one step, were each input of `features` real-valued; 0 for a layer
  /// without weights between neurons.
  virtual std::size_t macs(const Shape& features) const {
    static_cast<void>(features);
    return 0;
  }

  /// Whether these are of its own spikes of the step before, and not of its input.
  virtual bool feeds_back() const { return false; }

  /// The layer's parameters, always in the same order.
  virtual std::vector<NamedParameter> parameters() { return {}; }

  /// What else the layer has learned and is kept with its parameters, such as running statistics; always in
  /// the same order. No optimizer touches it: forward reads it, and backward, which is the step of a
  /// training, may change it.
  virtual std::vector<NamedTensor> buffers() { return {}; }

  /// Draws the initial parameters anew. `layer` addresses the draw: no two layers of a network share one.
  virtual void initialize(std::uint32_t seed, std::uint32_t layer) {
    static_cast<void>(seed);
    static_cast<void>(layer);
  }
};

/// layer.forward(x, tape) of a container's child on the child's tape; x and y stay to be seen there.
Signal run_child(const Layer& layer, const Signal& x, Tape& tape);

/// Throws Error("[kind] ...") unless x is real-valued: what neurons take is a current, not spikes.
void check_real_input(std::string_view kind, const Signal& x);

/// The values of `parameters`.
std::vector<NamedTensor> values_of(const std::vector<NamedParameter>& parameters);

/// All that a file keeps of a layer: the values of its parameters, then its buffers.
std::vector<NamedTensor> state_of(Layer& layer);

/// Sets every gradient to zero.
void zero_gradients(const std::vector<NamedParameter>& parameters);

}  // namespace volley

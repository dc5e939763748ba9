#pragma once

#include <optional>
#include <string>
#include <vector>

#include <volley/layer.hpp>
#include <volley/neuron_options.hpp>

namespace volley {

/// An array that a layer carries from step to step, and what it is full of at rest.
struct Carried {
  std::string name;
  float start;
};
/// What neurons of these options carry: "v"; the second state variable of some, such as "a" of ALIF; where
/// they pause after a spike, "refractory", the number of steps that they still do.
std::vector<Carried> carried_by(const AnyNeuron& options);

/// Neurons of one kind, one per feature, from rest at the start of every pass that
/// has no state: currents x (N, T, features...)
/// -> spikes s of the same shape. The kinds, their equations and their options are in neuron_options.hpp;
/// what they share as layers is here.
class NeuronLayer : public Layer {
 public:
  /// Throws ArgumentError for options that no neuron can have.
  explicit NeuronLayer(const AnyNeuron& options);

  const AnyNeuron& any_options() const { return options_; }
  /// The numbers it has in tensors, learned or not, in the order of parameters_of(any_options()). Those that
  /// are not learned have no gradient.
  const std::vector<Parameter>& numbers() const { return numbers_; }
  std::string_view kind() const override;
  /// Throws ShapeError where the options want another number of channels.
  Shape output_shape(const Shape& features) const override;
  std::vector<std::string> state_names() const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::optional<Membrane> do_membrane(const Tape& tape) const override;
  std::vector<NamedParameter> own_parameters() override;
  std::vector<NamedTensor> own_buffers() override;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) override;
  std::unique_ptr<Layer> do_clone() const override;
  bool reads_input_by_sample() const override { return true; }
  bool reads_gradient_by_sample() const override { return true; }

  void check_parameters() const;

  friend class Recurrent;  // runs the neuron step by step

  AnyNeuron options_;
  std::vector<Parameter> numbers_;
};

/// Neurons of one kind, that of their options: LIF is Neuron<LIFOptions>.
template <NeuronOptions OptionsType>
class Neuron final : public NeuronLayer {
 public:
  using Options = OptionsType;

  explicit Neuron(const Options& options = {}) : NeuronLayer(options) {}

  const Options& options() const { return std::get<Options>(any_options()); }
};

/// The numbers that neurons of these options have in tensors; none for most.
std::vector<NeuronParameter> parameters_of(const AnyNeuron& options);

/// Fields of the leaky integrator.
struct LIOptions {
  static constexpr const char* kKind = "li";

  float tau = 2.0f;         // membrane time constant in steps, > 1
  bool decay_input = true;  // whether the input current is divided by tau too

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("decay_input", self.decay_input, any());
  }
};

/// A LIF that never fires, and gives its potential: for readouts.
///
///     v = v + (x - v) / tau        decay_input; otherwise v = v - v / tau + x
///
/// x (N, T, features...) -> v of the same shape, real-valued, from 0. Backward is exact (docs/math/li.md).
class LI final : public Layer {
 public:
  using Options = LIOptions;

  explicit LI(const LIOptions& options = {});

  const LIOptions& options() const { return options_; }
  std::string_view kind() const override { return LIOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }
  std::vector<std::string> state_names() const override { return {"v"}; }

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::optional<Membrane> do_membrane(const Tape& tape) const override;
  std::unique_ptr<Layer> do_clone() const override;

  LIOptions options_;
};

/// Fields of the soft LIF neuron.
struct SoftLIFOptions {
  static constexpr const char* kKind = "soft_lif";

  float tau = 2.0f;  // membrane time constant in steps, > 1
  float v_threshold = 1.0f;
  float v_reset = 0.0f;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("v_threshold", self.v_threshold, any());
    visit("v_reset", self.v_reset, any());
  }
};

/// A LIF neuron that gives, in place of the spike, its probability p = sigmoid(h - v_threshold):
///
///     h = v + (x - (v - v_reset)) / tau        v = (1 - p) h + p v_reset
///
/// x (N, T, features...) -> p of the same shape, real-valued. The neuron of the recipe `article_mnist`;
/// backward is exact (docs/math/article_rule.md).
class SoftLIF final : public Layer {
 public:
  using Options = SoftLIFOptions;

  explicit SoftLIF(const SoftLIFOptions& options = {});

  const SoftLIFOptions& options() const { return options_; }
  std::string_view kind() const override { return SoftLIFOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }
  std::vector<std::string> state_names() const override { return {"v"}; }

  /// v (N, features) after the last step of the last forward on `tape`.
  static const Tensor& last_potential(Tape& tape);

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::optional<Membrane> do_membrane(const Tape& tape) const override;
  std::unique_ptr<Layer> do_clone() const override;

  SoftLIFOptions options_;
};

}  // namespace volley

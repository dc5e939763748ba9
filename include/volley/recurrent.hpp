#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/neuron.hpp>

namespace volley {

/// How a layer's spikes of the last step come back as currents.
enum class Feedback {
  linear,        // W s, every neuron to every other
  element_wise,  // w s, every neuron to itself
};

/// Fields of Recurrent.
struct RecurrentOptions {
  static constexpr const char* kKind = "recurrent";

  Feedback feedback = Feedback::linear;
  AnyNeuron neuron = LIFOptions{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("feedback", self.feedback, any());
    visit("neuron", self.neuron, any());
  }
};

/// Neurons whose own spikes of the step before are added to their currents:
///
///     i[t] = x[t] + W s[t - 1]         linear          s[t] = neuron(i[t]),  s[-1] = 0
///     i[t] = x[t] + w s[t - 1]         element_wise
///
/// x (N, T, F) currents -> s (N, T, F) spikes. `weight` is (F, F), drawn as a Linear's, or (F), 1 at first;
/// what the neuron learns are parameters too, "neuron.w", and the rest of its numbers buffers. Linear before
/// it and linear feedback are SpikingJelly's LinearRecurrentContainer around a neuron; element-wise feedback
/// is its ElementWiseRecurrentContainer with x + y (docs/math/recurrent.md).
class Recurrent final : public Layer {
 public:
  using Options = RecurrentOptions;

  explicit Recurrent(std::size_t features, const RecurrentOptions& options = {});

  std::size_t features() const { return features_; }
  const RecurrentOptions& options() const { return options_; }
  Parameter& weight() {
    touch();
    return weight_;
  }
  const Parameter& weight() const { return weight_; }
  const NeuronLayer& neuron() const { return neuron_; }

  std::string_view kind() const override { return RecurrentOptions::kKind; }
  Shape output_shape(const Shape& features) const override;
  /// Of what comes back.
  std::size_t macs(const Shape&) const override { return weight_.value.size(); }
  bool is_recurrent() const override { return true; }
  /// What the neuron carries, and "s", its spikes of the last step.
  std::vector<std::string> state_names() const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::optional<Membrane> do_membrane(const Tape& tape) const override;
  std::vector<NamedLayer> do_children() override;
  std::vector<NamedParameter> own_parameters() override;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) override;
  std::unique_ptr<Layer> do_clone() const override;
  Shape weight_shape() const;
  std::vector<Carried> carried() const;

  std::size_t features_;
  RecurrentOptions options_;
  Parameter weight_;
  NeuronLayer neuron_;  // of which the numbers are used, and not its own walk through time
};

}  // namespace volley

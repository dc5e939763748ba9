#pragma once

#include <optional>

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/surrogate.hpp>

namespace volley {

/// Fields of the leaky integrate-and-fire neuron. Names and defaults are SpikingJelly's.
struct LIFOptions {
  static constexpr const char* kKind = "lif";

  float tau = 2.0f;                     // membrane time constant in steps, > 1
  float v_threshold = 1.0f;             // fires when h >= v_threshold
  std::optional<float> v_reset = 0.0f;  // potential after a spike (hard reset); none: h - v_threshold (soft)
  bool decay_input = true;              // whether the input current is divided by tau too
  bool detach_reset = false;            // whether backward ignores the spike's part in the reset
  Surrogate surrogate = ATan{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tau", self.tau, above(1));
    visit("v_threshold", self.v_threshold, any());
    visit("v_reset", self.v_reset, any());
    visit("decay_input", self.decay_input, any());
    visit("detach_reset", self.detach_reset, any());
    visit("surrogate", self.surrogate, any());
  }
};

/// Leaky integrate-and-fire neurons, one per feature, from rest (v_reset, or 0) at the start of every pass.
///
///     charge  h = v + (x - (v - v_reset)) / tau        decay_input; otherwise h = v - (v - v_reset) / tau +
///     x fire    s = 1 if h >= v_threshold else 0 reset   v = v_reset where s = 1                   hard;
///     soft (v_reset none): v = h - v_threshold where s = 1
///
/// x (N, T, features...) currents -> s (N, T, features...) spikes. Forward Euler with a step of 1; backward
/// is the exact gradient of the unrolled recursion with the surrogate for the step's derivative
/// (docs/math/lif.md).
class LIF final : public Layer {
 public:
  using Options = LIFOptions;

  explicit LIF(const LIFOptions& options = {});

  const LIFOptions& options() const { return options_; }
  std::string_view kind() const override { return LIFOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }
  Signal forward(const Signal& x, Tape& tape) const override;
  Signal backward(Tape& tape, const Signal& dy) override;

 private:
  LIFOptions options_;
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
  Signal forward(const Signal& x, Tape& tape) const override;
  Signal backward(Tape& tape, const Signal& dy) override;

  /// v (N, features) after the last step of the last forward on `tape`.
  static const Tensor& last_potential(Tape& tape);

 private:
  SoftLIFOptions options_;
};

}  // namespace volley

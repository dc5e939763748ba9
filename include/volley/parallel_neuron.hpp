#pragma once

#include <cstddef>

#include <volley/layer.hpp>
#include <volley/surrogate.hpp>

namespace volley {

// The family of the parallel spiking neuron (Fang et al. 2023): no reset, so that no step waits for another.
// The potential is a learned linear map of the currents over time, and the definitions are SpikingJelly's.
//
//     h[t] = sum over t' of W[t, t'] x[t'] + b[t]        s = 1 if h >= 0 else 0

/// PSN: every step sees every other. Parameters `weight` (steps, steps) and `bias` (steps).
struct PSNOptions {
  static constexpr const char* kKind = "psn";

  std::size_t steps = 4;  // T of every pass
  Surrogate surrogate{};  // atan

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("steps", self.steps, between(1, 4096));
    visit("surrogate", self.surrogate, any());
  }
};

/// Masked PSN: W[t, t'] is multiplied by 1 - lambda unless t' is t or one of the k - 1 steps before it; with
/// lambda 1 a step sees the last k currents only. Parameters as PSN.
struct MaskedPSNOptions {
  static constexpr const char* kKind = "masked_psn";

  std::size_t k = 2;  // order
  std::size_t steps = 4;
  float lambda_init = 0.0f;  // >= 0 and <= 1
  Surrogate surrogate{};     // atan

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("k", self.k, between(1, 4096));
    visit("steps", self.steps, between(1, 4096));
    visit("lambda_init", self.lambda_init, between(0, 1));
    visit("surrogate", self.surrogate, any());
  }
};

/// Sliding PSN: h[t] = sum over i < k of w[i] x[t - k + 1 + i] + b, for any T. Parameters `weight` (k) and
/// `bias` (1).
struct SlidingPSNOptions {
  static constexpr const char* kKind = "sliding_psn";

  std::size_t k = 2;      // order
  bool exp_init = true;   // whether the weights begin as ..., 1/4, 1/2, 1, or are drawn
  Surrogate surrogate{};  // atan

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("k", self.k, between(1, 4096));
    visit("exp_init", self.exp_init, any());
    visit("surrogate", self.surrogate, any());
  }
};

/// x (N, T, features...) currents -> s of the same shape, spikes. Weights are drawn from U(-1/sqrt(n),
/// 1/sqrt(n)), n being steps or k, biases begin at -1. Derivation: docs/math/psn.md.
template <class OptionsType>
class ParallelNeuron final : public Layer {
 public:
  using Options = OptionsType;

  explicit ParallelNeuron(const Options& options = {});

  const Options& options() const { return options_; }
  const Parameter& weight() const { return weight_; }
  const Parameter& bias() const { return bias_; }
  std::string_view kind() const override { return Options::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::optional<Membrane> do_membrane(const Tape& tape) const override;
  std::vector<NamedParameter> own_parameters() override;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) override;
  std::unique_ptr<Layer> do_clone() const override { return std::make_unique<ParallelNeuron>(*this); }
  void check_parameters() const;

  Options options_;
  Parameter weight_;
  Parameter bias_;
};

using PSN = ParallelNeuron<PSNOptions>;
using MaskedPSN = ParallelNeuron<MaskedPSNOptions>;
using SlidingPSN = ParallelNeuron<SlidingPSNOptions>;

}  // namespace volley

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/layers.hpp>
#include <volley/signal.hpp>
#include <volley/threads.hpp>

namespace volley {

// How the weights of a network are first drawn. Weights here are those of a Linear, Conv1d or Conv2d whose
// output goes to neurons that fire, with nothing but Flatten and Dropout in between; all others keep what
// their layers draw. Derivations: docs/math/initialization.md.

/// Each layer draws its own, as its options say: Linear and Conv2d as PyTorch does by default.
struct DefaultInitialization {
  static constexpr const char* kKind = "default";

  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// Fluctuation-driven, after Rossbroich, Gygax and Zenke (2022): weights from N(0, sigma^2), with sigma such
/// that the potential of a neuron whose inputs fire at `rate` has its threshold xi standard deviations above
/// rest. Biases are 0. For neurons of kind lif, plif, alif and cuba_lif.
struct FluctuationInitialization {
  static constexpr const char* kKind = "fluctuation";

  float rate = 0.1f;                // spikes per input and step, > 0 and <= 1
  std::optional<float> input_rate;  // the same for the first weights; none: rate
  float xi = 1.0f;                  // > 0; fewer: more spikes

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    constexpr Range kRate{.low = 0, .high = 1, .low_open = true};
    visit("rate", self.rate, kRate);
    visit("input_rate", self.input_rate, kRate);
    visit("xi", self.xi, above(0));
  }
};

/// Data-driven, as LSUV of Mishkin and Matas (2016) but for firing rates: what the layers drew is scaled,
/// weights after weights in order, until the neurons after them fire at `rate` on one batch. For neurons of
/// every kind.
struct RateInitialization {
  static constexpr const char* kKind = "rate";

  float rate = 0.1f;          // spikes per neuron and step, > 0 and < 1
  std::size_t samples = 100;  // of the training set, the first of it, >= 1

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rate", self.rate, inside(0, 1));
    visit("samples", self.samples, between(1, 1 << 24));
  }
};

using Initialization = std::variant<DefaultInitialization, FluctuationInitialization, RateInitialization>;

/// Draws the weights. A draw is a function of `seed` and of the layer's path, as in Layer::initialize. Throws
/// ArgumentError that names the layer for neurons of another kind or a threshold that is not above rest, and
/// where the network has no such weights.
void initialize_fluctuations(Sequential& net, std::uint32_t seed,
                             const FluctuationInitialization& options = {});

/// Scales the weights and biases by what x, (N, T, features...), makes the neurons do. The result is the same
/// for any number of threads. `options.samples` is not used. Throws ArgumentError that names the layer where
/// no scale brings the rate within a factor of 10 of the target, and where the network has no such weights.
/// After an error the layers up to the one that is named are scaled.
void initialize_rates(Sequential& net, const Signal& x, const RateInitialization& options,
                      ThreadPool& threads);

}  // namespace volley

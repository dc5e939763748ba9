#include "training/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/parallel_neuron.hpp>
#include <volley/recurrent.hpp>

#include "layers/signal_forms.hpp"
#include "reference/li.hpp"
#include "reference/neurons.hpp"
#include "reference/psn.hpp"
#include "reference/recurrent.hpp"
#include "reference/soft_lif.hpp"
#include "training/traces.hpp"

namespace volley {
namespace {

/// The one sample of x as (T, F), row-major.
Tensor values_of_sample(const Signal& x, ThreadPool& threads) {
  SignalMemory plain_memory, memory;
  const Signal y = real_values(plain(x, plain_memory, threads), memory, threads);
  Tensor values({x.steps(), x.features()});
  std::copy_n(y.values(), values.size(), values.data());
  return values;
}

/// Potentials and thresholds of one neuron, by the spikes that it gave.
template <class Neuron>
void follow(LayerLife& life, const Neuron& neuron, std::size_t f) {
  std::array<float, Neuron::kStates> z{};
  neuron.start(z.data());
  for (std::size_t t = 0; t < life.steps(); ++t) {
    const std::size_t i = t * life.neurons() + f;
    const float s = life.spikes[i];
    neuron.charge(z.data(), life.current.data()[i]);
    life.potential.data()[i] = z[0];
    life.threshold.data()[i] = z[0] - neuron.above(z.data());
    neuron.reset(z.data(), s, s);
  }
}

/// The same of all neurons of a layer, each with its numbers.
void look(LayerLife& life, const NeuronLayer& layer) {
  std::visit(
      [&](const auto& options) {
        reference::with_neuron_of<float>(options, [&](auto neuron) {
          for (std::size_t f = 0; f < life.neurons(); ++f) {
            for (std::size_t k = 0; k < layer.numbers().size(); ++k) {
              const Tensor& value = layer.numbers()[k].value;
              neuron.parameter(k) =
                  value.data()[f * value.size() / life.neurons()];  // of all, a channel, or it
            }
            follow(life, neuron, f);
          }
        });
      },
      layer.any_options());
}

void look(LayerLife& life, const Recurrent& layer) {
  const std::size_t F = life.neurons();
  const bool matrix = layer.options().feedback == Feedback::linear;
  const float* weight = layer.weight().value.data();
  std::vector<float> weight_t(weight, weight + layer.weight().value.size());
  for (std::size_t i = 0; matrix && i < F * F; ++i) weight_t[i] = weight[i % F * F + i / F];
  const std::vector<float> s(life.spikes.begin(), life.spikes.end());
  for (std::size_t t = 1; t < life.steps(); ++t) {  // (Z1)
    reference::feed_back(life.current.data() + t * F, s.data() + (t - 1) * F, weight_t.data(),
                         layer.options().feedback, F);
  }
  look(life, layer.neuron());
}

template <class Options>
void look(LayerLife& life, const ParallelNeuron<Options>& layer) {
  const std::size_t T = life.steps();
  std::vector<float> matrix(T * T), bias(T), s(life.current.size());
  reference::psn_expand(matrix.data(), bias.data(), layer.weight().value.data(), layer.bias().value.data(),
                        layer.options(), T);
  reference::psn_forward(s.data(), life.potential.data(), life.current.data(), matrix.data(), bias.data(),
                         layer.options().surrogate, reference::Fire::hard, T, life.neurons());
  life.threshold.zero();
}

void look(LayerLife& life, const LI& layer) {
  const reference::LIParameters<float> p{layer.options().tau, layer.options().decay_input};
  reference::li_forward(life.potential.data(), life.current.data(), p, life.steps(), life.neurons());
}

void look(LayerLife& life, const SoftLIF& layer) {
  const SoftLIFOptions& o = layer.options();
  std::vector<float> p(life.current.size()), last(life.neurons());
  reference::soft_lif_forward(p.data(), life.potential.data(), last.data(), life.current.data(),
                              {o.tau, o.v_threshold, o.v_reset}, life.steps(), life.neurons());
}

/// Fills the life of a layer that is one of `Layers`; false where it is none of them.
template <class... Layers>
bool look_if_any(LayerLife& life, const Layer& layer) {
  const auto one = [&]<class L>(const L* neurons) {
    if (neurons != nullptr) look(life, *neurons);
    return neurons != nullptr;
  };
  return (one(dynamic_cast<const Layers*>(&layer)) || ...);
}

bool look_at_neurons(LayerLife& life, const Layer& layer) {
  return look_if_any<NeuronLayer, Recurrent, PSN, MaskedPSN, SlidingPSN, LI, SoftLIF>(life, layer);
}

}  // namespace

SampleLife inspect(const Sequential& net, const TrainerParts& parts, const Dataset& data, std::size_t sample,
                   std::size_t steps, const Draw& draw, ThreadPool& threads) {
  if (sample >= data.size()) {
    throw ArgumentError(
        "inspect",
        fmt::format("sample of {} must be 0 to {}", data.name, static_cast<std::ptrdiff_t>(data.size()) - 1),
        std::to_string(sample));
  }
  Tape encoder_tape(threads), tape(threads);
  const std::array<std::uint32_t, 1> samples{static_cast<std::uint32_t>(sample)};
  const Signal x = parts.encoder->encode(data, samples, steps, draw, encoder_tape);
  tape.set_context({.draw = draw, .samples = samples});
  const Signal y = net.forward(x, tape);

  SampleLife life{.sample = sample, .steps = steps, .input = x.shape().from(2)};
  life.input_values = values_of_sample(x, threads);
  life.input_spikes = x.is_spikes();
  for_each_trace(tape, [&](const std::string& name, const Trace& trace) {
    if (trace.x.is_spikes() || trace.y.shape() != trace.x.shape()) return;
    LayerLife layer{
        .name = name, .kind = std::string(trace.layer->kind()), .features = trace.x.shape().from(2)};
    layer.current = values_of_sample(trace.x, threads);
    layer.potential.resize(layer.current.shape());
    if (trace.y.is_spikes()) {
      layer.threshold.resize(layer.current.shape());
      layer.spikes.resize(layer.current.size());
      trace.y.spikes().to_bytes(layer.spikes);
    }
    if (look_at_neurons(layer, *trace.layer)) life.layers.push_back(std::move(layer));
  });
  Tape loss_tape(threads);
  Tensor scores;
  const std::array<std::uint32_t, 1> labels{data.labels[sample]};
  static_cast<void>(parts.loss->forward(y, labels, scores, loss_tape));
  life.scores.assign(scores.values().begin(), scores.values().end());
  life.prediction = predict(life.scores);
  return life;
}

std::vector<double> firing_rates(const LayerLife& layer) {
  std::vector<double> rates(layer.neurons());
  for (std::size_t i = 0; i < layer.spikes.size(); ++i) rates[i % rates.size()] += layer.spikes[i];
  for (double& rate : rates) rate /= static_cast<double>(layer.steps());
  return rates;
}

}  // namespace volley

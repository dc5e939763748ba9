#include "inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <volley/error.hpp>

namespace volley {
namespace {

/// Values (1, T, features...) as (T, F).
Tensor of_sample(const Tensor& values) {
  const std::size_t T = values.shape()[1];
  Tensor one({T, values.size() / T});
  std::copy_n(values.data(), one.size(), one.data());
  return one;
}

/// Calls body(name, tape of it) for every layer that the pass on `tape` ran, in order; a container's layers
/// stand for it. The name is the layer's place: "2", or "3.0" in a container.
template <class Body>
void for_each_trace(const Tape& tape, const Body& body, const std::string& prefix = "") {
  const auto traced = [](const Tape& child) { return child.trace().layer != nullptr; };
  for (std::size_t i = 0; i < tape.children().size(); ++i) {
    const Tape& child = tape.children()[i];
    const std::string name = fmt::format("{}{}", prefix, i);
    if (std::ranges::any_of(child.children(), traced)) {
      for_each_trace(child, body, name + ".");
    } else if (traced(child)) {
      body(name, child);
    }
  }
}

}  // namespace

SampleLife inspect(const Sequential& net, const TrainerParts& parts, const Dataset& data, std::size_t sample,
                   std::size_t steps, const Draw& draw, const Device& device) {
  if (sample >= data.size()) {
    throw ArgumentError(
        "inspect",
        fmt::format("sample of {} must be 0 to {}", data.name, static_cast<std::ptrdiff_t>(data.size()) - 1),
        std::to_string(sample));
  }
  Tape encoder_tape(device), tape(device);
  const std::array<std::uint32_t, 1> samples{static_cast<std::uint32_t>(sample)};
  const Signal x = parts.encoder->encode(data, samples, steps, draw, encoder_tape);
  tape.set_context({.draw = draw, .samples = samples});
  const Signal y = net.forward(x, tape);

  SampleLife life{.sample = sample, .steps = steps, .input = x.shape().from(2)};
  life.input_values = of_sample(to_tensor(x));
  life.input_spikes = x.is_spikes();
  for_each_trace(tape, [&](const std::string& name, const Tape& of_layer) {
    const Trace& trace = of_layer.trace();
    const std::optional<Membrane> membrane = trace.layer->membrane(of_layer);
    if (!membrane.has_value()) return;
    LayerLife layer{
        .name = name, .kind = std::string(trace.layer->kind()), .features = trace.x.shape().from(2)};
    layer.current = of_sample(membrane->current);
    layer.potential = of_sample(membrane->h);
    if (trace.y.is_spikes()) {
      layer.threshold = of_sample(membrane->threshold);
      layer.spikes.resize(layer.current.size());
      trace.y.spikes().to_bytes(layer.spikes);
    }
    life.layers.push_back(std::move(layer));
  });
  Tape loss_tape(device);
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

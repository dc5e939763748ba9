#include "training/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <volley/error.hpp>

#include "layers/signal_forms.hpp"
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
  for_each_trace(tape, [&](const std::string& name, const Tape& of_layer) {
    const Trace& trace = of_layer.trace();
    const std::optional<Membrane> membrane = trace.layer->membrane(of_layer);
    if (!membrane.has_value()) return;
    LayerLife layer{
        .name = name, .kind = std::string(trace.layer->kind()), .features = trace.x.shape().from(2)};
    const auto of_sample = [&](const Tensor& values) {
      Tensor one({steps, trace.x.features()});
      std::copy_n(values.data(), one.size(), one.data());
      return one;
    };
    layer.current = of_sample(membrane->current);
    layer.potential = of_sample(membrane->h);
    if (trace.y.is_spikes()) {
      layer.threshold = of_sample(membrane->threshold);
      layer.spikes.resize(layer.current.size());
      trace.y.spikes().to_bytes(layer.spikes);
    }
    life.layers.push_back(std::move(layer));
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

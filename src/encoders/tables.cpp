#include <algorithm>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "core/workspace.hpp"
#include "encoders/checks.hpp"
#include "kernels/bits.hpp"
#include "kernels/poisson.hpp"
#include "layers/spike_words.hpp"
#include "reference/encoders.hpp"

namespace volley {
namespace {

struct Saved {
  Buffer<std::uint64_t> table;  // (256, neurons, words of a train)
  Buffer<float> probabilities;  // (256, neurons)
  Spikes spikes;
};

/// Spikes of pictures in step order, each pixel becoming `neurons` trains:
/// `train(words, k, m)` writes the words of pixel k and neuron m, and returns whether there is any spike.
template <class Train>
void encode_trains(Spikes& spikes, const Dataset& data, std::span<const std::uint32_t> samples,
                   std::size_t steps, std::size_t neurons, const Shape& features, ThreadPool& threads,
                   const Train& train) {
  std::uint64_t* all = SpikeWords::make_steps(spikes, features.after({samples.size(), steps}));
  const std::size_t W = (steps + 63) / 64;
  const std::size_t F = features.size();
  const std::size_t C = data.shape[0];
  const std::size_t P = data.shape.size() / C;
  parallel_for(threads, samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<std::uint64_t> trains(F * W);
    Scratch<std::uint32_t> active(F);
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      std::size_t count = 0;
      for (std::size_t channel = 0; channel < C * neurons; ++channel) {
        const std::size_t m = channel % neurons;
        for (std::size_t p = 0; p < P; ++p) {
          const std::uint32_t feature = static_cast<std::uint32_t>(channel * P + p);
          const std::uint8_t k = pixels[channel / neurons * P + p];
          if (train(trains.data() + count * W, k, m)) active[count++] = feature;
        }
      }
      kernels::trains_to_steps(all + n * steps * SpikeWords::row_words(spikes), trains.data(), active.data(),
                               count, steps, F);
    }
  });
}

void fire(std::uint64_t* words, std::size_t step) { words[step / 64] |= std::uint64_t{1} << step % 64; }

float receptive_field(const PopulationOptions& o, std::uint8_t k, std::size_t m) {
  return reference::receptive_field(k, m, o.neurons, o.low, o.high, o.width);
}

}  // namespace

Shape TableEncoder::output_shape(const Shape& picture) const {
  return picture.from(1).after({picture[0] * neurons()});
}

Signal TableEncoder::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                               const Draw&, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  const std::size_t M = neurons();
  const std::size_t W = (steps + 63) / 64;
  saved.table.resize(256 * M * W);
  saved.table.zero();
  for (std::size_t k = 0; k < 256; ++k) {
    trains_of(saved.table.data() + k * M * W, static_cast<std::uint8_t>(k), steps);
  }
  encode_trains(saved.spikes, data, samples, steps, M, output_shape(data.shape), tape.threads(),
                [&](std::uint64_t* words, std::uint8_t k, std::size_t m) {
                  const std::uint64_t* from = saved.table.data() + (k * M + m) * W;
                  std::uint64_t any = 0;
                  for (std::size_t w = 0; w < W; ++w) any |= words[w] = from[w];
                  return any != 0;
                });
  return saved.spikes;
}

Latency::Latency(const LatencyOptions& options) : options_(options) { check_fields(kind(), options); }

void Latency::trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const {
  if (options_.clip && k == 0) return;
  fire(words, options_.function == LatencyFunction::linear ? reference::latency_linear(k, steps)
                                                           : reference::latency_log(k, steps));
}

WeightedPhase::WeightedPhase(const WeightedPhaseOptions& options) : options_(options) {
  check_fields(kind(), options);
}

void WeightedPhase::trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const {
  for (std::size_t t = 0; t < steps; ++t) {
    if (reference::phase_fires(k, t % options_.phases)) fire(words, t);
  }
}

Population::Population(const PopulationOptions& options) : options_(options) {
  check_fields(kind(), options);
  check_range(kind(), "high", options.high, above(options.low));
}

void Population::trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const {
  const std::size_t W = (steps + 63) / 64;
  for (std::size_t m = 0; m < options_.neurons; ++m) {
    reference::population_fires(receptive_field(options_, k, m), steps,
                                [&](std::size_t t) { fire(words + m * W, t); });
  }
}

Signal Population::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                             const Draw& draw, Tape& tape) const {
  if (options_.mode == PopulationMode::deterministic)
    return TableEncoder::do_encode(data, samples, steps, draw, tape);
  const std::size_t M = options_.neurons;
  Saved& saved = tape.saved<Saved>();
  Buffer<float>& probabilities = saved.probabilities;
  probabilities.resize(256 * M);
  for (std::size_t i = 0; i < 256 * M; ++i) {
    probabilities[i] = receptive_field(options_, static_cast<std::uint8_t>(i / M), i % M);
  }
  Spikes& spikes = saved.spikes;
  SpikeWords::make_trains(spikes, output_shape(data.shape).after({samples.size(), steps}));
  const PhiloxKey key = key_of(draw);
  const std::size_t F = spikes.features();
  const std::size_t P = data.shape.from(1).size();
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> drawn(F);
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      for (std::size_t f = 0; f < F; ++f) {
        const std::size_t channel = f / P;
        drawn[f] = probabilities[pixels[channel / M * P + f % P] * M + channel % M];
      }
      const std::size_t active =
          kernels::poisson_encode(SpikeWords::trains(spikes, n), SpikeWords::active(spikes, n), drawn.data(),
                                  F, steps, draw.address(samples, n), key);
      SpikeWords::active_count(spikes, n) = static_cast<std::uint32_t>(active);
    }
  });
  return spikes;
}

}  // namespace volley

#include <algorithm>
#include <cmath>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "core/exp_log.hpp"
#include "core/workspace.hpp"
#include "encoders/checks.hpp"
#include "encoders/pictures.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  PicturesMemory pictures;
  Buffer<std::uint64_t> table;  // (256, neurons, words of a train)
  Buffer<float> fields;         // (channels, neurons, 256), of the receptive fields
  Buffer<float> probabilities;  // (N, features)
  Spikes spikes;
};

void fire(std::uint64_t* words, std::size_t step) { words[step / 64] |= std::uint64_t{1} << step % 64; }

/// (E2) (T - 1)(1 - k / 255) to the nearest; no two steps are ever equally near.
std::size_t latency_linear(std::uint8_t k, std::size_t T) { return (2 * (T - 1) * (255u - k) + 255) / 510; }

/// (E3) -ln(x + (1 - x) e^-(T - 1)), which is T - 1 - ln(a x + 1) and does not overflow.
std::size_t latency_log(std::uint8_t k, std::size_t T) {
  const double last = static_cast<double>(T - 1);
  const double x = k / 255.0;
  return static_cast<std::size_t>(std::nearbyint(std::min(last, -std::log(x + (1 - x) * std::exp(-last)))));
}

/// (E4) Whether the digit of `phase` = 0, 1, ... of k / 256 is 1.
bool phase_fires(std::uint8_t k, std::size_t phase) { return phase < 8 && (k >> (7 - phase) & 1) != 0; }

/// (E5) What drives neuron m of a pixel, in [0, 1].
float receptive_field(const PopulationOptions& o, std::uint8_t k, std::size_t m) {
  const float centre = o.low + (o.high - o.low) / static_cast<float>(o.neurons - 1) * static_cast<float>(m);
  const float distance = static_cast<float>(k) / 255 - centre;
  return exp_of(-0.5f * (distance * distance) / (o.width * o.width));
}

/// (E6) An IF neuron with soft reset under a constant current.
void population_fires(std::uint64_t* words, float current, std::size_t T) {
  constexpr float kThreshold = 0.999f;
  float v = 0;
  for (std::size_t t = 0; t < T; ++t) {
    v += current;
    if (v >= kThreshold) {
      fire(words, t);
      v -= kThreshold;
    }
  }
}

}  // namespace

Shape TableEncoder::output_shape(const Shape& picture) const {
  return picture.from(1).after({picture[0] * neurons()});
}

Signal TableEncoder::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                               const Draw&, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const std::size_t M = neurons(), row = M * ((steps + 63) / 64);
  Scratch<std::uint64_t> table(256 * row);
  table.zero();
  for (std::size_t k = 0; k < 256; ++k)
    trains_of(table.data() + k * row, static_cast<std::uint8_t>(k), steps);
  SpikeWords::shape_steps(saved.spikes, output_shape(data.shape).after({samples.size(), steps}));
  device.run(ops::TableEncode{.pictures = pictures_of(data, samples, saved.pictures, tape),
                              .C = data.shape[0],
                              .P = data.shape.from(1).size(),
                              .M = M,
                              .T = steps,
                              .table = put(saved.table, table.span(), device),
                              .words = SpikeWords::write(saved.spikes, device)});
  return saved.spikes;
}

Latency::Latency(const LatencyOptions& options) : options_(options) { check_fields(kind(), options); }

void Latency::trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const {
  if (options_.clip && k == 0) return;
  fire(words,
       options_.function == LatencyFunction::linear ? latency_linear(k, steps) : latency_log(k, steps));
}

WeightedPhase::WeightedPhase(const WeightedPhaseOptions& options) : options_(options) {
  check_fields(kind(), options);
}

void WeightedPhase::trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const {
  for (std::size_t t = 0; t < steps; ++t) {
    if (phase_fires(k, t % options_.phases)) fire(words, t);
  }
}

Population::Population(const PopulationOptions& options) : options_(options) {
  check_fields(kind(), options);
  check_range(kind(), "high", options.high, above(options.low));
}

void Population::trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const {
  const std::size_t W = (steps + 63) / 64;
  for (std::size_t m = 0; m < options_.neurons; ++m)
    population_fires(words + m * W, receptive_field(options_, k, m), steps);
}

Signal Population::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                             const Draw& draw, Tape& tape) const {
  if (options_.mode == PopulationMode::deterministic)
    return TableEncoder::do_encode(data, samples, steps, draw, tape);
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const std::size_t C = data.shape[0], M = options_.neurons, P = data.shape.from(1).size();
  Scratch<float> fields(C * M * 256);
  for (std::size_t i = 0; i < M * 256; ++i)
    fields[i] = receptive_field(options_, static_cast<std::uint8_t>(i % 256), i / 256);
  for (std::size_t c = 1; c < C; ++c) std::copy_n(fields.data(), M * 256, fields.data() + c * M * 256);
  const ops::Pictures pictures = pictures_of(data, samples, saved.pictures, tape);
  SpikeWords::make_trains(saved.spikes, output_shape(data.shape).after({samples.size(), steps}));
  const std::size_t F = saved.spikes.features();
  saved.probabilities.resize(samples.size() * F);
  device.run(ops::LookUp{.pictures = pictures,
                         .C = C,
                         .T = 1,
                         .W = P,
                         .M = M,
                         .table = put(saved.fields, fields.span(), device),
                         .out = device.write(saved.probabilities)});
  device.run(ops::PoissonEncode{.probabilities = device.read(saved.probabilities),
                                .addresses = addresses_of(pictures, samples, draw, saved.pictures, device),
                                .key = key_of(draw),
                                .N = samples.size(),
                                .T = steps,
                                .F = F,
                                .trains = SpikeWords::write(saved.spikes, device),
                                .active = SpikeWords::write_active(saved.spikes, device),
                                .active_count = SpikeWords::write_active_count(saved.spikes, device)});
  return saved.spikes;
}

}  // namespace volley

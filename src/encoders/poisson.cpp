#include <fmt/format.h>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "encoders/checks.hpp"
#include "kernels/poisson.hpp"
#include "layers/spike_words.hpp"

namespace volley {
namespace {

/// The encoding of a batch, sample by sample.
struct Saved {
  Spikes spikes;
  const Dataset* data = nullptr;
  std::span<const std::uint32_t> samples;
  std::size_t steps = 0;
  Draw draw;
  PhiloxKey key{};

  void operator()(std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      // Pictures are visited in any order: the next one is asked for before it is needed.
      if (n + 2 < samples.size()) kernels::prefetch(data->picture(samples[n + 2]));
      const std::size_t active = kernels::poisson_encode(
          SpikeWords::trains(spikes, n), SpikeWords::active(spikes, n), data->picture(samples[n]).data(),
          spikes.features(), steps, draw.address(samples, n), key);
      SpikeWords::active_count(spikes, n) = static_cast<std::uint32_t>(active);
    }
  }
};

Saved& prepare(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
               const Draw& draw, Tape& tape) {
  Saved& saved = tape.saved<Saved>();
  SpikeWords::make_trains(saved.spikes, data.shape.after({samples.size(), steps}));
  saved.data = &data;
  saved.samples = samples;
  saved.steps = steps;
  saved.draw = draw;
  saved.key = key_of(draw);
  return saved;
}

}  // namespace

Signal Poisson::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                          const Draw& draw, Tape& tape) const {
  Saved& saved = prepare(data, samples, steps, draw, tape);
  parallel_for(tape.threads(), samples.size(), 1, saved);
  return saved.spikes;
}

Signal Poisson::do_encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples,
                                std::size_t steps, const Draw& draw, Tape& tape) const {
  Saved& saved = prepare(data, samples, steps, draw, tape);
  parallel_for_ahead(tape.threads(), samples.size(), 1, saved);
  return saved.spikes;
}

Signal Poisson::do_encode_values(const Tensor& probabilities, std::size_t steps, const Draw& draw,
                                 Tape& tape) const {
  const Shape& shape = probabilities.shape();
  const std::size_t N = shape[0];
  Spikes& spikes = tape.saved<Saved>().spikes;
  SpikeWords::make_trains(spikes, shape.from(1).after({N, steps}));
  const std::size_t F = spikes.features();
  const PhiloxKey key = key_of(draw);
  const auto address = [&draw](std::size_t n) {
    return draw.first_sample + (draw.known_as.empty() ? static_cast<std::uint32_t>(n) : draw.known_as[n]);
  };
  parallel_for(tape.threads(), N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t active =
          kernels::poisson_encode(SpikeWords::trains(spikes, n), SpikeWords::active(spikes, n),
                                  probabilities.data() + n * F, F, steps, address(n), key);
      SpikeWords::active_count(spikes, n) = static_cast<std::uint32_t>(active);
    }
  });
  return spikes;
}

}  // namespace volley

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
  std::uint32_t first_sample = 0;
  PhiloxKey key{};

  void operator()(std::size_t begin, std::size_t end) {
    static thread_local kernels::PoissonScratch scratch;
    for (std::size_t n = begin; n < end; ++n) {
      // Pictures are visited in any order: the next one is asked for before it is needed.
      if (n + 2 < samples.size()) kernels::prefetch(data->picture(samples[n + 2]));
      const std::size_t active = kernels::poisson_encode(
          SpikeWords::trains(spikes, n), SpikeWords::active(spikes, n), data->picture(samples[n]).data(),
          spikes.features(), steps, first_sample + samples[n], key, scratch);
      SpikeWords::active_count(spikes, n) = static_cast<std::uint32_t>(active);
    }
  }
};

Saved& prepare(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
               const Draw& draw, Tape& tape) {
  check_steps(PoissonOptions::kKind, steps);
  check_draw(PoissonOptions::kKind, draw, samples);
  Saved& saved = tape.saved<Saved>();
  SpikeWords::make_trains(saved.spikes, data.shape.after({samples.size(), steps}));
  saved.data = &data;
  saved.samples = samples;
  saved.steps = steps;
  saved.first_sample = draw.first_sample;
  saved.key = key_of(draw);
  return saved;
}

}  // namespace

Signal Poisson::encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                       const Draw& draw, Tape& tape) const {
  Saved& saved = prepare(data, samples, steps, draw, tape);
  parallel_for(tape.threads(), samples.size(), 1, saved);
  return saved.spikes;
}

Signal Poisson::encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                             const Draw& draw, Tape& tape) const {
  Saved& saved = prepare(data, samples, steps, draw, tape);
  parallel_for_ahead(tape.threads(), samples.size(), 1, saved);
  return saved.spikes;
}

Signal Poisson::encode(const Tensor& probabilities, std::size_t steps, const Draw& draw, Tape& tape) const {
  check_steps(PoissonOptions::kKind, steps);
  if (probabilities.shape().rank() < 2) {
    throw Error(fmt::format("[poisson] probabilities must be (N, features...), got {}",
                            probabilities.shape().text()));
  }
  const std::size_t N = probabilities.shape()[0];
  const auto last = static_cast<std::uint32_t>(N > 0 ? N - 1 : 0);
  check_draw(PoissonOptions::kKind, draw, {&last, 1});
  Spikes& spikes = tape.saved<Saved>().spikes;
  SpikeWords::make_trains(spikes, probabilities.shape().from(1).after({N, steps}));
  const std::size_t F = spikes.features();
  const PhiloxKey key = key_of(draw);
  parallel_for(tape.threads(), N, 1, [&](std::size_t begin, std::size_t end) {
    static thread_local kernels::PoissonScratch scratch;
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t active = kernels::poisson_encode(
          SpikeWords::trains(spikes, n), SpikeWords::active(spikes, n), probabilities.data() + n * F, F,
          steps, draw.first_sample + static_cast<std::uint32_t>(n), key, scratch);
      SpikeWords::active_count(spikes, n) = static_cast<std::uint32_t>(active);
    }
  });
  return spikes;
}

}  // namespace volley

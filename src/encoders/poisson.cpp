#include <volley/encoder.hpp>

#include <algorithm>
#include <numeric>

#include "encoders/checks.hpp"
#include "layers/spike_words.hpp"
#include "layers/views.hpp"

namespace volley {
namespace {

struct Saved {
  Spikes spikes;
  Buffer<std::uint32_t> pictures, addresses;
  Buffer<std::uint8_t> pixels;  // of the batch, for a device with memory of its own
  ops::Slot slot;
};

/// The operation for N samples, without what they are.
ops::PoissonEncode encoding_of(Saved& saved, const Shape& shape, const Draw& draw, Executor& device) {
  SpikeWords::make_trains(saved.spikes, shape);
  return {.addresses = device.read(saved.addresses),
          .key = key_of(draw),
          .N = shape[0],
          .T = shape[1],
          .F = saved.spikes.features(),
          .trains = SpikeWords::write(saved.spikes, device),
          .active = SpikeWords::write_active(saved.spikes, device),
          .active_count = SpikeWords::write_active_count(saved.spikes, device)};
}

ops::PoissonEncode encoding_of(Saved& saved, const Dataset& data, std::span<const std::uint32_t> samples,
                               std::size_t steps, const Draw& draw, Executor& device) {
  const std::size_t N = samples.size(), F = data.shape.size();
  saved.addresses.resize(N);
  std::uint32_t* const addresses = saved.addresses.data();
  for (std::size_t n = 0; n < N; ++n) addresses[n] = draw.address(samples, n);
  ops::PoissonEncode op = encoding_of(saved, data.shape.after({N, steps}), draw, device);
  if (device.is_host()) {
    op.pixels = data.pixels.data();
    op.pictures = samples.data();
    return op;
  }
  saved.pixels.resize(N * F);
  saved.pictures.resize(N);
  for (std::size_t n = 0; n < N; ++n)
    std::ranges::copy(data.picture(samples[n]), saved.pixels.data() + n * F);
  std::iota(saved.pictures.data(), saved.pictures.data() + N, 0u);
  op.pixels = device.read(saved.pixels);
  op.pictures = device.read(saved.pictures);
  return op;
}

}  // namespace

Signal Poisson::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                          const Draw& draw, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  device.run(encoding_of(saved, data, samples, steps, draw, device));
  return saved.spikes;
}

Signal Poisson::do_encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples,
                                std::size_t steps, const Draw& draw, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  device.run_ahead(encoding_of(saved, data, samples, steps, draw, device), saved.slot);
  return saved.spikes;
}

Signal Poisson::do_encode_values(const Tensor& probabilities, std::size_t steps, const Draw& draw,
                                 Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const Shape& shape = probabilities.shape();
  const std::size_t N = shape[0];
  saved.addresses.resize(N);
  for (std::size_t n = 0; n < N; ++n) {
    saved.addresses[n] =
        draw.first_sample + (draw.known_as.empty() ? static_cast<std::uint32_t>(n) : draw.known_as[n]);
  }
  ops::PoissonEncode op = encoding_of(saved, shape.from(1).after({N, steps}), draw, device);
  op.probabilities = device.read(probabilities);
  device.run(op);
  return saved.spikes;
}

}  // namespace volley

#include <volley/encoder.hpp>

#include "core/workspace.hpp"
#include "encoders/checks.hpp"
#include "encoders/pictures.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  PicturesMemory pictures;
  Spikes spikes;
  ops::Slot slot;
};

/// The operation for N samples, without what they are.
ops::PoissonEncode encoding_of(Saved& saved, const Shape& shape, const Draw& draw, Executor& device) {
  SpikeWords::make_trains(saved.spikes, shape);
  return {.addresses = nullptr,
          .key = key_of(draw),
          .N = shape[0],
          .T = shape[1],
          .F = saved.spikes.features(),
          .trains = SpikeWords::write(saved.spikes, device),
          .active = SpikeWords::write_active(saved.spikes, device),
          .active_count = SpikeWords::write_active_count(saved.spikes, device)};
}

ops::PoissonEncode encoding_of(Saved& saved, const Dataset& data, std::span<const std::uint32_t> samples,
                               std::size_t steps, const Draw& draw, const Tape& tape) {
  Executor& device = executor_of(tape);
  ops::PoissonEncode op = encoding_of(saved, data.shape.after({samples.size(), steps}), draw, device);
  op.pictures = pictures_of(data, samples, saved.pictures, tape);
  op.addresses = addresses_of(op.pictures, samples, draw, saved.pictures, device);
  return op;
}

}  // namespace

Signal Poisson::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                          const Draw& draw, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  executor_of(tape).run(encoding_of(saved, data, samples, steps, draw, tape));
  return saved.spikes;
}

Signal Poisson::do_encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples,
                                std::size_t steps, const Draw& draw, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  executor_of(tape).run_ahead(encoding_of(saved, data, samples, steps, draw, tape), saved.slot);
  return saved.spikes;
}

Signal Poisson::do_encode_values(const Tensor& probabilities, std::size_t steps, const Draw& draw,
                                 Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const Shape& shape = probabilities.shape();
  const std::size_t N = shape[0];
  Scratch<std::uint32_t> addresses(N);
  for (std::size_t n = 0; n < N; ++n) {
    addresses[n] =
        draw.first_sample + (draw.known_as.empty() ? static_cast<std::uint32_t>(n) : draw.known_as[n]);
  }
  ops::PoissonEncode op = encoding_of(saved, shape.from(1).after({N, steps}), draw, device);
  op.probabilities = device.read(probabilities);
  op.addresses = put(saved.pictures.addresses, addresses.span(), device);
  device.run(op);
  return saved.spikes;
}

}  // namespace volley

#include <volley/encoder.hpp>

#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Spikes spikes;
};

}  // namespace

Periodic::Periodic(const PeriodicOptions& options)
    : options_(options), of_(std::visit([](const auto& of) { return make_encoder(of); }, options.of)) {
  check_fields(kind(), options);
}

Signal Periodic::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                           const Draw& draw, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  const Signal once = of_->encode(data, samples, options_.period, draw, tape.child(0));
  SpikeWords::shape_steps(saved.spikes, once.shape().from(2).after({samples.size(), steps}));
  device.run(ops::RepeatSpikes{.period = SpikeWords::view(once.spikes(), device),
                               .T = steps,
                               .words = SpikeWords::write(saved.spikes, device)});
  return saved.spikes;
}

}  // namespace volley

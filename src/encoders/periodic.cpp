#include <algorithm>

#include <volley/encoder.hpp>

#include "layers/spike_words.hpp"
#include "layers/views.hpp"

namespace volley {
namespace {

struct Saved {
  Spikes one_period;  // in step order
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
  const Signal once = of_->encode(data, samples, options_.period, draw, tape.child(0));
  const bool turn = SpikeWords::in_trains(once.spikes());
  if (turn) SpikeWords::to_steps(saved.one_period, once.spikes(), executor_of(tape));
  const Spikes& period = turn ? saved.one_period : once.spikes();
  std::uint64_t* all =
      SpikeWords::make_steps(saved.spikes, once.shape().from(2).after({samples.size(), steps}));
  const std::size_t row = SpikeWords::row_words(saved.spikes);
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t t = 0; t < steps; ++t) {
        std::copy_n(SpikeWords::steps(period, n) + t % options_.period * row, row,
                    all + (n * steps + t) * row);
      }
    }
  });
  return saved.spikes;
}

}  // namespace volley

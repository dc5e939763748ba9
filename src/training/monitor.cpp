#include <volley/monitor.hpp>

#include <utility>

#include <volley/layer.hpp>

#include "encoders/pictures.hpp"
#include "signal/views.hpp"
#include "training/traces.hpp"

namespace volley {
namespace {

/// The steps of sample n that count.
std::size_t steps_of(std::span<const std::uint32_t> lengths, std::size_t n, std::size_t T) {
  return lengths.empty() ? T : lengths[n];
}

std::size_t steps_of_all(std::span<const std::uint32_t> lengths, std::size_t N, std::size_t T) {
  std::size_t sum = 0;
  for (std::size_t n = 0; n < N; ++n) sum += steps_of(lengths, n, T);
  return sum;
}

}  // namespace

LayerActivity total_of(std::span<const LayerActivity> layers) {
  LayerActivity total{.layer = "total"};
  double spikes = 0;
  for (const LayerActivity& layer : layers) {
    total.synops += layer.synops;
    total.macs += layer.macs;
    total.dense_macs += layer.dense_macs;
    if (layer.layer == kInputLayer) continue;
    total.neurons += layer.neurons;
    total.dead += layer.dead;
    total.saturated += layer.saturated;
    spikes += layer.rate * static_cast<double>(layer.neurons);
  }
  if (total.neurons > 0) total.rate = spikes / static_cast<double>(total.neurons);
  return total;
}

/// The pass that is looked at.
struct Monitor::Look {
  Executor& device;
  std::span<const std::uint32_t> lengths;
};

void Monitor::look(const Tape& tape) {
  place_ = 0;
  const Look now{executor_of(tape), tape.context().lengths};
  for_each_trace(tape,
                 [&](const std::string& name, const Tape& layer) { count_layer(name, layer.trace(), now); });
}

void Monitor::clear() {
  places_.clear();
  samples_ = 0;
}

std::vector<LayerActivity> Monitor::activity() const {
  std::vector<LayerActivity> layers;
  const auto samples = static_cast<double>(samples_);
  for (const Counts& counts : places_) {
    if (counts.fired.empty() && counts.dense_macs == 0) continue;
    LayerActivity layer{.layer = counts.layer, .kind = counts.kind, .neurons = counts.fired.size()};
    double spikes = 0;
    for (const std::uint64_t fired : counts.fired) {
      spikes += static_cast<double>(fired);
      layer.dead += fired == 0;
      layer.saturated += fired == counts.sample_steps;
    }
    if (layer.neurons > 0) {
      layer.rate = spikes / (static_cast<double>(layer.neurons) * static_cast<double>(counts.sample_steps));
    }
    layer.synops = counts.synops / samples;
    layer.macs = counts.macs / samples;
    layer.dense_macs = counts.dense_macs;
    layers.push_back(std::move(layer));
  }
  return layers;
}

void Monitor::count_layer(const std::string& name, const Trace& trace, const Look& now) {
  const Signal& x = trace.x;
  if (place_ == 0) {
    samples_ += x.samples();
    Counts& input = next(kInputLayer, "spikes");
    if (x.is_spikes()) count_by_feature(input, x.spikes(), now);
  }
  Counts& counts = next(name, trace.layer->kind());
  const auto macs = static_cast<double>(trace.layer->macs(x.shape().from(2)));
  if (macs > 0) {
    counts.dense_macs = macs;
    if (trace.layer->is_recurrent()) {
      const Spikes& s = trace.y.spikes();
      const Sums sums = count_all(s, now);  // those at the last step do not come back any more
      counts.synops += static_cast<double>(sums.all - sums.last) * (macs / static_cast<double>(s.features()));
    } else if (x.is_spikes()) {
      counts.synops +=
          static_cast<double>(count_all(x.spikes(), now).all) * (macs / static_cast<double>(x.features()));
    } else {
      const bool cut = !now.lengths.empty() && !x.constant();
      const std::size_t rows =
          cut ? steps_of_all(now.lengths, x.samples(), x.steps()) : x.samples() * x.stored_steps();
      counts.macs += static_cast<double>(rows) * macs;
    }
  }
  if (trace.y.is_spikes() && !x.is_spikes()) count_by_feature(counts, trace.y.spikes(), now);
}

Monitor::Sums Monitor::count_all(const Spikes& spikes, const Look& now) {
  sums_.resize(2);
  now.device.run(ops::CountSpikes{.spikes = SpikeWords::view(spikes, now.device),
                                  .lengths = lengths_on_device(now),
                                  .sums = now.device.write(sums_)});
  const std::uint64_t* const sums = std::as_const(sums_).data();
  return {sums[0], sums[1]};
}

void Monitor::count_by_feature(Counts& counts, const Spikes& spikes, const Look& now) {
  counts.sample_steps += steps_of_all(now.lengths, spikes.samples(), spikes.steps());
  counts.fired.resize(spikes.features());
  by_feature_.resize(spikes.features());
  now.device.run(ops::CountSpikes{.spikes = SpikeWords::view(spikes, now.device),
                                  .lengths = lengths_on_device(now),
                                  .by_feature = now.device.write(by_feature_)});
  const std::uint64_t* const fired = std::as_const(by_feature_).data();
  for (std::size_t f = 0; f < counts.fired.size(); ++f) counts.fired[f] += fired[f];
}

const std::uint32_t* Monitor::lengths_on_device(const Look& now) {
  return now.lengths.empty() ? nullptr : put(lengths_, now.lengths, now.device);
}

Monitor::Counts& Monitor::next(const std::string& name, std::string_view kind) {
  if (place_ == places_.size()) places_.push_back({.layer = name, .kind = std::string(kind)});
  // cppcheck-suppress containerOutOfBounds  // where there was none, there is one now
  return places_[place_++];
}

}  // namespace volley

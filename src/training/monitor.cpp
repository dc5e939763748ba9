#include <volley/monitor.hpp>

#include <numeric>

#include <volley/layer.hpp>

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

/// These do not come back any more.
std::size_t count_at_last_step(const Spikes& s, std::span<const std::uint32_t> lengths) {
  std::size_t count = 0;
  for (std::size_t n = 0; n < s.samples(); ++n) {
    const std::size_t last = steps_of(lengths, n, s.steps()) - 1;
    for (std::size_t f = 0; f < s.features(); ++f) count += s.fired(n, last, f);
  }
  return count;
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

void Monitor::look(const Tape& tape) {
  place_ = 0;
  const std::span<const std::uint32_t> lengths = tape.context().lengths;
  for_each_trace(
      tape, [&](const std::string& name, const Tape& layer) { count_layer(name, layer.trace(), lengths); });
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

void Monitor::count_layer(const std::string& name, const Trace& trace,
                          std::span<const std::uint32_t> lengths) {
  const Signal& x = trace.x;
  if (place_ == 0) {
    samples_ += x.samples();
    Counts& input = next(kInputLayer, "spikes");
    if (x.is_spikes()) count_spikes(input, x.spikes(), lengths);
  }
  Counts& counts = next(name, trace.layer->kind());
  const auto macs = static_cast<double>(trace.layer->macs(x.shape().from(2)));
  if (macs > 0) {
    counts.dense_macs = macs;
    if (trace.layer->is_recurrent()) {
      const Spikes& s = trace.y.spikes();
      counts.synops += static_cast<double>(count_all(s, lengths) - count_at_last_step(s, lengths)) *
                       (macs / static_cast<double>(s.features()));
    } else if (x.is_spikes()) {
      counts.synops +=
          static_cast<double>(count_all(x.spikes(), lengths)) * (macs / static_cast<double>(x.features()));
    } else {
      const bool cut = !lengths.empty() && !x.constant();
      const std::size_t rows =
          cut ? steps_of_all(lengths, x.samples(), x.steps()) : x.samples() * x.stored_steps();
      counts.macs += static_cast<double>(rows) * macs;
    }
  }
  if (trace.y.is_spikes() && !x.is_spikes()) count_spikes(counts, trace.y.spikes(), lengths);
}

std::size_t Monitor::count_all(const Spikes& spikes, std::span<const std::uint32_t> lengths) {
  if (lengths.empty()) return spikes.count();
  std::size_t sum = 0;
  scratch_.resize(spikes.features());
  for (std::size_t n = 0; n < spikes.samples(); ++n) {
    spikes.count_by_feature(n, scratch_, lengths[n]);
    sum += std::accumulate(scratch_.begin(), scratch_.end(), std::size_t{0});
  }
  return sum;
}

void Monitor::count_spikes(Counts& counts, const Spikes& spikes, std::span<const std::uint32_t> lengths) {
  counts.sample_steps += steps_of_all(lengths, spikes.samples(), spikes.steps());
  counts.fired.resize(spikes.features());
  scratch_.resize(spikes.features());
  for (std::size_t n = 0; n < spikes.samples(); ++n) {
    spikes.count_by_feature(n, scratch_, steps_of(lengths, n, spikes.steps()));
    for (std::size_t f = 0; f < scratch_.size(); ++f) counts.fired[f] += scratch_[f];
  }
}

Monitor::Counts& Monitor::next(const std::string& name, std::string_view kind) {
  if (place_ == places_.size()) places_.push_back({.layer = name, .kind = std::string(kind)});
  // cppcheck-suppress containerOutOfBounds  // where there was none, there is one now
  return places_[place_++];
}

}  // namespace volley

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>
#include <volley/event_frames.hpp>
#include <volley/fields.hpp>

#include "events/event_checks.hpp"
#include "signal/spike_words.hpp"

namespace volley {
namespace {

std::vector<EventSlice> checked_slices(std::string_view operation, std::span<const Event> events,
                                       const Shape& sensor, const EventFrameOptions& options) {
  check_sensor(operation, sensor);
  check_inside(operation, events, sensor);
  return event_slices(events, options);
}

}  // namespace

Tensor event_frames(std::span<const Event> events, const Shape& sensor, const EventFrameOptions& options) {
  const std::vector<EventSlice> slices = checked_slices("event_frames", events, sensor, options);
  const EventPlace place(sensor);
  const std::size_t features = sensor.size();
  Tensor frames(sensor.after({slices.size()}));
  float* frame = frames.data();
  for (const EventSlice& slice : slices) {
    for (const Event& event : events.subspan(slice.begin, slice.end - slice.begin)) {
      float& value = frame[place(event)];
      value = options.binary ? 1 : value + 1;
    }
    frame += features;
  }
  return frames;
}

Spikes event_spikes(std::span<const Event> events, const Shape& sensor, const EventFrameOptions& options) {
  const std::vector<EventSlice> slices = checked_slices("event_spikes", events, sensor, options);
  const EventPlace place(sensor);
  Spikes spikes;
  std::uint64_t* words = SpikeWords::make_steps(spikes, sensor.after({1, slices.size()}));
  const std::size_t row = SpikeWords::row_words(spikes);
  std::fill_n(words, slices.size() * row, std::uint64_t{0});
  for (const EventSlice& slice : slices) {
    for (const Event& event : events.subspan(slice.begin, slice.end - slice.begin)) {
      const std::size_t feature = place(event);
      words[feature / 64] |= std::uint64_t{1} << feature % 64;
    }
    words += row;
  }
  return spikes;
}

Tensor bina_rep(const Tensor& frames, std::size_t n_bits) {
  check_range("bina_rep", "n_bits", static_cast<double>(n_bits), between(2, 24));
  const Shape& shape = frames.shape();
  if (shape.rank() == 0 || shape[0] % n_bits != 0)
    throw ShapeError("bina_rep", "frames must be (T n_bits, ...) with n_bits " + std::to_string(n_bits),
                     shape);
  Tensor out(shape.from(1).after({shape[0] / n_bits}));
  const std::size_t features = shape.from(1).size();
  const auto most = static_cast<float>((1u << n_bits) - 1);
  for (std::size_t t = 0; t < out.shape()[0]; ++t) {
    const float* bits = frames.data() + t * n_bits * features;
    for (std::size_t i = 0; i < features; ++i) {
      std::uint32_t value = 0;
      for (std::size_t bit = 0; bit < n_bits; ++bit)
        value = value << 1 | (bits[bit * features + i] > 0 ? 1 : 0);
      out.data()[t * features + i] = static_cast<float>(value) / most;
    }
  }
  return out;
}

}  // namespace volley

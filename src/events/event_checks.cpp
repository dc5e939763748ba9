#include "events/event_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

namespace volley {

void check_sensor(std::string_view operation, const Shape& sensor) {
  constexpr std::size_t kMost = 65536;
  if (sensor.rank() != 3) throw ShapeError(operation, "sensor must be (channels, height, width)", sensor);
  if (std::ranges::any_of(sensor.sizes(), [](std::size_t size) { return size < 1 || size > kMost; }))
    throw ShapeError(operation, "sensor must have sizes from 1 to 65536", sensor);
}

void check_inside(std::string_view operation, std::span<const Event> events, const Shape& sensor) {
  const bool one_channel = sensor[0] == 1;
  const std::size_t channels = sensor[0], height = sensor[1], width = sensor[2];
  for (const Event& event : events) {
    if (one_channel && event.channel != events[0].channel) {
      throw ArgumentError(operation, "events must be of one channel where the sensor has one",
                          fmt::format("channels {} and {}", events[0].channel, event.channel));
    }
    if (event.x >= width || event.y >= height || (!one_channel && event.channel >= channels)) {
      throw ArgumentError(operation, fmt::format("events must be inside the sensor {}", sensor.text()),
                          fmt::format("channel {}, y {}, x {} at event {}", event.channel, event.y, event.x,
                                      &event - events.data()));
    }
  }
}

void check_times(std::string_view operation, std::span<const Event> events) {
  std::uint64_t before = 0;
  for (const Event& event : events) {
    if (event.t < before) {
      throw ArgumentError(operation, "events must be by time",
                          fmt::format("{} after {} at event {}", event.t, before, &event - events.data()));
    }
    before = event.t;
  }
  if (before >= kMostEventTime)
    throw ArgumentError(operation, "times must be below 2^53", fmt::format("{}", before));
}

}  // namespace volley

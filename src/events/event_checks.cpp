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

namespace {

void check_within(std::string_view operation, std::span<const Event> events, const Shape& sensor,
                  std::size_t channels) {
  const std::size_t height = sensor[1], width = sensor[2];
  for (const Event& event : events) {
    if (event.x < width && event.y < height && event.channel < channels) continue;
    throw ArgumentError(operation, fmt::format("events must be inside the sensor {}", sensor.text()),
                        fmt::format("channel {}, y {}, x {} at event {}", event.channel, event.y, event.x,
                                    &event - events.data()));
  }
}

constexpr std::size_t kAnyChannel = 65536;

}  // namespace

void check_places(std::string_view operation, std::span<const Event> events, const Shape& sensor) {
  check_within(operation, events, sensor, kAnyChannel);
}

void check_inside(std::string_view operation, std::span<const Event> events, const Shape& sensor) {
  const bool one_channel = sensor[0] == 1;
  check_within(operation, events, sensor, one_channel ? kAnyChannel : sensor[0]);
  if (!one_channel) return;
  for (const Event& event : events) {
    if (event.channel == events[0].channel) continue;
    throw ArgumentError(operation, "events must be of one channel where the sensor has one",
                        fmt::format("channels {} and {}", events[0].channel, event.channel));
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

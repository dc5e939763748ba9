#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <volley/source.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// The times that a double holds exactly are below this.
inline constexpr std::uint64_t kMostEventTime = std::uint64_t{1} << 53;

/// Throws ShapeError unless `sensor` is (channels, height, width) without a 0, each at most 65536.
void check_sensor(std::string_view operation, const Shape& sensor);

/// Throws ArgumentError for an event whose x or y is outside of `sensor`, which check_sensor has passed.
void check_places(std::string_view operation, std::span<const Event> events, const Shape& sensor);

/// Throws ArgumentError for an event outside of `sensor`, which check_sensor has passed. One channel: the
/// events must have the same.
void check_inside(std::string_view operation, std::span<const Event> events, const Shape& sensor);

/// Throws ArgumentError unless times never fall and are below kMostEventTime.
void check_times(std::string_view operation, std::span<const Event> events);

/// Where (channel, y, x) of an event is, row-major in `sensor`.
class EventPlace {
 public:
  explicit EventPlace(const Shape& sensor)
      : one_channel_(sensor[0] == 1), height_(sensor[1]), width_(sensor[2]) {}
  std::size_t operator()(const Event& event) const {
    return ((one_channel_ ? 0 : event.channel) * height_ + event.y) * width_ + event.x;
  }

 private:
  bool one_channel_;
  std::size_t height_, width_;
};

}  // namespace volley

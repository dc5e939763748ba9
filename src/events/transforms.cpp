#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <volley/error.hpp>
#include <volley/event_transforms.hpp>
#include <volley/fields.hpp>

#include "events/event_checks.hpp"

namespace volley::event_transforms {
namespace {

/// The events of which keep(event) is true.
template <class Keep>
std::vector<Event> kept(std::span<const Event> events, const Keep& keep) {
  std::vector<Event> out;
  for (const Event& event : events) {
    if (keep(event)) out.push_back(event);
  }
  return out;
}

/// All events, after change(event).
template <class Change>
std::vector<Event> changed(std::span<const Event> events, const Change& change) {
  std::vector<Event> out(events.begin(), events.end());
  std::ranges::for_each(out, change);
  return out;
}

/// A value for each pixel of the area from (0, 0) to the largest x and y of the events.
template <class T>
class PixelMemory {
 public:
  PixelMemory(std::string_view operation, std::span<const Event> events, T start) {
    for (const Event& event : events) {
      width_ = std::max<std::size_t>(width_, event.x + 1u);
      height_ = std::max<std::size_t>(height_, event.y + 1u);
    }
    constexpr std::size_t kMostPixels = std::size_t{1} << 25;
    if (width_ * height_ > kMostPixels) {
      throw ArgumentError(operation,
                          fmt::format("the area of the events must have at most {} pixels", kMostPixels),
                          fmt::format("{} x {}", width_, height_));
    }
    values_.assign(width_ * height_, start);
  }
  std::size_t width() const { return width_; }
  std::size_t height() const { return height_; }
  T& operator()(std::size_t x, std::size_t y) { return values_[y * width_ + x]; }

 private:
  std::size_t width_ = 0, height_ = 0;
  std::vector<T> values_;
};

void check_size(std::string_view operation, std::string_view name, std::size_t size) {
  check_range(operation, name, static_cast<double>(size), between(1, 65536));
}

/// `value`, which is 0 or more, without its fraction.
std::uint16_t whole_place(std::string_view operation, double value) {
  if (!(value < 65536)) {
    throw ArgumentError(operation, "x and y must stay below 65536", fmt::format("{}", value));
  }
  return static_cast<std::uint16_t>(value);
}

/// Of a `value` between -1 and 0 the whole number is 0.
std::uint64_t whole_time(std::string_view operation, double value) {
  if (!(value > -1 && value < static_cast<double>(kMostEventTime))) {
    throw ArgumentError(operation, "times must stay from 0 to below 2^53", fmt::format("{}", value));
  }
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

std::uint64_t scaled_time(std::string_view operation, std::uint64_t t, double factor, double offset) {
  if (factor == 1 && offset == 0) return t;
  if (t >= kMostEventTime) throw ArgumentError(operation, "times must be below 2^53", fmt::format("{}", t));
  return whole_time(operation, static_cast<double>(t) * factor + offset);
}

}  // namespace

std::vector<Event> denoise(std::span<const Event> events, std::uint64_t filter_time) {
  // Until when a pixel lets its neighbours pass.
  PixelMemory<std::uint64_t> until("denoise", events, filter_time);
  const std::size_t width = until.width(), height = until.height();
  return kept(events, [&](const Event& event) {
    const std::size_t x = event.x, y = event.y;
    const std::uint64_t t = event.t;
    until(x, y) = t + std::min(filter_time, std::numeric_limits<std::uint64_t>::max() - t);
    return (x > 0 && until(x - 1, y) > t) || (x + 1 < width && until(x + 1, y) > t) ||
           (y > 0 && until(x, y - 1) > t) || (y + 1 < height && until(x, y + 1) > t);
  });
}

std::vector<Event> refractory_period(std::span<const Event> events, std::uint64_t refractory_period) {
  constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  PixelMemory<std::uint64_t> last("refractory_period", events, kNone);
  return kept(events, [&](const Event& event) {
    const std::uint64_t before = std::exchange(last(event.x, event.y), event.t);
    if (before == kNone) return event.t > 0;
    return event.t > before && event.t - before > refractory_period;
  });
}

std::vector<Event> decimate(std::span<const Event> events, std::size_t n) {
  check_range("decimate", "n", static_cast<double>(n), at_least(1));
  PixelMemory<std::size_t> count("decimate", events, 0);
  return kept(events, [&](const Event& event) { return ++count(event.x, event.y) % n == 0; });
}

std::vector<Event> crop(std::span<const Event> events, const EventWindow& window) {
  check_size("crop", "width", window.width);
  check_size("crop", "height", window.height);
  std::vector<Event> out = kept(events, [&](const Event& event) {
    return event.x >= window.x && event.x - window.x < window.width && event.y >= window.y &&
           event.y - window.y < window.height;
  });
  for (Event& event : out) {
    event.x = static_cast<std::uint16_t>(event.x - window.x);
    event.y = static_cast<std::uint16_t>(event.y - window.y);
  }
  return out;
}

std::vector<Event> center_crop(std::span<const Event> events, const Shape& sensor, std::size_t height,
                               std::size_t width) {
  constexpr std::string_view kOperation = "center_crop";
  check_sensor(kOperation, sensor);
  check_places(kOperation, events, sensor);
  check_size(kOperation, "height", height);
  check_size(kOperation, "width", width);
  const auto corner = [](std::size_t size, std::size_t part) { return size > part ? (size - part) / 2 : 0; };
  // Rounded as Python's // does: of an odd difference the larger half is before the sensor.
  const auto margin = [](std::size_t size, std::size_t part) {
    return part > size ? (part - size + 1) / 2 : 0;
  };
  std::vector<Event> out = crop(events, {corner(sensor[2], width), corner(sensor[1], height), width, height});
  for (Event& event : out) {
    event.x = static_cast<std::uint16_t>(event.x + margin(sensor[2], width));
    event.y = static_cast<std::uint16_t>(event.y + margin(sensor[1], height));
  }
  return out;
}

std::vector<Event> crop_time(std::span<const Event> events, std::uint64_t min, std::uint64_t max) {
  if (max < min) {
    throw ArgumentError("crop_time", fmt::format("max must be >= min {}", min), fmt::format("{}", max));
  }
  return kept(events, [&](const Event& event) { return event.t >= min && event.t <= max; });
}

std::vector<Event> flip_lr(std::span<const Event> events, const Shape& sensor) {
  check_sensor("flip_lr", sensor);
  check_places("flip_lr", events, sensor);
  return changed(events, [width = sensor[2]](Event& event) {
    event.x = static_cast<std::uint16_t>(width - 1 - event.x);
  });
}

std::vector<Event> flip_ud(std::span<const Event> events, const Shape& sensor) {
  check_sensor("flip_ud", sensor);
  check_places("flip_ud", events, sensor);
  return changed(events, [height = sensor[1]](Event& event) {
    event.y = static_cast<std::uint16_t>(height - 1 - event.y);
  });
}

std::vector<Event> flip_polarity(std::span<const Event> events) {
  return changed(events, [](Event& event) { event.channel = event.channel == 0 ? 1 : 0; });
}

std::vector<Event> merge_polarities(std::span<const Event> events) {
  return changed(events, [](Event& event) { event.channel = 0; });
}

std::vector<Event> time_reversal(std::span<const Event> events, bool flip_polarities) {
  std::vector<Event> out =
      flip_polarities ? flip_polarity(events) : std::vector<Event>(events.begin(), events.end());
  if (out.empty()) return out;
  const std::uint64_t last = std::ranges::max(out, {}, &Event::t).t;
  for (Event& event : out) event.t = last - event.t;
  std::ranges::reverse(out);
  return out;
}

std::vector<Event> time_alignment(std::span<const Event> events) {
  if (events.empty()) return {};
  const std::uint64_t first = std::ranges::min(events, {}, &Event::t).t;
  return changed(events, [&](Event& event) { event.t -= first; });
}

std::vector<Event> time_skew(std::span<const Event> events, double coefficient, double offset) {
  check_range("time_skew", "coefficient", coefficient, at_least(0));
  check_range("time_skew", "offset", offset, any());
  return changed(events,
                 [&](Event& event) { event.t = scaled_time("time_skew", event.t, coefficient, offset); });
}

std::vector<Event> downsample(std::span<const Event> events, const DownsampleOptions& options) {
  constexpr std::string_view kOperation = "downsample";
  check_range(kOperation, "time_factor", options.time_factor, at_least(0));
  check_range(kOperation, "spatial_factor_x", options.spatial_factor_x, at_least(0));
  check_range(kOperation, "spatial_factor_y", options.spatial_factor_y, at_least(0));
  return changed(events, [&](Event& event) {
    event.t = scaled_time(kOperation, event.t, options.time_factor, 0);
    event.x = whole_place(kOperation, event.x * options.spatial_factor_x);
    event.y = whole_place(kOperation, event.y * options.spatial_factor_y);
  });
}

std::vector<Event> downsample(std::span<const Event> events, const Shape& sensor, std::size_t height,
                              std::size_t width) {
  check_sensor("downsample", sensor);
  check_places("downsample", events, sensor);
  check_size("downsample", "height", height);
  check_size("downsample", "width", width);
  const auto factor = [](std::size_t to, std::size_t from) {
    return static_cast<double>(to) / static_cast<double>(from);
  };
  return downsample(
      events, {.spatial_factor_x = factor(width, sensor[2]), .spatial_factor_y = factor(height, sensor[1])});
}

}  // namespace volley::event_transforms

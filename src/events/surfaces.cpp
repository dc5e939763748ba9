#include "events/surfaces.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include <volley/error.hpp>
#include <volley/event_frames.hpp>
#include <volley/fields.hpp>

#include "events/event_checks.hpp"

namespace volley {

Tensor time_surfaces(std::span<const Event> events, const Shape& sensor, const TimeSurfaceOptions& options) {
  constexpr std::string_view kOperation = "time_surfaces";
  check_range(kOperation, "dt", options.dt, above(0));
  check_range(kOperation, "tau", options.tau, above(0));
  check_range(kOperation, "overlap", options.overlap, from_below(0, options.dt));
  check_sensor(kOperation, sensor);
  check_inside(kOperation, events, sensor);
  const std::vector<EventSlice> slices =
      event_slices(events, {.rule = EventFrameRule::time_window,
                            .time_window = options.dt,
                            .overlap = options.overlap,
                            .include_incomplete = options.include_incomplete});
  const EventPlace place(sensor);
  const double start = events.empty() ? 0 : static_cast<double>(events.front().t);
  Tensor surfaces(sensor.after({slices.size()}));
  std::vector<double> last(sensor.size(), -std::numeric_limits<double>::infinity());
  float* next = surfaces.data();
  for (std::size_t k = 0; k < slices.size(); ++k) {
    for (std::size_t i = slices[k].begin; i < slices[k].end; ++i)
      last[place(events[i])] = static_cast<double>(events[i].t);
    const double end = static_cast<double>(k + 1) * options.dt + start;
    for (const double t : last) *next++ = static_cast<float>(std::exp(-(end - t) / options.tau));
  }
  return surfaces;
}

std::vector<double> compute_voxel_grid(std::span<const Event> events, const Shape& sensor,
                                       std::size_t n_time_bins) {
  constexpr std::string_view kOperation = "voxel_grid";
  check_range(kOperation, "n_time_bins", static_cast<double>(n_time_bins), between(1, 1 << 24));
  check_sensor(kOperation, sensor);
  if (sensor[0] != 2) throw ShapeError(kOperation, "sensor must have two channels", sensor);
  check_inside(kOperation, events, sensor);
  check_times(kOperation, events);
  const std::size_t width = sensor[2], positions = sensor[1] * width;
  std::vector<double> grid(Shape{n_time_bins, positions}.size());
  const auto first = static_cast<double>(events.empty() ? 0 : events.front().t);
  const double whole = events.empty() ? 0 : static_cast<double>(events.back().t) - first;
  const auto bins = static_cast<double>(n_time_bins);
  // Two passes: the sums are in the order of Tonic's.
  for (const std::size_t right : {0u, 1u}) {
    for (const Event& event : events) {
      const double s = whole > 0 ? bins * (static_cast<double>(event.t) - first) / whole : 0;
      const auto bin = static_cast<std::size_t>(s);
      if (bin + right >= n_time_bins) continue;
      const double part = s - static_cast<double>(bin), sign = event.channel == 1 ? 1 : -1;
      grid[(bin + right) * positions + event.y * width + event.x] += sign * (right == 1 ? part : 1.0 - part);
    }
  }
  return grid;
}

Tensor voxel_grid(std::span<const Event> events, const Shape& sensor, std::size_t n_time_bins) {
  const std::vector<double> values = compute_voxel_grid(events, sensor, n_time_bins);
  Tensor grid(Shape{n_time_bins, 1, sensor[1], sensor[2]});
  std::ranges::transform(values, grid.data(), [](double value) { return static_cast<float>(value); });
  return grid;
}

}  // namespace volley

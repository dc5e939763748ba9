#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include <volley/error.hpp>
#include <volley/event_frames.hpp>
#include <volley/fields.hpp>

#include "events/event_checks.hpp"

namespace volley {
namespace {

constexpr std::string_view kOperation = "averaged_time_surfaces";

void check_options(const AveragedTimeSurfaceOptions& options) {
  check_range(kOperation, "cell_size", static_cast<double>(options.cell_size), between(1, 65536));
  check_range(kOperation, "surface_size", static_cast<double>(options.surface_size),
              between(1, static_cast<double>(options.cell_size)));
  if (options.surface_size % 2 == 0)
    throw ArgumentError(kOperation, "surface_size must be odd", fmt::format("{}", options.surface_size));
  check_range(kOperation, "time_window", options.time_window, at_least(0));
  check_range(kOperation, "tau", options.tau, above(0));
  if (static_cast<std::size_t>(options.decay) >= choices(options.decay).size())
    throw ArgumentError(kOperation, "decay must be one of its choices");
}

/// The events of a cell and channel, by time, and the sum of their surfaces.
class Cell {
 public:
  explicit Cell(const AveragedTimeSurfaceOptions& options) : options_(options) {}

  void clear() {
    events_.clear();
    sum_.assign(options_.surface_size * options_.surface_size, 0);
  }
  void add(const Event& event) {
    const auto radius = static_cast<std::ptrdiff_t>(options_.surface_size / 2);
    const auto size = static_cast<std::ptrdiff_t>(options_.surface_size);
    for (std::size_t i = events_.size(); i-- > 0;) {
      const Event& before = events_[i];
      const auto since = static_cast<double>(event.t - before.t);
      if (since > options_.time_window) break;
      const std::ptrdiff_t x = before.x - event.x + radius, y = before.y - event.y + radius;
      if (x < 0 || x >= size || y < 0 || y >= size) continue;
      sum_[static_cast<std::size_t>(y * size + x)] += decay(since);
    }
    sum_[static_cast<std::size_t>(radius * size + radius)] += 1;
    events_.push_back(event);
  }
  void write_mean(float* out) const {
    const auto count = static_cast<double>(std::max<std::size_t>(events_.size(), 1));
    for (const double sum : sum_) *out++ = static_cast<float>(sum / count);
  }

 private:
  double decay(double since) const {
    return options_.decay == EventDecay::exp ? std::exp(-since / options_.tau)
                                             : 1 - since / (3 * options_.tau);
  }

  const AveragedTimeSurfaceOptions& options_;
  std::vector<Event> events_;
  std::vector<double> sum_;
};

}  // namespace

Tensor averaged_time_surfaces(std::span<const Event> events, const Shape& sensor,
                              const AveragedTimeSurfaceOptions& options) {
  check_options(options);
  check_sensor(kOperation, sensor);
  check_inside(kOperation, events, sensor);
  check_times(kOperation, events);
  const std::size_t cell = options.cell_size, size = options.surface_size, channels = sensor[0];
  const std::size_t columns = (sensor[2] + cell - 1) / cell, rows = (sensor[1] + cell - 1) / cell;
  Tensor surfaces(Shape{rows * columns, channels, size, size});
  // The events of one cell and channel after another, each by time.
  const auto group_of = [&](const Event& event) {
    const std::size_t channel = channels == 1 ? 0 : event.channel;
    return (event.y / cell * columns + event.x / cell) * channels + channel;
  };
  std::vector<std::size_t> order(events.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return group_of(events[i]); });
  Cell one(options);
  for (std::size_t i = 0; i < order.size();) {
    const std::size_t group = group_of(events[order[i]]);
    one.clear();
    for (; i < order.size() && group_of(events[order[i]]) == group; ++i) one.add(events[order[i]]);
    one.write_mean(surfaces.data() + group * size * size);
  }
  return surfaces;
}

}  // namespace volley

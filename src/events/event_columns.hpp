#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include <volley/event_file.hpp>

namespace volley {

/// What the columns of csv and npz are, by their names.
enum class EventColumn { t, x, y, p, channel };

std::optional<EventColumn> event_column_named(std::string_view name);

/// `value` units of `unit` microseconds; none where it is below 0 or beyond 2^63.
inline std::optional<std::uint64_t> event_time(double value, double unit) {
  const double t = std::round(value * unit);
  if (!(t >= 0 && t < 9.2e18)) return std::nullopt;
  return static_cast<std::uint64_t>(t);
}

}  // namespace volley

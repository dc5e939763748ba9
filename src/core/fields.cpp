#include <volley/fields.hpp>

#include <fmt/format.h>

namespace volley {

std::string Range::text() const {
  const bool has_low = std::isfinite(low);
  const bool has_high = std::isfinite(high);
  std::string lower = fmt::format("{} {}", low_open ? ">" : ">=", low);
  std::string upper = fmt::format("{} {}", high_open ? "<" : "<=", high);
  if (has_low && has_high) return lower + " and " + upper;
  if (has_low) return lower;
  if (has_high) return upper;
  return "a finite number";
}

void check_range(std::string_view kind, std::string_view name, double value, const Range& range) {
  if (range.contains(value)) return;
  // 0.1f is written 0.1, but a float cannot tell 4294967294 from its neighbours.
  const bool whole = std::trunc(value) == value && std::abs(value) < 9007199254740992.0;
  const std::string got = whole ? fmt::format("{}", value) : fmt::format("{}", static_cast<float>(value));
  throw ArgumentError(kind, fmt::format("{} must be {}", name, range.text()), got);
}

}  // namespace volley

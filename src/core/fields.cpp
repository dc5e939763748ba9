#include <volley/fields.hpp>

#include <fmt/format.h>

namespace volley {

std::string Range::text() const {
  const bool has_low = std::isfinite(low);
  const bool has_high = std::isfinite(high);
  const std::string lower = fmt::format("{} {}", low_open ? ">" : ">=", low);
  const std::string upper = fmt::format("{} {}", high_open ? "<" : "<=", high);
  if (has_low && has_high) return lower + " and " + upper;
  if (has_low) return lower;
  if (has_high) return upper;
  return "a finite number";
}

void check_range(std::string_view kind, std::string_view name, double value, const Range& range) {
  if (!range.contains(value)) {
    throw Error(
        fmt::format("[{}] {} must be {}, got {}", kind, name, range.text(), static_cast<float>(value)));
  }
}

}  // namespace volley

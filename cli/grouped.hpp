#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace volley {

/// "1,234,567"
inline std::string grouped(double count) {
  std::string digits = fmt::format("{:.0f}", std::isfinite(count) ? count : 0.0);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

}  // namespace volley

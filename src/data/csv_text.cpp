#include "data/csv_text.hpp"

#include <charconv>
#include <cmath>
#include <system_error>

namespace volley {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string quoted_text(std::string_view text) {
  constexpr std::size_t kLength = 40;
  std::string shown = "'";
  for (const char c : text.substr(0, kLength)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown + (text.size() > kLength ? "...'" : "'");
}

bool parse_number(std::string_view text, double& value) {
  text = trimmed(text);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
}

}  // namespace volley

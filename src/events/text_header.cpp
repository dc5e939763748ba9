#include "events/text_header.hpp"

#include <charconv>

#include <volley/text.hpp>

#include "data/csv_text.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 22;  // with the preferences of jAER about 200 KB

bool is_text(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  while (!line.empty()) {
    const std::size_t size = utf8_size(line);
    const auto first = static_cast<unsigned char>(line[0]);
    if (size == 0 || (first < ' ' && first != '\t') || first == 0x7f) return false;
    line.remove_prefix(size);
  }
  return true;
}

}  // namespace

TextHeader read_text_header(std::string_view bytes, std::string_view mark, std::string_view last) {
  TextHeader header;
  bytes = bytes.substr(0, kMostBytes);
  while (bytes.substr(header.bytes).starts_with(mark)) {
    const std::size_t end = bytes.find('\n', header.bytes);
    if (end == std::string_view::npos) break;
    const std::string_view line = bytes.substr(header.bytes, end - header.bytes);
    if (!is_text(line)) break;
    header.bytes = end + 1;
    header.lines.push_back(trimmed(line.substr(mark.size())));
    if (header.lines.back() == last) break;
  }
  return header;
}

std::string_view header_value(const TextHeader& header, std::string_view key) {
  for (const std::string_view line : header.lines) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ')
      return trimmed(line.substr(key.size()));
  }
  return {};
}

bool take_size(std::string_view& text, std::size_t& size) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  size = value;
  return true;
}

bool parse_size(std::string_view text, std::size_t& width, std::size_t& height) {
  std::size_t w = 0, h = 0;
  if (!take_size(text, w) || !text.starts_with('x')) return false;
  text.remove_prefix(1);
  if (!take_size(text, h) || !text.empty()) return false;
  width = w;
  height = h;
  return true;
}

}  // namespace volley

#include "core/text.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace volley {

std::size_t utf8_size(std::string_view text) {
  struct Form {
    std::uint8_t first, last;              // of the first byte
    std::uint8_t second_low, second_high;  // of the second
    std::size_t size;
  };
  constexpr std::array<Form, 9> kForms{{{0x00, 0x7f, 0, 0, 1},
                                        {0xc2, 0xdf, 0x80, 0xbf, 2},
                                        {0xe0, 0xe0, 0xa0, 0xbf, 3},
                                        {0xe1, 0xec, 0x80, 0xbf, 3},
                                        {0xed, 0xed, 0x80, 0x9f, 3},
                                        {0xee, 0xef, 0x80, 0xbf, 3},
                                        {0xf0, 0xf0, 0x90, 0xbf, 4},
                                        {0xf1, 0xf3, 0x80, 0xbf, 4},
                                        {0xf4, 0xf4, 0x80, 0x8f, 4}}};
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (const Form& form : kForms) {
    if (byte(0) < form.first || byte(0) > form.last) continue;
    if (text.size() < form.size) return 0;
    if (form.size > 1 && (byte(1) < form.second_low || byte(1) > form.second_high)) return 0;
    for (std::size_t i = 2; i < form.size; ++i) {
      if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
    }
    return form.size;
  }
  return 0;
}

namespace {

bool is_control(char c) {
  return (static_cast<std::uint8_t>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

std::string escaped(std::string_view text, bool lines) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = utf8_size(text);
    const std::size_t taken = size == 0 ? 1 : size;
    const bool c1 = size == 2 && text[0] == '\xc2' && static_cast<std::uint8_t>(text[1]) < 0xa0;
    if (size == 0 || is_control(text[0]) || text[0] == '\t' || (lines && text[0] == '\n')) {
      result += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[0]));
    } else if (c1) {  // a control character of two bytes: a terminal obeys it, too
      result += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[1]));
    } else {
      result += text.substr(0, taken);
    }
    text.remove_prefix(taken);
  }
  return result;
}

}  // namespace

std::string readable(std::string_view text) { return escaped(text, false); }
std::string readable_line(std::string_view text) { return escaped(text, true); }

}  // namespace volley

#include "report/html.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace volley::report {
namespace {

/// How many bytes at the front of `text` are one character of UTF-8 (Unicode 15, table 3-7); 0 where they are
/// none.
std::size_t character_size(std::string_view text) {
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

bool is_control(char c) {
  return (static_cast<std::uint8_t>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0 || is_control(text[0])) {
      result += "\xef\xbf\xbd";
    } else if (text[0] == '&') {
      result += "&amp;";
    } else if (text[0] == '<') {
      result += "&lt;";
    } else if (text[0] == '>') {
      result += "&gt;";
    } else if (text[0] == '"') {
      result += "&quot;";
    } else if (text[0] == '\'') {
      result += "&#39;";
    } else {
      result += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return result;
}

Html& Html::open(std::string_view name, Attributes attributes) {
  tag(name, attributes, ">");
  open_.emplace_back(name);
  return *this;
}

Html& Html::close() {
  text_ += "</" + open_.back() + ">\n";
  open_.pop_back();
  return *this;
}

Html& Html::text(std::string_view text) {
  text_ += escaped(text);
  return *this;
}

Html& Html::leaf(std::string_view name, std::string_view text, Attributes attributes) {
  return open(name, attributes).text(text).close();
}

Html& Html::lone(std::string_view name, Attributes attributes) {
  tag(name, attributes, "/>\n");
  return *this;
}

Html& Html::verbatim(std::string_view text) {
  text_ += text;
  return *this;
}

void Html::tag(std::string_view name, Attributes attributes, std::string_view end) {
  text_ += '<';
  text_ += name;
  for (const auto& [key, value] : attributes) {
    text_ += ' ';
    text_ += key;
    text_ += "=\"" + escaped(value) + '"';
  }
  text_ += end;
}

}  // namespace volley::report

#include "report/html.hpp"

#include <cstddef>

#include <volley/text.hpp>

namespace volley::report {
namespace {

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = utf8_size(text);
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

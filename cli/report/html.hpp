#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace volley::report {

/// `text` as it may stand in an element or between the quotes of an attribute, from any source. Bytes that
/// are no UTF-8, and control characters, become U+FFFD.
std::string escaped(std::string_view text);

/// A page as it grows. What goes in is escaped, but for verbatim; what was opened is closed in its turn.
class Html {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  /// <tag name="value">, until close.
  Html& open(std::string_view tag, Attributes attributes = {});
  Html& close();
  Html& text(std::string_view text);
  /// An element with nothing but text in it.
  Html& leaf(std::string_view tag, std::string_view text, Attributes attributes = {});
  /// An element that has no end: <meta>, <img>; in SVG, <path/>.
  Html& lone(std::string_view tag, Attributes attributes);
  /// What this program brings along itself: its style and its script.
  Html& verbatim(std::string_view text);

  const std::string& str() const { return text_; }

 private:
  void tag(std::string_view name, Attributes attributes, std::string_view end);

  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace volley::report

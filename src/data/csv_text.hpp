#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <volley/text.hpp>  // parse_number

namespace volley {

/// `text` without the spaces, tabs and carriage returns around it.
std::string_view trimmed(std::string_view text);

/// What was found, fit for a message: short, and without bytes that a terminal would obey.
std::string quoted_text(std::string_view text);

/// Calls visit(line) for each line of a file of text, without its line break and a byte order mark.
template <class Visit>
void for_each_line(std::string_view text, const Visit& visit) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace volley

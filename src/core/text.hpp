#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace volley {

/// "1,234,567"
std::string grouped(double count);

/// The number of bytes at the front of `text`, not empty, that are one character of UTF-8 (Unicode 15, table
/// 3-7); 0 where they are none.
std::size_t utf8_size(std::string_view text);
/// Whether c is a control character other than a line break and a tab.
bool is_control(char c);
/// `text` where control characters other than a line break, and bytes that are no UTF-8, are "\x1b": for
/// messages with text of a file.
std::string readable(std::string_view text);
/// The same in one line: a line break is "\x0a".
std::string readable_line(std::string_view text);

}  // namespace volley

#pragma once

#include <string>
#include <string_view>

#include <volley/text.hpp>

namespace volley {

/// `text` where control characters other than a line break, and bytes that are no UTF-8, are "\x1b": for
/// messages with text of a file.
std::string readable(std::string_view text);

}  // namespace volley

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace volley {

// Text for messages, as the errors of the library have it. Nothing here throws an Error; all of it may be
// called from several threads at once.

/// The candidate with the fewest insertions, deletions, replacements and swaps of neighbours away from
/// `word`, or empty when none is close enough to have been meant.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "'lif', 'linear'"
std::string quoted_list(std::span<const std::string> words);

/// How an error about an unknown word goes on: "; did you mean 'tau'?", or where nothing is near
/// "; expected one of 'lif', 'linear'".
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

/// `text` in one line, where control characters, line breaks included, and bytes that are no UTF-8 are
/// "\x1b": for messages with text of a file.
std::string readable_line(std::string_view text);

/// The number of bytes at the front of `text`, not empty, that are one character of UTF-8 (Unicode 15, table
/// 3-7); 0 where they are none.
std::size_t utf8_size(std::string_view text);

/// Reads a finite number that is all of `text`, but for spaces around it. Returns false, and leaves `value`
/// unspecified, when it is not one.
bool parse_number(std::string_view text, double& value);

}  // namespace volley

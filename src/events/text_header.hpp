#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace volley {

/// Lines of text in front of binary records.
struct TextHeader {
  std::vector<std::string_view> lines;  // without `mark` and the line break
  std::size_t bytes = 0;
};

/// The first lines of a file that begin with `mark` and are text to their line break, up to one that is
/// `last`, which belongs to them. Records that begin with the bytes of `mark` by chance are no text.
TextHeader read_text_header(std::string_view bytes, std::string_view mark, std::string_view last);

/// What follows `key` and a space in the line that begins with it; empty where there is none.
std::string_view header_value(const TextHeader& header, std::string_view key);

/// Reads a number below 2^16 of one or more digits that `text` begins with, and takes it off; false for
/// another begin.
bool take_size(std::string_view& text, std::size_t& size);

/// The whole of it, "640x480".
bool parse_size(std::string_view text, std::size_t& width, std::size_t& height);

}  // namespace volley

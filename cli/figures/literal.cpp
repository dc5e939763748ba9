#include <algorithm>
#include <cstdint>

#include "figures/gnuplot.hpp"

namespace volley::gnuplot {
namespace {

/// How many bytes of `text` from `i` on are one character of UTF-8 that can be drawn; 0 where none.
std::size_t character_at(const std::string& text, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
  const std::size_t size = byte(0) < 0x80   ? 1
                           : byte(0) < 0xc2 ? 0
                           : byte(0) < 0xe0 ? 2
                           : byte(0) < 0xf0 ? 3
                           : byte(0) < 0xf5 ? 4
                                            : 0;
  if (size == 0 || i + size > text.size()) return 0;
  std::uint32_t code = size == 1 ? byte(0) : byte(0) & (0xffu >> (size + 1));
  for (std::size_t k = 1; k < size; ++k) {
    if ((byte(k) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(k) & 0x3fu);
  }
  const std::uint32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0;
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool stray = (code >= 0xd800 && code < 0xe000) || (code & 0xfffe) == 0xfffe || code > 0x10ffff;
  return code < least || control || stray ? 0 : size;
}

}  // namespace

std::string literal(const std::string& text) {
  std::string safe = "'";
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = character_at(text, i);
    safe += size == 0 ? "?" : text[i] == '\'' ? "\xe2\x80\x99" : text.substr(i, size);
    i += std::max<std::size_t>(size, 1);
  }
  return safe + "'";
}

}  // namespace volley::gnuplot

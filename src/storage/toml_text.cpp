#include "storage/toml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "core/text.hpp"

namespace volley {
namespace {

constexpr std::size_t kMaxKeyParts = 16;
constexpr std::string_view kKeyBegins = "\"'-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

class Scan {
 public:
  Scan(std::string_view text, const TomlOrigin& origin) : text_(text), origin_(origin) {}

  void run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // a byte order mark
    while (at_ < text_.size()) step();
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      check_before_string();
      const std::size_t begin = at_;
      skip_string(c);
      if (begin > 0 && text_[begin - 1] == '.') check_part(begin);
      first_ = false;
      return;
    }
    if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return;
    }
    if (c == '[' && first_ && depth_ == 0) check_header();
    check_ascii("outside of strings and comments");
    count(c);
    first_ = c == '\n' || (first_ && (c == ' ' || c == '\t'));
    ++at_;
  }

  /// Of a key with many parts, a.a.a.a, the parser makes as many tables inside each other, and takes them
  /// apart by recursion, for which the stack does not suffice.
  void count(char c) {
    if (c == '[') ++depth_;
    if (c == ']' && depth_ > 0) --depth_;
    if (c == '.') ++dots_;
    if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots_ = 0;
    if (dots_ >= kMaxKeyParts)
      fail(fmt::format("expected a key of at most {} parts, found more", kMaxKeyParts));
  }

  /// It believes the name of a table to begin as a key does.
  void check_header() const {
    const std::size_t name = text_.find_first_not_of(" \t", at_ + (text_.substr(at_, 2) == "[[" ? 2 : 1));
    if (name == std::string_view::npos || text_[name] == ']') return;
    if (kKeyBegins.find(text_[name]) == std::string_view::npos) fail("not TOML: expected a key after '['");
  }

  /// Where it looks for blanks, its table of those that are not ASCII has holes.
  void check_ascii(std::string_view where) const {
    if (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) >= 0x80)
      fail(fmt::format("not TOML: expected only ASCII {}", where));
  }

  /// In the middle of a number or a word a quote begins no string for it.
  void check_before_string() const {
    if (at_ > 0 && std::string_view(" \t\r\n=,[{.\xBF").find(text_[at_ - 1]) == std::string_view::npos)
      fail("expected a blank, '=', ',', '[' or '{' before a string");
  }

  /// What stands between quotes after a dot: a part of a key, or the rest of what it takes for a number.
  void check_part(std::size_t begin) const {
    const std::string_view part = text_.substr(begin, at_ - begin);
    if (std::ranges::any_of(part, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      fail("expected only ASCII in quotes after a dot");
  }

  void skip_string(char quote) {
    const bool many_lines = text_.substr(at_, 3) == std::string(3, quote);
    const std::string end = std::string(many_lines ? 3 : 1, quote);
    at_ += end.size();
    while (at_ < text_.size() && text_.substr(at_, end.size()) != end && (many_lines || text_[at_] != '\n')) {
      const bool escape = quote == '"' && text_[at_] == '\\';
      ++at_;
      if (escape) skip_escaped(many_lines);
    }
    at_ = std::min(at_ + end.size(), text_.size());
    for (int more = 0; many_lines && more < 2 && at_ < text_.size() && text_[at_] == quote; ++more) ++at_;
  }

  void skip_escaped(bool many_lines) {
    const std::size_t next = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    if (!many_lines || next == at_) {
      ++at_;
      return;
    }
    at_ = next;
    check_ascii("at the beginning of a line that '\\' joins to the one before");
  }

  [[noreturn]] void fail(const std::string& why) const {
    const auto line = 1 + std::ranges::count(text_.substr(0, at_), '\n');
    throw RecipeError(
        readable_line(fmt::format("{}: {}", origin_.at(static_cast<std::uint32_t>(line)), why)));
  }

  std::string_view text_;
  const TomlOrigin& origin_;
  std::size_t at_ = 0;
  std::size_t dots_ = 0;   // outside of strings and comments, since a key may have begun
  std::size_t depth_ = 0;  // of brackets
  bool first_ = true;      // on its line, but for blanks
};

}  // namespace

void check_toml_text(std::string_view text, const TomlOrigin& origin) { Scan(text, origin).run(); }

}  // namespace volley

#include <volley/current_csv.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <string>
#include <utility>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "data/csv_text.hpp"

namespace volley {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 28;

class Parser {
 public:
  explicit Parser(const std::filesystem::path& path) : path_(path) {}

  void line(std::string_view text) {
    ++line_;
    if (trimmed(text).empty()) return;
    const std::size_t comma = text.find(',');
    const std::size_t columns = comma == std::string_view::npos ? 1 : 2;
    if (columns == 2 && text.find(',', comma + 1) != std::string_view::npos) {
      fail("expected one column, or two columns t,x, got " + quoted_text(trimmed(text)));
    }
    if (columns_ == 0) {
      columns_ = columns;
      if (is_header(text, comma)) return;
    } else if (columns != columns_) {
      fail(fmt::format("expected {} as in the lines above, got {}",
                       columns_ == 1 ? "one column" : "two columns", quoted_text(trimmed(text))));
    }
    if (columns == 1) {
      result_.x.push_back(number(text));
    } else {
      add_time(number(text.substr(0, comma)));
      result_.x.push_back(number(text.substr(comma + 1)));
    }
  }

  CurrentCsv finish() {
    if (result_.x.empty()) {
      throw FileError(path_.string(), "must hold at least one number, got none");
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FileError(path_.string(), line_, what); }

  /// The first line is a header when none of its cells begins like a number.
  static bool is_header(std::string_view text, std::size_t comma) {
    const auto is_name = [](std::string_view cell) {
      cell = trimmed(cell);
      const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '"'; };
      double ignored = 0;
      const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), ignored);
      return !cell.empty() && letter(cell.front()) &&
             (error != std::errc{} || end != cell.data() + cell.size());
    };
    if (comma == std::string_view::npos) return is_name(text);
    return is_name(text.substr(0, comma)) && is_name(text.substr(comma + 1));
  }

  double number(std::string_view text) const {
    double value = 0;
    if (!parse_number(text, value)) fail("expected a finite number, got " + quoted_text(trimmed(text)));
    return value;
  }

  void add_time(double t) {
    if (!(t >= 0)) fail(fmt::format("t must be >= 0, got {}", t));
    if (!result_.t.empty() && !(t > result_.t.back())) {
      fail(fmt::format("t must rise from line to line, got {} after {}", t, result_.t.back()));
    }
    result_.t.push_back(t);
  }

  const std::filesystem::path& path_;
  std::size_t line_ = 0;
  std::size_t columns_ = 0;  // 0 until the first line that is not blank
  CurrentCsv result_;
};

}  // namespace

CurrentCsv read_current_csv(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, kMaxBytes);
  Parser parser(path);
  for_each_line(bytes, [&](std::string_view line) { parser.line(line); });
  return parser.finish();
}

}  // namespace volley

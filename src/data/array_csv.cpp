#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "data/array_file.hpp"
#include "data/csv_text.hpp"

namespace volley {
namespace {

/// The numbers of a column: whole ones as long as all are.
class Column {
 public:
  explicit Column(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  /// False for what is no finite number.
  bool add(std::string_view cell) {
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), whole);
    const bool is_whole = error == std::errc() && end == cell.data() + cell.size();
    if (is_whole && reals_.empty()) {
      whole_.push_back(whole);
      return true;
    }
    double real = 0;
    if (!parse_number(cell, real)) return false;
    if (reals_.empty()) {
      reals_.assign(whole_.begin(), whole_.end());
      whole_ = {};
    }
    reals_.push_back(real);
    return true;
  }

  Array array() const {
    return reals_.empty() ? array_from(whole_, ElementType::i64) : array_from(reals_, ElementType::f64);
  }

 private:
  template <class T>
  static Array array_from(const std::vector<T>& numbers, ElementType type) {
    Buffer<std::byte> bytes(numbers.size() * sizeof(T));
    std::memcpy(bytes.data(), numbers.data(), bytes.size());
    return array_of(std::move(bytes), Shape{numbers.size()}, type);
  }

  std::string name_;
  std::vector<std::int64_t> whole_;
  std::vector<double> reals_;
};

class CsvReader {
 public:
  explicit CsvReader(std::string path) : path_(std::move(path)) {}

  void line(std::string_view text) {
    ++line_;
    if (trimmed(text).empty()) return;
    std::vector<std::string_view> cells = cells_of(text);
    if (width_ == 0) {
      width_ = cells.size();
      if (is_header(cells)) return read_names(cells);
    }
    if (cells.size() != width_) {
      fail(fmt::format("expected {} cells as in the first line, found {}", width_, cells.size()));
    }
    for (std::size_t i = 0; i < width_; ++i) {
      const std::string_view cell = trimmed(cells[i]);
      double number = 0;
      const bool is_number = columns_.empty() ? parse_number(cell, number) : columns_[i].add(cell);
      if (!is_number) {
        const std::string name =
            columns_.empty() ? "" : fmt::format(" ({})", quoted_text(columns_[i].name()));
        fail(fmt::format("expected a finite number in column {}{}, found {}", i + 1, name,
                         cell.empty() ? "none" : quoted_text(cell)));
      }
      if (columns_.empty()) rows_.push_back(number);
    }
    ++count_;
  }

  Arrays finish() const {
    if (count_ == 0) throw FileError(path_, "a line of numbers", "none");
    Arrays arrays;
    for (const Column& column : columns_) arrays.emplace(column.name(), column.array());
    if (columns_.empty()) {
      Buffer<std::byte> bytes(rows_.size() * sizeof(double));
      std::memcpy(bytes.data(), rows_.data(), bytes.size());
      arrays.emplace("", array_of(std::move(bytes), Shape{count_, width_}, ElementType::f64));
    }
    return arrays;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const { throw FileError(path_, line_, problem); }

  /// What is between commas that are not between quotes.
  static std::vector<std::string_view> cells_of(std::string_view text) {
    std::vector<std::string_view> cells;
    std::size_t begin = 0;
    bool in_quotes = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '"') in_quotes = !in_quotes;
      if (text[i] != ',' || in_quotes) continue;
      cells.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
    cells.push_back(text.substr(begin));
    return cells;
  }

  /// A line without a number; "nan" and "inf" are numbers that are not finite.
  static bool is_header(const std::vector<std::string_view>& cells) {
    return std::ranges::none_of(cells, [](std::string_view cell) {
      cell = trimmed(cell);
      double number = 0;
      const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
      return parse_number(cell, number) || (error == std::errc() && end == cell.data() + cell.size());
    });
  }

  void read_names(const std::vector<std::string_view>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string_view name = trimmed(cells[i]);
      if (name.size() > 1 && name.front() == '"' && name.back() == '"')
        name = name.substr(1, name.size() - 2);
      if (name.empty()) fail(fmt::format("expected a number or a name in column {}, found none", i + 1));
      const auto same = [&](const Column& column) { return column.name() == name; };
      if (std::ranges::any_of(columns_, same))
        fail(fmt::format("expected each name once, found {} twice", quoted_text(name)));
      columns_.emplace_back(std::string(name));
    }
  }

  std::string path_;
  std::size_t line_ = 0;
  std::size_t width_ = 0;        // 0 until the first line that is not blank
  std::size_t count_ = 0;        // lines of numbers
  std::vector<Column> columns_;  // where there are names
  std::vector<double> rows_;     // where there are none
};

}  // namespace

Arrays read_csv_arrays(const std::filesystem::path& path) {
  const MappedFile file(path);
  CsvReader reader(path.string());
  for_each_line(file.bytes(), [&](std::string_view line) { reader.line(line); });
  return reader.finish();
}

}  // namespace volley

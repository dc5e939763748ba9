#pragma once

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace volley {

/// Takes `text` up to `end`, or all of it, and the `end` too.
std::string_view take(std::string_view& text, char end);

/// The cells of a row of a table, from left to right. What is wrong is a FileError, "PATH: PLACE: ...".
class CsvCells {
 public:
  CsvCells(std::string_view row, std::string path, std::string place)
      : row_(row), path_(std::move(path)), place_(std::move(place)) {}

  std::string_view text() { return take(row_, ','); }
  template <class T>
  void number(std::string_view name, T& value) {
    const std::string_view cell = text();
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc() || end != cell.data() + cell.size()) refuse(name, cell);
  }
  /// There must be no more.
  void end() const;

 private:
  [[noreturn]] void refuse(std::string_view name, std::string_view cell) const;

  std::string_view row_;
  std::string path_;
  std::string place_;
};

}  // namespace volley

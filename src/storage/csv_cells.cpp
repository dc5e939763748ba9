#include "storage/csv_cells.hpp"

#include <fmt/format.h>

#include <volley/error.hpp>

namespace volley {

std::string_view take(std::string_view& text, char end) {
  const std::size_t size = text.find(end);
  const std::string_view taken = text.substr(0, size);
  text.remove_prefix(size == std::string_view::npos ? text.size() : size + 1);
  return taken;
}

void CsvCells::end() const {
  if (!row_.empty()) throw FileError(path_, place_ + ": found more columns");
}

void CsvCells::refuse(std::string_view name, std::string_view cell) const {
  throw FileError(path_,
                  fmt::format("{}: expected a number as {}, found '{}'", place_, name, cell.substr(0, 60)));
}

}  // namespace volley

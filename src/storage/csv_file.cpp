#include "storage/csv_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include <volley/error.hpp>

namespace volley {
namespace {

struct Rows {
  std::size_t count = 0;
  std::size_t bytes = 0;  // of the header and of so many rows
};

/// The header and the whole rows behind it, `most` of them at most. A row without a line end was cut short
/// while it was written.
Rows find_rows(const std::filesystem::path& path, std::string_view header, std::size_t most) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw FileError(path.string(), "must be a regular file");
  }
  std::ifstream file(path, std::ios::binary);
  std::string line(header.size() + 1, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  if (!file || line != std::string(header) + '\n') return {};
  Rows rows{.bytes = line.size()};
  std::array<char, 16384> chunk;
  std::size_t read = line.size();
  while (rows.count < most) {
    file.read(chunk.data(), chunk.size());
    const auto count = static_cast<std::size_t>(file.gcount());
    for (std::size_t i = 0; i < count && rows.count < most; ++i) {
      if (chunk[i] == '\n') rows = {rows.count + 1, read + i + 1};
    }
    if (count < chunk.size()) break;
    read += count;
  }
  return rows;
}

}  // namespace

CsvFile::CsvFile(const std::filesystem::path& path, std::string_view header, std::size_t rows) : path_(path) {
  const Rows kept = find_rows(path, header, rows);
  file_.reset(std::fopen(path.c_str(), "abe"));
  if (file_ == nullptr) fail(errno);
  if (::ftruncate(::fileno(file_.get()), static_cast<off_t>(kept.bytes)) != 0) fail(errno);
  if (kept.bytes == 0) row(header);
  flush();
}

std::size_t CsvFile::count_rows(const std::filesystem::path& path, std::string_view header,
                                std::size_t most) {
  return find_rows(path, header, most).count;
}

void CsvFile::row(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() ||
      std::fputc('\n', file_.get()) == EOF) {
    fail(errno);
  }
}

void CsvFile::flush() {
  errno = 0;
  if (std::fflush(file_.get()) != 0) fail(errno);
  // Rows of a file that has no name any more are lost, and the system would not say so.
  struct stat state {};
  if (::fstat(::fileno(file_.get()), &state) == 0 && state.st_nlink == 0) fail(ENOENT);
}

void CsvFile::sync() {
  flush();
  while (::fsync(::fileno(file_.get())) != 0) {
    if (errno != EINTR) fail(errno);
  }
}

void CsvFile::fail(int code) const {
  throw FileError(path_.string(), "cannot write: " + std::generic_category().message(code));
}

}  // namespace volley

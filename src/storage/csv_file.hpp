#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace volley {

/// A table that grows row by row. Throws a FileError when a row cannot be written.
class CsvFile {
 public:
  /// Goes on behind the first `rows` rows of the table that is there, and cuts off the others; begins one
  /// where there is none of this header.
  CsvFile(const std::filesystem::path& path, std::string_view header, std::size_t rows = 0);

  void row(std::string_view text);
  /// Hands what was written to the system, so that it outlives this process.
  void flush();
  /// And to the disk, so that it outlives a power cut.
  void sync();

  /// How many whole rows the table at `path` has, as far as `most`; 0 where there is none of this header.
  static std::size_t count_rows(const std::filesystem::path& path, std::string_view header, std::size_t most);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail(int code) const;

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace volley

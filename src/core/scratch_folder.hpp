#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include <volley/error.hpp>

namespace volley {

/// A new folder among the system's temporary ones, gone with all that is in it whatever happens.
class ScratchFolder {
 public:
  /// Its name is volley-PURPOSE-XXXXXX. Throws a FileError when it cannot be made.
  explicit ScratchFolder(const std::string& purpose) {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string name = (parent / ("volley-" + purpose + "-XXXXXX")).string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      throw FileError(name,
                      "cannot make a temporary folder: " + (error ? error.message() : std::strerror(errno)));
    }
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace volley

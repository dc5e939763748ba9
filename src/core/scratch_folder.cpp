#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include <volley/error.hpp>
#include <volley/files.hpp>

namespace volley {

ScratchFolder::ScratchFolder(const std::string& purpose) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  std::string name = (parent / ("volley-" + purpose + "-XXXXXX")).string();
  if (error || ::mkdtemp(name.data()) == nullptr) {
    throw FileError(name,
                    "cannot make a temporary folder: " + (error ? error.message() : std::strerror(errno)));
  }
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace volley

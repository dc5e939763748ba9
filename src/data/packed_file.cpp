#include "data/packed_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <volley/error.hpp>

namespace volley {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& reason) {
  throw FileError(path.string(), "cannot read: " + reason);
}

}  // namespace

PackedFile::PackedFile(const std::filesystem::path& path) : path_(path), file_(nullptr, gzclose_r) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(path, std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(fd);
    fail(path, "must be a regular file");
  }
  file_.reset(gzdopen(fd, "rb"));
  if (file_ == nullptr) {
    ::close(fd);
    fail(path, "out of memory");
  }
  gzbuffer(file_.get(), 1 << 18);
  packed_ = gzdirect(file_.get()) == 0;
  const auto size = static_cast<std::size_t>(status.st_size);
  most_bytes_ = packed_ ? size * kDeflateRatio : size;
}

std::size_t PackedFile::read(std::span<std::uint8_t> bytes) {
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const std::size_t wanted = std::min<std::size_t>(bytes.size() - filled, 1 << 30);
    const int count = gzread(file_.get(), bytes.data() + filled, static_cast<unsigned>(wanted));
    if (count < 0) {
      int code = 0;
      const char* reason = gzerror(file_.get(), &code);
      fail(path_, code == Z_ERRNO ? std::strerror(errno) : fmt::format("damaged gzip file ({})", reason));
    }
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

bool PackedFile::at_end() {
  std::uint8_t one = 0;
  if (read({&one, 1}) != 0) return false;
  // zlib ends a file that stops inside its gzip stream quietly, and tells only here.
  int code = 0;
  gzerror(file_.get(), &code);
  if (code == Z_BUF_ERROR) fail(path_, "truncated gzip file");
  return true;
}

std::string read_unpacked(const std::filesystem::path& path, std::size_t size) {
  PackedFile file(path);
  std::string bytes(std::min(size, file.most_bytes()), '\0');
  const std::size_t count = file.read({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  if (count < size) {
    file.at_end();  // a broken gzip stream is the better reason
    throw FileError(path.string(), fmt::format("must have {} bytes unpacked, got {}", size, count));
  }
  if (!file.at_end()) {
    throw FileError(path.string(), fmt::format("must have {} bytes unpacked, got more", size));
  }
  return bytes;
}

}  // namespace volley

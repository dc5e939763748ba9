#include "core/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <volley/error.hpp>

namespace volley {
namespace {

[[noreturn]] void fail(const char* verb, const std::filesystem::path& path, int error) {
  throw FileError(path.string(), fmt::format("cannot {}: {}", verb, std::strerror(error)));
}

/// A file descriptor that is closed whatever happens.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  /// Of one that has none.
  void open(int fd) { fd_ = fd; }
  /// 0, or the errno of closing: some file systems report a failed write only then.
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0 ? 0 : errno;
  }

 private:
  int fd_;
};

/// A file that is removed again unless it was renamed to its final name.
struct TemporaryFile {
  std::filesystem::path path;
  bool kept = false;

  ~TemporaryFile() {
    if (!kept && !path.empty()) ::unlink(path.c_str());
  }
};

/// Creates a new file beside `path`; its name starts with a dot and ends in ".tmp", so that no reader takes
/// it.
int create_beside(const std::filesystem::path& path, TemporaryFile& temporary) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path folder = path.parent_path();
  for (int attempt = 0;; ++attempt) {
    const std::string name =
        fmt::format(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), counter.fetch_add(1));
    const std::filesystem::path candidate = folder / name;
    const int fd = ::open(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      temporary.path = candidate;
      return fd;
    }
    // A leftover of a killed process with our number: take the next name.
    if (errno != EEXIST || attempt == 100) fail("write", path, errno);
  }
}

void write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// fsync, begun again where a signal broke it off.
int flush_to_disk(int fd) {
  int result = 0;
  do {
    result = ::fsync(fd);
  } while (result != 0 && errno == EINTR);
  return result;
}

/// Makes a rename in `folder` survive a power cut. Some file systems cannot flush a folder and say EINVAL.
void flush_folder(const std::filesystem::path& folder, const std::filesystem::path& path) {
  const Descriptor fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return;  // a folder that may be written to but not read
  if (flush_to_disk(fd.get()) != 0 && errno != EINVAL) fail("flush the folder", path, errno);
}

/// A regular file, open for reading.
struct RegularFile {
  // O_NONBLOCK, so that a pipe given by mistake is refused below and not waited for.
  explicit RegularFile(const std::filesystem::path& path)
      : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd.get() < 0) fail("read", path, errno);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) fail("read", path, errno);
    if (S_ISDIR(status.st_mode)) fail("read", path, EISDIR);
    if (!S_ISREG(status.st_mode)) {
      throw FileError(path.string(), "cannot read: must be a regular file");
    }
    size = static_cast<std::size_t>(status.st_size);
  }

  Descriptor fd;
  std::size_t size = 0;
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const RegularFile file(path);
  if (file.size == 0) return;  // mmap refuses 0 bytes
  void* const data = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.fd.get(), 0);
  if (data == MAP_FAILED) fail("map", path, errno);
  data_ = static_cast<const char*>(data);
  size_ = file.size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

std::string read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const RegularFile file(path);
  const std::size_t size = file.size;
  if (size > max_bytes) {
    throw FileError(path.string(), fmt::format("must be at most {} bytes, got {}", max_bytes, size));
  }
  std::string bytes(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t count = ::read(file.fd.get(), bytes.data() + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path, errno);
    if (count == 0) break;  // the file has shrunk since
    filled += static_cast<std::size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

void write_file_whole(const std::filesystem::path& path, std::string_view bytes) {
  write_file_whole(path, std::span(&bytes, 1));
}

void write_file_whole(const std::filesystem::path& path, std::span<const std::string_view> pieces) {
  WholeFile file(path);
  for (const std::string_view bytes : pieces) file.write(bytes);
  file.keep();
}

struct WholeFile::Parts {
  std::filesystem::path path;  // its final one
  TemporaryFile temporary{};
  Descriptor fd{-1};
};

WholeFile::WholeFile(const std::filesystem::path& named) {
  if (!named.has_filename()) fail("write", named, EISDIR);
  // A link is written through; a device or a pipe must not be replaced by a file.
  std::error_code unknown;
  const bool exists = std::filesystem::exists(named, unknown);
  if (exists && std::filesystem::is_directory(named, unknown)) fail("write", named, EISDIR);
  if (exists && !std::filesystem::is_regular_file(named, unknown)) {
    throw FileError(named.string(), "cannot write: must be a regular file");
  }
  parts_.reset(new Parts{exists ? std::filesystem::canonical(named) : named});
  parts_->fd.open(create_beside(parts_->path, parts_->temporary));
}

WholeFile::~WholeFile() = default;

void WholeFile::write(std::string_view bytes) { write_all(parts_->fd.get(), bytes, parts_->path); }

void WholeFile::keep() {
  const std::filesystem::path& path = parts_->path;
  if (flush_to_disk(parts_->fd.get()) != 0) fail("write", path, errno);
  if (const int error = parts_->fd.close(); error != 0) fail("write", path, error);
  if (::rename(parts_->temporary.path.c_str(), path.c_str()) != 0) fail("write", path, errno);
  parts_->temporary.kept = true;
  flush_folder(path.parent_path(), path);
}

}  // namespace volley

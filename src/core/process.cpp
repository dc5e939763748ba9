#include <volley/process.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <volley/error.hpp>

extern char** environ;

namespace volley {
namespace {

using Clock = std::chrono::steady_clock;

/// Cuts what comes into lines.
class LineReader {
 public:
  explicit LineReader(const std::function<void(std::string_view)>& take) : take_(take) {}

  void add(std::string_view piece) {
    if (!take_) return;
    for (std::size_t end; (end = piece.find('\n')) != std::string_view::npos; piece.remove_prefix(end + 1)) {
      part_.append(piece.substr(0, end));
      take_(part_);
      part_.clear();
    }
    part_.append(piece.substr(0, kLongest - std::min(kLongest, part_.size())));
  }
  /// What came behind the last line end.
  void end() {
    if (take_ && !part_.empty()) take_(part_);
  }

 private:
  static constexpr std::size_t kLongest = std::size_t{1} << 20;

  const std::function<void(std::string_view)>& take_;
  std::string part_;
};

/// The reading end of a pipe whose writing end the program gets.
class OutputPipe {
 public:
  OutputPipe() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw Error(fmt::format("[process] cannot open a pipe: {}", std::strerror(errno)));
    }
    read_ = ends[0];
    write_ = ends[1];
    ::fcntl(read_, F_SETFL, O_NONBLOCK);
  }
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;
  ~OutputPipe() {
    close_end(read_);
    close_end(write_);
  }

  int write_end() const { return write_; }
  int read_end() const { return read_; }
  bool open() const { return read_ >= 0; }
  void close_write_end() { close_end(write_); }

  /// Takes what is there now and keeps the last `kept` bytes of all; closes at the end of the output.
  void drain(std::string& text, std::size_t kept, LineReader* lines = nullptr) {
    std::array<char, 16384> chunk;
    // Bounded, so that a program that never stops writing cannot keep the clock from being read.
    for (int round = 0; open() && round < 64; ++round) {
      const ssize_t count = ::read(read_, chunk.data(), chunk.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) break;
      if (count <= 0) return close_end(read_);
      const std::string_view piece(chunk.data(), static_cast<std::size_t>(count));
      if (lines != nullptr) lines->add(piece);
      text.append(piece);
      if (text.size() > kept) text.erase(0, text.size() - kept);
    }
  }

 private:
  static void close_end(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }

  int read_ = -1;
  int write_ = -1;
};

/// posix_spawn's two C objects, destroyed whatever happens.
struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan(const OutputPipe& out, const OutputPipe& err, const ProgramOptions& options) {
    const char* input = options.input.empty() ? "/dev/null" : options.input.c_str();
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out.write_end(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err.write_end(), STDERR_FILENO);
    if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGCHLD}) sigaddset(&defaults, number);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

/// While one lives, the kernel keeps the exit status of a child until it is waited for, also in a process
/// that ignores SIGCHLD.
class KeptStatuses {
 public:
  KeptStatuses() {
    const std::lock_guard lock(mutex_);
    if (count_++ > 0) return;
    ::sigaction(SIGCHLD, nullptr, &before_);
    const bool ignored = before_.sa_handler == SIG_IGN;
    changed_ = ignored || (before_.sa_flags & SA_NOCLDWAIT) != 0;
    if (!changed_) return;
    struct sigaction keeping = before_;
    if (ignored) keeping.sa_handler = SIG_DFL;
    keeping.sa_flags &= ~SA_NOCLDWAIT;
    ::sigaction(SIGCHLD, &keeping, nullptr);
  }
  ~KeptStatuses() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0 && changed_) ::sigaction(SIGCHLD, &before_, nullptr);
  }
  KeptStatuses(const KeptStatuses&) = delete;
  KeptStatuses& operator=(const KeptStatuses&) = delete;

 private:
  // SAFETY: guarded by mutex_. The action of a signal belongs to the process, and several threads may run
  // programs at once.
  static inline std::mutex mutex_;
  static inline int count_ = 0;
  static inline bool changed_ = false;
  static inline struct sigaction before_ {};
};

std::vector<std::string> environment_with(const ProgramOptions& options) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& change : options.environment) replaced = replaced || change.first == name;
    if (!replaced) entries.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    if (value.has_value()) entries.push_back(name + "=" + *value);
  }
  return entries;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Waits up to `milliseconds` for output. With both pipes closed there is nothing to be told by, so it only
/// naps.
void wait_for_output(const OutputPipe& out, const OutputPipe& err, int milliseconds) {
  std::array<pollfd, 2> watched{pollfd{out.read_end(), POLLIN, 0}, pollfd{err.read_end(), POLLIN, 0}};
  const bool any_open = out.open() || err.open();
  ::poll(watched.data(), watched.size(), any_open ? milliseconds : 5);
}

/// Reads until the program has ended, is out of time or is no longer wanted.
void follow(pid_t pid, OutputPipe& out, OutputPipe& err, const ProgramOptions& options,
            ProgramResult& result) {
  using End = ProgramResult::End;
  const Clock::time_point start = Clock::now();
  LineReader lines(options.line);
  rusage usage{};
  int status = 0;
  while (true) {
    wait_for_output(out, err, 100);
    // Before the pipes are drained: all that an ended program wrote is then there.
    const pid_t waited = ::wait4(pid, &status, WNOHANG, &usage);
    out.drain(result.out, options.kept_bytes, &lines);
    err.drain(result.err, options.kept_bytes);
    if (waited == pid) break;
    if (waited < 0) {  // other code of this process has waited for it
      lines.end();
      result.end = End::lost;
      return;
    }
    const bool late = options.time_limit.count() > 0 && Clock::now() - start > options.time_limit;
    const bool unwanted = options.cancelled && options.cancelled();
    if (late || unwanted) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      result.end = unwanted ? End::cancelled : End::timed_out;
      return;
    }
  }
  lines.end();
  result.peak_bytes = static_cast<std::size_t>(usage.ru_maxrss) * 1024;
  result.end = WIFSIGNALED(status) ? End::killed : End::exited;
  result.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::string ProgramResult::reason() const {
  switch (end) {
    case End::exited: return fmt::format("exit status {}", code);
    case End::killed: return fmt::format("killed by signal {} ({})", code, ::strsignal(code));
    case End::timed_out: return "gave no result in time";
    case End::cancelled: return "interrupted";
    case End::lost: return "its exit status was taken by other code of this process";
    case End::not_started: return code == ENOENT ? "not found" : std::string(std::strerror(code));
  }
  return {};
}

ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  if (arguments.empty()) throw ArgumentError("process", "the argument vector must name a program", "none");
  std::error_code ignored;
  if (!options.folder.empty() && !std::filesystem::is_directory(options.folder, ignored)) {
    // posix_spawn would report this as a missing program.
    throw FileError(options.folder.string(), "no such folder");
  }
  OutputPipe out;
  OutputPipe err;
  const SpawnPlan plan(out, err, options);
  std::vector<std::string> argument_texts = arguments;
  std::vector<std::string> environment_texts = environment_with(options);
  pid_t pid = 0;
  ProgramResult result;
  const KeptStatuses kept;
  result.code = ::posix_spawnp(&pid, arguments[0].c_str(), &plan.actions, &plan.attributes,
                               pointers_to(argument_texts).data(), pointers_to(environment_texts).data());
  if (result.code != 0) return result;
  out.close_write_end();
  err.close_write_end();
  follow(pid, out, err, options, result);
  return result;
}

}  // namespace volley

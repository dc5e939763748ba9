#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace volley {

/// How to run another program. It gets an argument vector, never a shell. It leads a process group of its
/// own, so that ending it ends what it started.
struct ProgramOptions {
  std::filesystem::path folder;  // where it runs; empty: here
  std::filesystem::path input;   // its standard input; empty: nothing
  /// Variables to set, or to unset where there is no value; all others are inherited.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
  std::chrono::milliseconds time_limit{0};     // 0: none
  std::size_t kept_bytes = 64 * 1024;          // of its output and of its errors the last so many are kept
  std::function<bool()> cancelled;             // asked every 100 ms; true ends the program
  std::function<void(std::string_view)> line;  // given each line of its standard output as it comes
};

struct ProgramResult {
  enum class End { exited, killed, timed_out, cancelled, not_started, lost };

  End end = End::not_started;
  int code = 0;     // exited: the exit status; killed: the signal; not_started: errno; lost: unknown
  std::string out;  // the last bytes of its standard output
  std::string err;  // the last bytes of its standard error
  /// The most memory it held at once (ru_maxrss). Linux counts in what this process held when it started it.
  std::size_t peak_bytes = 0;

  bool ok() const { return end == End::exited && code == 0; }
  /// "exit status 22", "not found", "gave no result within 60 s": the reason for a message.
  std::string reason() const;
};

/// Runs `arguments`, the first of which is looked for in PATH, and waits for its end. Throws an Error only
/// where the system has no pipe or folder to give; how the program ended is in the result. Where this process
/// ignores SIGCHLD, the kernel drops exit statuses: SIGCHLD then has its default action, which does nothing,
/// until the program has ended. A status that other code of this process waited for is `lost`.
ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options = {});

}  // namespace volley

#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace volley::test {

/// build/volley at work, to be sent signals. Its output goes into a file.
class RunningProgram {
 public:
  RunningProgram(std::vector<std::string> arguments, const std::filesystem::path& out) {
    arguments.insert(arguments.begin(), VOLLEY_BINARY_DIR "/volley");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    child_ = ::fork();
    if (child_ != 0) return;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);  // a nohup is not for it
    const int file = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(99);
  }
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;
  ~RunningProgram() {
    if (child_ > 0) kill();
  }

  void signal(int number) const { ::kill(child_, number); }
  /// Waits for `condition`, for a minute at most.
  template <class Condition>
  bool wait_until(const Condition& condition) const {
    for (int i = 0; i < 6000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  /// Whether it ends within `time`; its status is then kept.
  bool ends_within(std::chrono::microseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (child_ > 0) {
      if (::waitpid(child_, &status_, WNOHANG) == child_) child_ = 0;
      if (child_ > 0 && std::chrono::steady_clock::now() >= end) return false;
      if (child_ > 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return true;
  }
  void kill() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, &status_, 0);
    child_ = 0;
  }
  /// After its end: the exit status, or minus the signal that ended it.
  int code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_); }

 private:
  pid_t child_ = 0;
  int status_ = 0;
};

}  // namespace volley::test

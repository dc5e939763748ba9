#include <volley/process.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using namespace std::chrono_literals;
using End = ProgramResult::End;

double seconds_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Process, GivesOutputErrorsAndStatus) {
  const ProgramResult result = run_program({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.code, 3);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.reason(), "exit status 3");
  EXPECT_TRUE(run_program({"true"}).ok());
}

TEST(Process, ArgumentsReachTheProgramAsTheyAre) {
  EXPECT_EQ(run_program({"printf", "%s|", "a b", "$HOME", "'", ";exit"}).out, "a b|$HOME|'|;exit|");
}

TEST(Process, ReadsNothingFromUs) { EXPECT_EQ(run_program({"cat"}).out, ""); }

TEST(Process, RunsInTheFolderAndEnvironmentItIsGiven) {
  const test::TempFolder folder;
  ProgramOptions options;
  options.folder = folder.path();
  options.environment = {{"VOLLEY_TEST_SET", "1"}, {"HOME", std::nullopt}};
  const ProgramResult result =
      run_program({"/bin/sh", "-c", "pwd -P; echo $VOLLEY_TEST_SET ${HOME-unset}"}, options);
  EXPECT_EQ(result.out, std::filesystem::canonical(folder.path()).string() + "\n1 unset\n");
}

TEST(Process, AMissingProgramOrFolderIsReported) {
  const ProgramResult result = run_program({"volley-no-such-program"});
  EXPECT_EQ(result.end, End::not_started);
  EXPECT_EQ(result.reason(), "not found");
  ProgramOptions options;
  options.folder = "/no/such/folder";
  test::expect_has(test::error_text([&] { run_program({"true"}, options); }),
                   "/no/such/folder: no such folder");
  test::expect_has(test::error_text([&] { run_program({}); }), "must name a program");
}

TEST(Process, ASignalIsReported) {
  const ProgramResult result = run_program({"/bin/sh", "-c", "kill -9 $$"});
  EXPECT_EQ(result.end, End::killed);
  EXPECT_EQ(result.reason(), "killed by signal 9 (Killed)");
}

TEST(Process, KeepsTheLastOfALongOutput) {
  ProgramOptions options;
  options.kept_bytes = 10;
  EXPECT_EQ(run_program({"seq", "100000"}, options).out, "99\n100000\n");
}

TEST(Process, EndsWhenItsTimeIsOverEvenIfItNeverStopsWriting) {
  ProgramOptions options;
  options.time_limit = 200ms;
  ProgramResult result;
  EXPECT_LT(seconds_of([&] { result = run_program({"yes"}, options); }), 5.0);
  EXPECT_EQ(result.end, End::timed_out);
  EXPECT_EQ(result.reason(), "gave no result in time");
}

TEST(Process, CancellingEndsTheProgramAndWhatItStarted) {
  const test::TempFolder folder;
  const std::string mark = (folder / "mark").string();
  ProgramOptions options;
  int asked = 0;
  options.cancelled = [&] { return ++asked > 2; };
  ProgramResult result;
  const double seconds = seconds_of([&] {
    result = run_program({"/bin/sh", "-c", "(sleep 1; echo alive > " + mark + ") & wait"}, options);
  });
  EXPECT_EQ(result.end, End::cancelled);
  EXPECT_EQ(result.reason(), "interrupted");
  EXPECT_LT(seconds, 0.9);
  run_program({"sleep", "1.2"});
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(Process, GivesEachLineAsItComes) {
  std::vector<std::string> lines;
  std::vector<double> seconds;
  const auto start = std::chrono::steady_clock::now();
  ProgramOptions options;
  options.kept_bytes = 4;
  options.line = [&](std::string_view line) {
    lines.emplace_back(line);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  };
  const ProgramResult result = run_program(
      {"/bin/sh", "-c", "echo one; sleep 1; printf 'tw'; echo o; echo; printf end; echo e >&2"}, options);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "", "end"}));
  ASSERT_EQ(seconds.size(), 4u);
  EXPECT_GT(seconds[1] - seconds[0], 0.5);
  EXPECT_EQ(result.out, "\nend");
}

TEST(Process, TellsHowMuchMemoryTheProgramHeld) {
  const ProgramResult dd = run_program({"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"});
  EXPECT_GE(dd.peak_bytes, std::size_t{64} << 20);
  EXPECT_LT(dd.peak_bytes, std::size_t{4} << 30);
}

TEST(Process, DoesNotWaitForAGrandchildThatHoldsTheOutput) {
  EXPECT_LT(seconds_of([&] {
              EXPECT_EQ(run_program({"/bin/sh", "-c", "sleep 3 & echo done"}).out, "done\n");
            }),
            2.0);
}

/// SIGCHLD as `action` says, until the end of the scope.
class ChildSignal {
 public:
  explicit ChildSignal(const struct sigaction& action) { ::sigaction(SIGCHLD, &action, &before_); }
  ~ChildSignal() { ::sigaction(SIGCHLD, &before_, nullptr); }
  ChildSignal(const ChildSignal&) = delete;
  ChildSignal& operator=(const ChildSignal&) = delete;

 private:
  struct sigaction before_ {};
};

ProgramResult run_with_a_limit(const char* script) {
  ProgramOptions options;
  options.time_limit = 10s;
  return run_program({"/bin/sh", "-c", script}, options);
}

TEST(Process, GivesTheStatusWhereThisProcessIgnoresItsChildren) {
  struct sigaction ignored {
  }, no_wait{};
  ignored.sa_handler = SIG_IGN;
  no_wait.sa_handler = [](int) {};
  no_wait.sa_flags = SA_NOCLDWAIT | SA_RESTART;
  for (const struct sigaction& action : {ignored, no_wait}) {
    const ChildSignal signal(action);
    const ProgramResult result = run_with_a_limit("echo out; exit 3");
    EXPECT_EQ(result.end, End::exited) << result.reason();
    EXPECT_EQ(result.code, 3);
    EXPECT_EQ(result.out, "out\n");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back(
          [] { EXPECT_EQ(run_with_a_limit("sleep 0.1; exit 4").reason(), "exit status 4"); });
    }
    for (std::thread& thread : threads) thread.join();
    struct sigaction now {};
    ::sigaction(SIGCHLD, nullptr, &now);
    EXPECT_EQ(now.sa_handler, action.sa_handler) << "the host's action is there again";
    EXPECT_EQ(now.sa_flags & SA_NOCLDWAIT, action.sa_flags & SA_NOCLDWAIT);
  }
}

TEST(Process, TheProgramDoesNotIgnoreItsOwnChildren) {
  struct sigaction ignored {};
  ignored.sa_handler = SIG_IGN;
  const ChildSignal signal(ignored);
  const ProgramResult result = run_with_a_limit("grep SigIgn /proc/self/status");
  ASSERT_GT(result.out.size(), 6u);
  EXPECT_EQ(std::stoul(result.out.substr(result.out.find(':') + 1), nullptr, 16) >> (SIGCHLD - 1) & 1, 0u);
}

TEST(Process, EndsWhereOtherCodeTookTheStatus) {
  struct sigaction reaping {};
  reaping.sa_handler = [](int) {
    const int error = errno;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    errno = error;
  };
  const ChildSignal signal(reaping);
  const ProgramResult result = run_with_a_limit("echo out; sleep 0.2; exit 3");
  // The handler runs before the next look at the program, but for a race that this library can win.
  EXPECT_TRUE(result.end == End::lost || result.end == End::exited) << result.reason();
  EXPECT_EQ(result.out, "out\n");
  EXPECT_FALSE(result.ok());
}

}  // namespace
}  // namespace volley

// Random programs over the public interface: random_programs [--seed N] [--seconds N] [--programs N]
// [--threads N]
// [--first N] [--hang SECONDS] [--print]. Program i of a seed is the same program on every machine. Programs
// run in a worker process; where one ends it, or hangs, or finds a property that does not hold, the
// supervisor prints the program and starts another worker at the next one. Ends with the calls per public
// function, none of them zero, and exit status 1 where anything was found.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <string>

#include "scenes.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define VOLLEY_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VOLLEY_TEST_ASAN 1
#endif
#endif

#ifdef VOLLEY_TEST_ASAN
// Names of functions cost seconds per report; `--first I --programs 1` with ASAN_OPTIONS=symbolize=1 gives
// them.
extern "C" const char* __asan_default_options() {
  return "symbolize=0:detect_leaks=0:allocator_may_return_null=1";
}
#endif

namespace volley::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::uint64_t seed = 1;
  double seconds = 60;
  std::uint64_t programs = ~std::uint64_t{0};
  std::uint64_t first = 0;
  std::size_t threads = 3;
  double hang = 120;
  bool print = false;
};

constexpr int kFoundStatus = 77;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Programs from `first` on, until time or number are reached.
void work(const Options& options, Shared& shared, std::uint64_t first, Clock::time_point start) {
  for (std::uint64_t i = first; i - options.first < options.programs; ++i) {
    if (seconds_since(start) >= options.seconds) break;
    shared.log_size = 0;
    shared.key[0] = 0;
    shared.subject[0] = 0;
    shared.program = i;
    Program program(Random(options.seed * 0x632BE59BD9B4E019u + i).bits(), shared, options.threads);
    try {
      run_program(program, i);
    } catch (const Found&) {
      ::_exit(kFoundStatus);
    } catch (const std::exception& error) {
      try {
        program.found("an exception where none was expected", error.what());
      } catch (const Found&) {
        ::_exit(kFoundStatus);
      }
    }
    shared.finished.fetch_add(1);
    if (options.print) {
      shared.log[shared.log_size] = 0;
      std::printf("// program %llu\n%s\n", static_cast<unsigned long long>(i), shared.log);
      std::fflush(stdout);
    }
  }
  ::_exit(0);
}

/// What a worker that died said on its standard error, as one line that names the kind of the report.
std::string report_kind(const std::string& report) {
  for (const char* mark : {"ERROR: AddressSanitizer: ", "runtime error: ", "ERROR: LeakSanitizer: ",
                           "WARNING: ThreadSanitizer: ", "what():  "}) {
    const std::size_t at = report.find(mark);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + std::strlen(mark);
    std::string line = report.substr(begin, report.find_first_of("\n", begin) - begin);
    if (mark[0] == 'E') line.resize(std::min(line.size(), line.find(' ')));
    return line.substr(0, 100);
  }
  return {};
}

/// Runs workers, and counts what they find.
class Supervisor {
 public:
  Supervisor(const Options& options, Shared& shared)
      : options_(options),
        shared_(shared),
        log_path_(cat("/tmp/volley_random_programs_", ::getpid(), ".log")) {}

  int run() {
    std::uint64_t next = options_.first;
    while (next - options_.first < options_.programs && seconds_since(start_) < options_.seconds) {
      const pid_t worker = ::fork();
      if (worker < 0) {
        std::perror("fork");
        return 2;
      }
      if (worker == 0) {
        const int log = ::open(log_path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        if (log >= 0) ::dup2(log, STDERR_FILENO);
        work(options_, shared_, next, start_);
      }
      const auto [status, hung] = wait_for(worker);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      report(status, hung);
      next = shared_.program + 1;
    }
    ::unlink(log_path_.c_str());
    return summary();
  }

 private:
  /// Waits for a worker; one that stays at a program for too long is killed.
  std::pair<int, bool> wait_for(pid_t worker) {
    int status = 0;
    std::uint64_t program = ~std::uint64_t{0};
    Clock::time_point since = Clock::now();
    while (::waitpid(worker, &status, WNOHANG) == 0) {
      if (shared_.program != program) {
        program = shared_.program;
        since = Clock::now();
      } else if (seconds_since(since) > options_.hang) {
        ::kill(worker, SIGKILL);
        ::waitpid(worker, &status, 0);
        return {status, true};
      }
      ::usleep(5000);
    }
    return {status, false};
  }

  void report(int status, bool hung) {
    ++findings_;
    std::string said;
    {
      std::ifstream in(log_path_);
      said.assign(std::istreambuf_iterator<char>(in), {});
    }
    std::string key = shared_.key;
    std::string detail = shared_.detail;
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == kFoundStatus)) {
      const std::string kind = report_kind(said);
      const std::string how = hung                  ? "hangs"
                              : !kind.empty()       ? kind
                              : WIFSIGNALED(status) ? cat("signal ", WTERMSIG(status))
                                                    : "ends";
      const std::string subject = shared_.subject[0] != 0 ? cat(" of ", shared_.subject) : "";
      key = cat(function_name(shared_.last_call), subject, ": ", how);
      detail = said.substr(0, 1500);
    }
    std::uint64_t& times = keys_[key];
    if (++times > 1) return;
    shared_.log[std::min(shared_.log_size.load(), Shared::kLog - 1)] = 0;
    std::printf("\n==== found after %.1f s, in program %llu of seed %llu: %s\n%s\n%s\n",
                seconds_since(start_), static_cast<unsigned long long>(shared_.program),
                static_cast<unsigned long long>(options_.seed), key.c_str(), shared_.log, detail.c_str());
    std::fflush(stdout);
  }

  int summary() {
    std::uint64_t calls = 0, silent = 0;
    std::printf("\n%-62s %12s\n", "function", "calls");
    for (std::size_t i = 0; i < function_count(); ++i) {
      const std::uint64_t of = shared_.calls[i];
      calls += of;
      silent += of == 0 ? 1 : 0;
      std::printf("%-62s %12llu%s\n", std::string(function_name(i)).c_str(),
                  static_cast<unsigned long long>(of), of == 0 ? "  NEVER CALLED" : "");
    }
    std::printf("\n");
    for (const auto& [key, times] : keys_)
      std::printf("found %llu times: %s\n", static_cast<unsigned long long>(times), key.c_str());
    std::printf(
        "random_programs: seed %llu, %llu programs to the end and %llu findings of %zu kinds in %.1f s; %llu "
        "calls of %zu "
        "functions (%llu never called), %llu Errors, %llu checks\n",
        static_cast<unsigned long long>(options_.seed),
        static_cast<unsigned long long>(shared_.finished.load()), static_cast<unsigned long long>(findings_),
        keys_.size(), seconds_since(start_), static_cast<unsigned long long>(calls), function_count(),
        static_cast<unsigned long long>(silent), static_cast<unsigned long long>(shared_.errors.load()),
        static_cast<unsigned long long>(shared_.checks.load()));
    return findings_ > 0 || silent > 0 ? 1 : 0;
  }

  Options options_;
  Shared& shared_;
  std::string log_path_;
  Clock::time_point start_ = Clock::now();
  std::uint64_t findings_ = 0;
  std::map<std::string, std::uint64_t> keys_;
};

bool read_options(int count, char** words, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--print") {
      options.print = true;
      continue;
    }
    if (++i == count) return false;
    char* end = nullptr;
    const double value = std::strtod(words[i], &end);
    if (*end != 0 || !(value >= 0)) return false;
    if (word == "--seed")
      options.seed = static_cast<std::uint64_t>(value);
    else if (word == "--seconds")
      options.seconds = value;
    else if (word == "--programs")
      options.programs = static_cast<std::uint64_t>(value);
    else if (word == "--threads")
      options.threads = std::max<std::size_t>(2, static_cast<std::size_t>(value));
    else if (word == "--first")
      options.first = static_cast<std::uint64_t>(value);
    else if (word == "--hang")
      options.hang = value;
    else
      return false;
  }
  return true;
}

}  // namespace

void run_program(Program& p, std::uint64_t index) {
  using Scene = void (*)(Program&);
  static constexpr Scene kScenes[] = {
      pass_scene,    contents_scene, layer_scene,   encoder_scene, disorder_scene,  recipe_scene,
      loss_scene,    pass_scene,     invalid_scene, core_scene,    draws_scene,     trainer_scene,
      values_scene,  storage_scene,  layer_scene,   classes_scene, optimizer_scene, pass_scene,
      threads_scene, disorder_scene, invalid_scene, trainer_scene, classes_scene,   threads_scene};
  kScenes[index % std::size(kScenes)](p);  // in turn: a short run reaches every function
}

}  // namespace volley::test

int main(int count, char** words) {
  using namespace volley::test;
  Options options;
  if (!read_options(count, words, options)) {
    std::fprintf(
        stderr,
        "usage: random_programs [--seed N] [--seconds N] [--programs N] [--threads N] [--first N] [--hang "
        "SECONDS] [--print]\n");
    return 2;
  }
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    return 2;
  }
  return Supervisor(options, *new (memory) Shared).run();
}

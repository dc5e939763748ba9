#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "random.hpp"
#include "text.hpp"

namespace volley::test {

/// Memory that the supervisor and the worker share: what the worker does survives its crash.
struct Shared {
  static constexpr std::size_t kFunctions = 1024;
  static constexpr std::size_t kLog = 1 << 17;

  std::atomic<std::uint64_t> program{0};   // index of the one under way
  std::atomic<std::uint64_t> finished{0};  // programs that ended
  std::atomic<std::uint64_t> checks{0};
  std::atomic<std::uint64_t> errors{0};  // calls that threw an Error
  std::atomic<std::uint64_t> calls[kFunctions]{};
  std::atomic<std::uint32_t> last_call{0};
  std::atomic<std::size_t> log_size{0};
  char log[kLog];
  char subject[64];   // the kind of layer that a crash is reported with; empty for none
  char key[256];      // of a finding that the worker itself made
  char detail[4096];  // what was expected, what came
};

/// Every public function, by header: the rows of the table that ends a run.
std::size_t function_index(std::string_view function);
std::string_view function_name(std::size_t index);
std::size_t function_count();

/// Thrown where a property does not hold; not a std::exception, so that no handler of errors catches it.
struct Found {};

/// One random program: its random numbers, its text, its calls. Calls may come from several threads.
class Program {
 public:
  Program(std::uint64_t seed, Shared& shared, std::size_t threads)
      : random(seed), threads_(threads), shared_(shared) {}

  Random random;
  std::size_t threads() const { return threads_; }

  /// Adds a line to the printed program.
  void say(std::string_view line);
  /// The kind of layer that the next calls are about.
  void about(std::string_view subject);
  /// A call of a public function that cannot fail: it is counted only.
  void count(std::string_view function, std::uint64_t calls = 1);

  /// Prints and runs a call that may throw an Error. Returns whether it did not.
  template <class Body>
  bool may(std::string_view function, std::string_view text, Body&& body) {
    begin(function, text);
    try {
      body();
      return true;
    } catch (const Error& error) {
      refused(error);
    } catch (const std::exception& error) {
      found(cat(function, " throws what is not an Error"), error.what());
    }
    return false;
  }
  /// A call that must work.
  template <class Body>
  void must(std::string_view function, std::string_view text, Body&& body) {
    if (!may(function, text, body)) found(cat(function, " refuses what is valid"), last_error());
  }
  /// A call that must throw an Error.
  template <class Body>
  void must_throw(std::string_view function, std::string_view text, Body&& body) {
    if (may(function, text, body)) found(cat(function, " takes what is not valid"), text);
  }

  /// A property. `key` names it; `detail` says what was expected and what came.
  void check(bool holds, std::string_view key, std::string_view detail = {}) {
    shared_.checks.fetch_add(1, std::memory_order_relaxed);
    if (!holds) found(key, detail);
  }
  [[noreturn]] void found(std::string_view key, std::string_view detail);
  std::string last_error();

 private:
  void begin(std::string_view function, std::string_view text);
  void refused(const Error& error);

  std::size_t threads_;
  Shared& shared_;
  std::mutex mutex_;  // SAFETY: guards the log and last_error_
  std::string last_error_;
};

/// Runs the program of this index.
void run_program(Program& p, std::uint64_t index);

}  // namespace volley::test

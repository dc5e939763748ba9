#include "program.hpp"

#include <algorithm>
#include <cstring>

namespace volley::test {
namespace {

void copy_text(char* to, std::size_t room, std::string_view text) {
  const std::size_t size = std::min(room - 1, text.size());
  std::copy_n(text.data(), size, to);
  to[size] = 0;
}

}  // namespace

void Program::say(std::string_view line) {
  const std::lock_guard lock(mutex_);
  const std::size_t begin = shared_.log_size.load();
  const std::size_t size = std::min(line.size(), Shared::kLog - 1 - std::min(begin, Shared::kLog - 1));
  if (size < line.size()) return;
  std::memcpy(shared_.log + begin, line.data(), size);
  shared_.log[begin + size] = '\n';
  shared_.log_size.store(std::min(begin + size + 1, Shared::kLog - 1));
}

void Program::about(std::string_view subject) { copy_text(shared_.subject, sizeof shared_.subject, subject); }

void Program::count(std::string_view function, std::uint64_t calls) {
  const std::size_t index = function_index(function);
  shared_.calls[index].fetch_add(calls, std::memory_order_relaxed);
  shared_.last_call.store(static_cast<std::uint32_t>(index), std::memory_order_relaxed);
}

void Program::begin(std::string_view function, std::string_view text) {
  say(text);
  count(function);
}

void Program::refused(const Error& error) {
  shared_.errors.fetch_add(1, std::memory_order_relaxed);
  const std::string_view what = error.what();
  say(cat("    // Error: ", what));
  // Names in these programs are ASCII: other bytes are those of a damaged file.
  const bool readable = what.size() >= 8 && what.size() < 4000 && std::ranges::none_of(what, [](char c) {
                          return c != '\n' && c >= 0 && (c < ' ' || c > '~');
                        });
  check(readable, "an Error without a telling text", what);
  const std::lock_guard lock(mutex_);
  last_error_ = what;
}

std::string Program::last_error() {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void Program::found(std::string_view key, std::string_view detail) {
  {
    const std::lock_guard lock(mutex_);
    if (shared_.key[0] == 0) {
      copy_text(shared_.key, sizeof shared_.key, key);
      copy_text(shared_.detail, sizeof shared_.detail, detail);
    }
  }
  throw Found{};
}

}  // namespace volley::test

#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common.hpp"

namespace volley::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::size_t kWidestBar = 30;
constexpr std::size_t kNarrowestBar = 5;

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool is_dumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || std::strcmp(term, "dumb") == 0;
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// "0:07", "12:34", "1:02:03"
std::string clock_text(double seconds) {
  const auto whole = static_cast<unsigned long>(std::clamp(seconds + 0.5, 0.0, 3.6e8));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

Progress::Progress(std::size_t batch)
    : terminal_(::isatty(STDOUT_FILENO) == 1 && !is_dumb()),
      color_(terminal_ && !is_set("NO_COLOR")),
      batch_(batch) {}

void Progress::begin(const TrainerPosition& position, std::size_t epochs, std::size_t iterations,
                     std::size_t test_batches) {
  epoch_ = position.epoch;
  step_ = position.iteration;
  epochs_ = epochs;
  iterations_ = iterations;
  test_batches_ = test_batches;
  start_share_ = share(step_);
  start_ = epoch_start_ = last_drawn_ = Clock::now();
}

void Progress::iteration(const IterationRecord& record) {
  ++step_;
  ++steps_;
  loss_sum_ += record.loss;
  acc_sum_ += record.batch_acc;
  if (!terminal_ || Clock::now() - last_drawn_ < kRedraw) return;
  const auto steps = static_cast<double>(steps_);
  const double rate = steps * static_cast<double>(batch_) / seconds_between(epoch_start_, Clock::now());
  draw(step_, iterations_, step_, fmt::format("batch {}/{}", step_, iterations_),
       std::isnan(acc_sum_) ? fmt::format("loss {:.4f}  {} samples/s", loss_sum_ / steps, grouped(rate))
                            : fmt::format("loss {:.4f}  acc {:.3f}  {} images/s", loss_sum_ / steps,
                                          acc_sum_ / steps, grouped(rate)));
}

void Progress::test_batch(std::size_t done, std::size_t total) {
  if (!terminal_ || Clock::now() - last_drawn_ < kRedraw) return;
  draw(done, total, iterations_ + done, fmt::format("test {}/{}", done, total), "");
}

void Progress::epoch(const EpochRecord& record) {
  clear();
  const int digits = static_cast<int>(fmt::format("{}", epochs_).size());
  say("epoch {:>{}}/{}  ", record.epoch, digits, epochs_);
  const auto& v = record.validation;
  if (std::isnan(record.test_acc)) {  // a regression
    say("train loss {:.5f}  test loss {:.5f}", record.train_loss, record.test_loss);
    if (v.has_value()) say("  validation loss {:.5f}", v->loss);
  } else {
    say("train loss {:.5f} acc {:.4f}  test loss {:.5f} acc {:.4f}  best {:.4f}", record.train_loss,
        record.train_acc, record.test_loss, record.test_acc, record.max_test_acc);
    if (v.has_value())
      say("  validation loss {:.5f} acc {:.4f}  test at best {:.4f}", v->loss, v->acc, v->test_acc_at_best);
  }
  say("  {} images/s  {:.2f} s\n", grouped(record.train_samples_per_second), record.seconds);
  std::fflush(stdout);
  epoch_ = record.epoch + 1;
  step_ = steps_ = 0;
  loss_sum_ = acc_sum_ = 0;
  epoch_start_ = Clock::now();
}

void Progress::clear() {
  if (!drawn_) return;
  say("\r\x1b[K");
  std::fflush(stdout);
  drawn_ = false;
}

// Steps and test batches count alike: good enough for the time that is left.
double Progress::share(std::size_t of_epoch) const {
  const auto per_epoch = static_cast<double>(iterations_ + test_batches_);
  return (static_cast<double>(epoch_ - 1) + static_cast<double>(of_epoch) / per_epoch) /
         static_cast<double>(epochs_);
}

void Progress::draw(std::size_t done, std::size_t total, std::size_t of_epoch, const std::string& left,
                    const std::string& right) {
  last_drawn_ = Clock::now();
  const double done_here = std::max(share(of_epoch) - start_share_, 1e-9);
  const double remaining = seconds_between(start_, last_drawn_) * (1 - share(of_epoch)) / done_here;
  const std::string before = fmt::format("epoch {}/{}  {} ", epoch_, epochs_, left);
  const std::string behind =
      fmt::format(" {}{}{} left", right, right.empty() ? "" : "  ", clock_text(remaining));

  const std::size_t width = terminal_width() - 1;
  const std::size_t taken = before.size() + behind.size() + 2;
  const std::size_t bar = std::min(kWidestBar, width > taken ? width - taken : 0);
  std::string line;
  if (bar < kNarrowestBar) {
    line = (before + behind).substr(0, width);
  } else {
    const std::size_t full = bar * done / std::max<std::size_t>(total, 1);
    const std::string filled(full, '=');
    line = fmt::format("{}[{}{}{}{}]{}", before, color_ ? "\x1b[32m" : "", filled, color_ ? "\x1b[0m" : "",
                       std::string(bar - full, ' '), behind);
  }
  say("\r{}\x1b[K", line);
  std::fflush(stdout);
  drawn_ = true;
}

}  // namespace volley::cli

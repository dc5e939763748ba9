#pragma once

#include <signal.h>

namespace volley::cli {

/// While one of these lives, Ctrl-C and a polite kill do not end the program at once: `asked()` becomes true,
/// so that the work under way can end cleanly. A second Ctrl-C ends it as always.
class Interrupts {
 public:
  Interrupts() {
    asked_flag() = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { asked_flag() = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &before_int_);
    ::sigaction(SIGTERM, &action, &before_term_);
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
  }

  static bool asked() { return asked_flag() != 0; }

 private:
  static volatile sig_atomic_t& asked_flag() {
    static volatile sig_atomic_t flag = 0;
    return flag;
  }

  struct sigaction before_int_ {};
  struct sigaction before_term_ {};
};

}  // namespace volley::cli

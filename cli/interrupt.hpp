#pragma once

#include <signal.h>

namespace volley::cli {

/// While one of these lives, Ctrl-C, a polite kill and a terminal that is closed do not end the program at
/// once: `asked()` becomes true, so that the work under way can end cleanly. A second Ctrl-C ends it as
/// always.
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
    ::sigaction(SIGHUP, &action, &before_hup_);
    if (before_hup_.sa_handler == SIG_IGN) ::sigaction(SIGHUP, &before_hup_, nullptr);  // nohup
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
    ::sigaction(SIGHUP, &before_hup_, nullptr);
  }

  static bool asked() { return asked_flag() != 0; }

 private:
  static volatile sig_atomic_t& asked_flag() {
    static volatile sig_atomic_t flag = 0;
    return flag;
  }

  struct sigaction before_int_ {};
  struct sigaction before_term_ {};
  struct sigaction before_hup_ {};
};

}  // namespace volley::cli

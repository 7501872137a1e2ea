#include "cli/interrupt.h"

#include <signal.h>

namespace convoy::cli {

namespace {

volatile sig_atomic_t requested_signal = 0;

extern "C" void remember_signal(int signal) { requested_signal = signal; }

}  // namespace

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    // A shell that starts a job in the background has it ignore Ctrl-C; leave that so.
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaction(signal, &ignore, nullptr);
}

int stop_signal() { return requested_signal; }

void stop_if_asked(const std::string& finished) {
  if (stop_signal() != 0) throw Interrupted(finished);
}

}  // namespace convoy::cli

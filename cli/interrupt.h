// Ctrl-C: the first asks the command to stop at the next good place, the second kills.
#pragma once

#include <stdexcept>
#include <string>

namespace convoy::cli {

/// Catches SIGINT, SIGTERM and SIGHUP once each and ignores SIGPIPE and SIGXFSZ (a closed pipe, and a file past its limit, show as
/// failed writes instead).
void install_signal_handlers();

/// The signal that asked to stop, 0 if none did.
int stop_signal();

/// Thrown by a command that stops because it was asked to; says what was finished.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Interrupted(finished) if a signal asked to stop.
void stop_if_asked(const std::string& finished);

}  // namespace convoy::cli

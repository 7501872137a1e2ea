// What the tool's exit status means.
#pragma once

namespace convoy::cli {

enum ExitCode : int {
  kOk = 0,
  kCheckFailed = 1,      // something was compared and differs
  kUsage = 2,            // the command line is wrong
  kBadFile = 3,          // a file cannot be read, written or understood
  kImpossibleShape = 4,  // sizes that cannot work together, or not in this memory
  kInternal = 5,         // a bug
  kSignalled = 128,      // plus the signal's number: 130 after Ctrl-C
};

}  // namespace convoy::cli

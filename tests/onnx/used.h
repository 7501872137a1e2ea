// What a test's own process has used: tests share the machine, so that the time on the wall says little.
#pragma once

#include <sys/resource.h>

namespace convoy::testing {

struct Used {
  double seconds = 0;  // of all cores
  long mebibytes = 0;  // of memory, at most
};

inline Used used_so_far() {
  rusage use = {};
  ::getrusage(RUSAGE_SELF, &use);
  return {static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
              1e-6 * static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec),
          use.ru_maxrss >> 10};
}

}  // namespace convoy::testing

#include "cli/banner.h"

#include <fmt/format.h>

#include <thread>

#include "cli/command.h"
#include "convoy/core/parallel.h"
#include "convoy/plan/machine.h"
#include "convoy/report/format.h"

namespace convoy::cli {

std::string banner(const report::Style& style, int64_t seed) {
  std::string text =
      fmt::format("{} · {} · {}", style.bold(version()), plan::simd_name(), report::counted(num_threads(), "thread"));
  const auto cpus = static_cast<int>(std::thread::hardware_concurrency());
  if (num_threads() == available_threads() && available_threads() < cpus)
    text += fmt::format(" (the limit here, of {} CPUs)", cpus);
  return text + fmt::format(" · seed {}", seed);
}

}  // namespace convoy::cli

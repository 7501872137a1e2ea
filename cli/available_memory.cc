#include "cli/available_memory.h"

#include <algorithm>
#include <fstream>

#include "convoy/core/error.h"
#include "convoy/core/storage.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

// The number behind `name` in a file of lines of a name and a number.
std::optional<int64_t> number_in(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  int64_t value = 0;
  while (file >> word) {
    if (word == name) return file >> value ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<int64_t> number_of(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;  // "max": no limit
}

// What the control group's limit leaves, cgroup v2, then v1; pages of files, which give way, do not count.
std::optional<int64_t> left_of_limit() {
  for (const auto& [limit, used, stat] :
       {std::tuple("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
        std::tuple("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                   "/sys/fs/cgroup/memory/memory.stat")}) {
    const auto most = number_of(limit), now = number_of(used);
    if (most && now)
      return *most - *now + number_in(stat, "inactive_file").value_or(0) + number_in(stat, "active_file").value_or(0);
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> available_memory() {
  constexpr int64_t kLargest = INT64_MAX >> 10;
  std::optional<int64_t> bytes = left_of_limit();
  if (const auto kilobytes = number_in("/proc/meminfo", "MemAvailable:")) {
    const int64_t swap = number_in("/proc/meminfo", "SwapFree:").value_or(0);
    const int64_t free = (std::min(*kilobytes, kLargest / 2) + std::min(swap, kLargest / 2)) << 10;
    bytes = std::min(bytes.value_or(free), free);
  }
  return bytes ? std::optional(std::max<int64_t>(*bytes, 0)) : std::nullopt;
}

int64_t memory_budget() {
  const int64_t most = ModelOptions().memory_budget;
  return std::min(most, available_memory().value_or(most));
}

void need_memory(const Model& model, const std::map<std::string, Shape>& shapes, int64_t more) {
  int64_t need = 0;
  try {
    need = model.peak_bytes(shapes);
    if (__builtin_add_overflow(need, more, &need)) need = INT64_MAX;
  } catch (const Error&) {
    return;  // the run says what is wrong
  }
  std::optional<int64_t> free = available_memory();
  if (!free || need <= *free) return;
  release_cached_memory();
  free = available_memory();
  if (!free || need <= *free) return;
  throw OutOfMemory("not enough memory: a run needs " + report::bytes(need) + ", and " + report::bytes(*free) + " are available",
                    "use smaller sizes, fewer at a time, or a smaller batch");
}

}  // namespace convoy::cli

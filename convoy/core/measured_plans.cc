#include "convoy/core/measured_plans.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace convoy {

namespace {

std::atomic<bool>& setting() {
  static std::atomic<bool> value = [] {
    const char* wish = std::getenv("CONVOY_MEASURED_PLANS");
    return wish != nullptr && std::string_view(wish) == "1";
  }();
  return value;
}

}  // namespace

bool measured_plans() { return setting().load(std::memory_order_relaxed); }

void set_measured_plans(bool on) { setting().store(on, std::memory_order_relaxed); }

}  // namespace convoy

#include "convoy/core/accuracy.h"

#include <atomic>
#include <cstdlib>

namespace convoy {

namespace {

std::atomic<Accuracy>& setting() {
  static std::atomic<Accuracy> value = [] {
    const char* wish = std::getenv("CONVOY_ACCURACY");
    return parse_accuracy(wish != nullptr ? wish : "").value_or(Accuracy::kDefault);
  }();
  return value;
}

}  // namespace

Accuracy accuracy() { return setting().load(std::memory_order_relaxed); }

void set_accuracy(Accuracy accuracy) { setting().store(accuracy, std::memory_order_relaxed); }

const char* accuracy_name(Accuracy accuracy) {
  switch (accuracy) {
    case Accuracy::kStrict:
      return "strict";
    case Accuracy::kDefault:
      return "default";
    case Accuracy::kFast:
      return "fast";
  }
  return "?";
}

std::optional<Accuracy> parse_accuracy(std::string_view name) {
  for (const Accuracy accuracy : {Accuracy::kStrict, Accuracy::kDefault, Accuracy::kFast}) {
    if (name == accuracy_name(accuracy)) return accuracy;
  }
  return std::nullopt;
}

}  // namespace convoy

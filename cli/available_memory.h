// How much memory a command may still ask for, so that a network too large for the machine is refused instead of killed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "convoy/onnx/model.h"

namespace convoy::cli {

/// Bytes that the system says are available, and the container's limit leaves; nullopt where neither is known.
std::optional<int64_t> available_memory();

/// ModelOptions::memory_budget for this machine as it is now: where shapes depend on values, only a run can tell what it needs.
int64_t memory_budget();

/// Before a run with inputs of these shapes, which takes `more` bytes beside; below 0: so many of them are there already.
/// Errors: OutOfMemory that names what it needs and what there is.
void need_memory(const Model& model, const std::map<std::string, Shape>& shapes, int64_t more);

}  // namespace convoy::cli

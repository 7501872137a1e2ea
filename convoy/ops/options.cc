#include "convoy/ops/options.h"

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy {

const char* padding_mode_name(PaddingMode mode) {
  switch (mode) {
    case PaddingMode::kZeros:
      return "zeros";
    case PaddingMode::kReflect:
      return "reflect";
    case PaddingMode::kReplicate:
      return "replicate";
    case PaddingMode::kCircular:
      return "circular";
  }
  return "?";
}

PaddingMode parse_padding_mode(std::string_view name) {
  for (const PaddingMode mode : {PaddingMode::kZeros, PaddingMode::kReflect, PaddingMode::kReplicate, PaddingMode::kCircular}) {
    if (name == padding_mode_name(mode)) return mode;
  }
  raise<ValueError>(
      "padding_mode must be one of {'zeros', 'reflect', 'replicate', 'circular'}, but got padding_mode='{}'\n"
      "PyTorch's names are zeros, reflect, replicate and circular",
      name);
}

}  // namespace convoy

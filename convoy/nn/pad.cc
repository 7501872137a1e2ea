#include "convoy/nn/pad.h"

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

Pad::Pad(std::string type, int rank, PadMode mode, const IntList& padding, Number value, bool prints_value)
    : type_(std::move(type)), rank_(rank), mode_(mode), padding_(padding.values()), value_(value), prints_value_(prints_value) {
  require(!padding.empty(), type_, "padding");
  const size_t sides = 2 * static_cast<size_t>(rank);
  if (padding.single()) padding_.assign(sides, padding.values()[0]);
  if (padding_.size() == sides) return;
  const char* order = rank == 1   ? "(left, right)"
                      : rank == 2 ? "(left, right, top, bottom)"
                                  : "(left, right, top, bottom, front, back)";
  const std::string fix = formatted("{} takes one number or {}, but got {}", type_, order, python_tuple(padding_));
  if (padding_.size() % 2 != 0) raise<Error>("Padding length must be divisible by 2\n{}", fix);
  raise<ValueError>("padding should have {} values, but got {}\n{}", sides, padding_.size(), fix);
}

std::string Pad::extra_repr() const {
  if (!prints_value_) return python_tuple(padding_);
  return formatted("padding={}, value={}", python_tuple(padding_), python_text(value_));
}

Variable Pad::forward(const Variable& input) { return pad(input, padding_, mode_, value_); }

}  // namespace convoy::nn

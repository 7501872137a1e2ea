#include "convoy/nn/layer_options.h"

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

std::string python_text(const OutputSize& size) {
  const auto one = [](const std::optional<int64_t>& n) { return n ? std::to_string(*n) : std::string("None"); };
  if (size.single()) return one(size.sizes()[0]);
  std::string text = "(";
  for (size_t i = 0; i < size.sizes().size(); ++i) text += (i > 0 ? ", " : "") + one(size.sizes()[i]);
  return text + (size.sizes().size() == 1 ? ",)" : ")");
}

void require(bool given, const std::string& type, const char* option) {
  if (given) return;
  raise<ValueError>(
      "{}.__init__() missing 1 required positional argument: '{}'\n"
      "give it: nn::{}({..., .{} = ...})",
      type, option, type, option);
}

void check_dimensions(const Shape& shape, const std::string& type) {
  for (const int64_t n : shape) {
    if (n < 0) {
      raise<Error>(
          "Trying to create tensor with negative dimension {}: {}\n"
          "the sizes of {} count channels, features and positions: use 0 or more",
          n, shape, type);
    }
  }
}

}  // namespace convoy::nn

#include "convoy/ops/differences.h"

#include "convoy/shape/taps.h"

namespace convoy::ops {

std::vector<bool> border_positions(const std::vector<shape::Axis>& axes, const Shape& input, const Shape& output) {
  std::vector<bool> border(1, false);
  for (size_t a = 0; a < axes.size(); ++a) {
    std::vector<bool> wider;
    for (const bool before : border) {
      for (int64_t o = 0; o < output[a + 2]; ++o) {
        wider.push_back(before || shape::valid_taps(o, input[a + 2], axes[a]).size() < axes[a].kernel_size);
      }
    }
    border = std::move(wider);
  }
  return border;
}

}  // namespace convoy::ops

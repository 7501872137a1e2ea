// Walks rows (one depth and height position of one plane) in order, without a division per row.
#pragma once

#include <cstdint>

#include "convoy/shape/conv.h"

namespace convoy::kernels {

struct RowCursor {
  int64_t plane, d, h;
  int64_t depth, height;

  /// The row with this number, counted through planes of `size`.
  RowCursor(int64_t row, const shape::Spatial& size)
      : plane(row / (size[0] * size[1])), d(row / size[1] % size[0]), h(row % size[1]), depth(size[0]), height(size[1]) {}

  void next() {
    if (++h < height) return;
    h = 0;
    if (++d < depth) return;
    d = 0;
    ++plane;
  }
};

// Networks pool many small planes: what a row's window is would take a third of their time, looked up it does not.
constexpr int64_t kMostKnownRows = 64;

}  // namespace convoy::kernels

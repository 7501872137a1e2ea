// Walks rows (one depth and height position of one plane) in order, without a division per row.
#pragma once

#include <cstdint>
#include <type_traits>

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

/// What a plane's rows have in common over planes, of(d, h) for each, made once if there are many planes of few rows: networks pool
/// such ones, and what a row's window is would take a third of their time.
template <class Of>
class RowsOfPlane {
 public:
  using Row = std::invoke_result_t<const Of&, int64_t, int64_t>;

  /// For `rows` rows of planes of `size`.
  RowsOfPlane(const shape::Spatial& size, int64_t rows, const Of& of)
      : of_(of), height_(size[1]), knows_(size[0] * size[1] <= kMost && rows > 2 * size[0] * size[1]) {
    for (int64_t i = 0; knows_ && i < size[0] * size[1]; ++i) known_[i] = of(i / height_, i % height_);
  }
  Row operator()(const RowCursor& at) const { return knows_ ? known_[at.d * height_ + at.h] : of_(at.d, at.h); }

 private:
  static constexpr int64_t kMost = 64;
  const Of& of_;
  int64_t height_;
  bool knows_;
  Row known_[kMost];
};

}  // namespace convoy::kernels

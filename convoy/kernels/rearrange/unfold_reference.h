// Unfold and fold entry by entry: the oracle for unfold.h. T is float, double or std::complex<double>.
#pragma once

#include <algorithm>
#include <cstdint>

#include "convoy/kernels/rearrange/unfold.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels {

/// Calls visit(flat column position, flat input position or -1) for every entry of the columns, in order.
template <class Visit>
void for_each_unfold_entry(const UnfoldShape& s, Visit&& visit) {
  const shape::Axis &h = s.axes[1], &w = s.axes[2];
  int64_t at = 0;
  for (int64_t plane = 0; plane < s.planes(); ++plane) {
    for (int64_t kh = 0; kh < h.kernel_size; ++kh) {
      for (int64_t kw = 0; kw < w.kernel_size; ++kw) {
        for (int64_t oh = 0; oh < s.output[1]; ++oh) {
          for (int64_t ow = 0; ow < s.output[2]; ++ow) {
            const int64_t ih = shape::input_index(oh, kh, h), iw = shape::input_index(ow, kw, w);
            const bool inside = ih >= 0 && ih < s.input[1] && iw >= 0 && iw < s.input[2];
            visit(at++, inside ? (plane * s.input[1] + ih) * s.input[2] + iw : -1);
          }
        }
      }
    }
  }
}

template <class T>
void unfold_reference(const UnfoldShape& s, const T* input, T* columns) {
  for_each_unfold_entry(s, [&](int64_t at, int64_t from) { columns[at] = from < 0 ? T(0) : input[from]; });
}

template <class T>
void fold_reference(const UnfoldShape& s, const T* columns, T* image) {
  std::fill_n(image, s.planes() * s.input_positions(), T(0));
  for_each_unfold_entry(s, [&](int64_t at, int64_t to) {
    if (to >= 0) image[to] += columns[at];
  });
}

}  // namespace convoy::kernels

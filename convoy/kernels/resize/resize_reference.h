// Resizing as plain loops: the oracle for resize.h. T is float, double or std::complex<double>.
#pragma once

#include <cstdint>

#include "convoy/kernels/resize/resize.h"

namespace convoy::kernels {

/// Calls visit(input position, weight) for the taps of output position o of one axis.
template <class Visit>
void for_each_resize_tap(const ResizeTaps& taps, int64_t o, Visit&& visit) {
  const auto i = static_cast<size_t>(o);
  for (auto e = static_cast<size_t>(taps.begin[i]); e < static_cast<size_t>(taps.begin[i + 1]); ++e)
    visit(taps.index[e], taps.weight[e]);
}

template <class T>
void resize_reference(int64_t planes, const ResizeAxes& axes, const T* input, T* output) {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t od = 0; od < d.output; ++od) {
      for (int64_t oh = 0; oh < h.output; ++oh) {
        for (int64_t ow = 0; ow < w.output; ++ow) {
          T sum(0);
          for_each_resize_tap(d, od, [&](int64_t id, double wd) {
            for_each_resize_tap(h, oh, [&](int64_t ih, double wh) {
              for_each_resize_tap(w, ow, [&](int64_t iw, double ww) {
                sum += static_cast<T>(wd * wh * ww) * input[((plane * d.input + id) * h.input + ih) * w.input + iw];
              });
            });
          });
          output[((plane * d.output + od) * h.output + oh) * w.output + ow] = sum;
        }
      }
    }
  }
}

}  // namespace convoy::kernels

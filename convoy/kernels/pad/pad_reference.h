// Padding element by element: the oracle for pad.h. T is float, double or std::complex<double>.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "convoy/kernels/pad/pad.h"

namespace convoy::kernels {

/// Calls visit(output position, input position or -1), both row-major and flat, in order of the output.
template <class Visit>
void for_each_pad_position(std::span<const PadAxis> axes, Visit&& visit) {
  int64_t outputs = 1;
  for (const PadAxis& axis : axes) outputs *= axis.output;
  for (int64_t o = 0; o < outputs; ++o) {
    int64_t rest = o, from = 0, step = 1;
    bool inside = true;
    for (size_t a = axes.size(); a-- > 0;) {
      const int64_t source = axes[a].source[rest % axes[a].output];
      rest /= axes[a].output;
      inside = inside && source >= 0;
      from += source * step;
      step *= axes[a].input;
    }
    visit(o, inside ? from : -1);
  }
}

template <class T>
void pad_reference(std::span<const PadAxis> axes, const T* input, T value, T* output) {
  for_each_pad_position(axes, [&](int64_t o, int64_t i) { output[o] = i < 0 ? value : input[i]; });
}

template <class T>
void pad_backward_reference(std::span<const PadAxis> axes, const T* grad_output, T* grad_input) {
  int64_t inputs = 1;
  for (const PadAxis& axis : axes) inputs *= axis.input;
  std::fill_n(grad_input, inputs, T(0));
  for_each_pad_position(axes, [&](int64_t o, int64_t i) {
    if (i >= 0) grad_input[i] += grad_output[o];
  });
}

}  // namespace convoy::kernels

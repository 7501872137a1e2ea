// Resizing planes of values by one sparse matrix per axis. Forward and backward are the same kernel: the gradient goes through the
// transposed matrices.
#pragma once

#include <array>
#include <cstdint>

#include "convoy/kernels/resize/resize_taps.h"

namespace convoy::kernels {

/// The axes d, h, w.
using ResizeAxes = std::array<ResizeTaps, 3>;

/// output[d, h, w] = sum of the taps' weights along d, h and w times input. Sums are in double.
///
/// Shapes: input (planes, D, H, W), output (planes, OD, OH, OW), as the axes say.
template <class T>
void resize(int64_t planes, const ResizeAxes& axes, const T* input, T* output) noexcept;

}  // namespace convoy::kernels

// Images brought to another size.
#pragma once

#include <cstdint>

#include "convoy/core/tensor.h"

namespace convoy::data {

/// A float32 image (C, H, W) as (C, height, width), stretched in each direction on its own: bilinear, and widened when it shrinks,
/// so that every pixel of the image counts.
///   output[o] = sum_i t((i + 0.5 - (o + 0.5) s) / max(s, 1)) input[i] / sum_i t(...),  t(x) = max(0, 1 - |x|),  s = input size /
///   output size
/// Source: PIL.Image.resize with BILINEAR, Pillow 9.4.
Tensor resize_image(const Tensor& image, int64_t height, int64_t width);

}  // namespace convoy::data

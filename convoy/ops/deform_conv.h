// Convolution whose taps wander.
#pragma once

#include <cstdint>

#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"

namespace convoy {

struct DeformConvOptions {
  IntList stride = 1;
  Padding padding = 0;  // numbers or begin/end pairs
  IntList dilation = 1;
  int64_t groups = 1;
  int64_t offset_groups = 1;
};

namespace ops {

/// A convolution that reads the tap (i, j) of output (h, w) at (h s - p + i d + dy, w s - p + j d + dx), between the pixels by
/// bilinear interpolation with zeros outside, and times `mask`, if it is defined.
///
/// Shapes: input (N, C, H, W), weight (O, C / groups, kh, kw), offset (N, 2 offset_groups kh kw, OH, OW), dy and dx taking turns,
/// mask (N, offset_groups kh kw, OH, OW), bias (O) or undefined. Types: float32 or float64, all equal. Errors: ShapeMismatch naming
/// the shape that does not fit. Source: torchvision.ops.deform_conv2d, ONNX DeformConv.
Tensor deform_conv2d(const Tensor& input, const Tensor& offset, const Tensor& weight, const Tensor& bias = {},
                     const Tensor& mask = {}, const DeformConvOptions& options = {});

}  // namespace ops
}  // namespace convoy

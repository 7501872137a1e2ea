// Which inputs an output of a resized axis is made of, and with what weights: PyTorch's upsampling rules, and ONNX's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "convoy/core/resize.h"

namespace convoy::kernels {

/// A sparse matrix along one axis: output i = sum of weight[e] * input[index[e]] for e in [begin[i], begin[i + 1]).
struct ResizeTaps {
  int64_t input = 1;
  int64_t output = 1;
  std::vector<int64_t> begin{0, 1};
  std::vector<int64_t> index{0};
  std::vector<double> weight{1.0};
};

/// One axis of an image that is resized from `input` to `output` positions. The step between outputs is input / output, or
/// 1 / scale_factor if that is given, or (input - 1) / (output - 1) if the corners are aligned.
struct ResizeAxis {
  int64_t input = 1;
  int64_t output = 1;
  std::optional<double> scale_factor = {};
  bool align_corners = false;
};

/// floor(i * step). PyTorch computes in the precision of the values, which decides where i * step is next to an integer.
/// Source: torch.nn.functional.interpolate, mode nearest, PyTorch 1.13.
ResizeTaps nearest_taps(const ResizeAxis& axis, bool float32);
/// Two neighbours of step * (i + 0.5) - 0.5, at least 0 (of step * i if the corners are aligned).
ResizeTaps linear_taps(const ResizeAxis& axis);
/// Four neighbours, the border repeated, with the cubic convolution of A = -0.75.
ResizeTaps cubic_taps(const ResizeAxis& axis);

/// One axis that is resized by a factor as core/resize.h says. Outputs that lie outside the input (kTfCropAndResize) have no taps.
/// Source: ONNX Resize 19, its reference implementation.
struct ScaledAxis {
  int64_t input = 1;
  int64_t output = 1;
  double scale = 1;
  double roi_begin = 0, roi_end = 1;
};
ResizeTaps scaled_taps(const ScaledAxis& axis, const ResizeRule& rule);

/// The transposed matrix, which carries gradients back.
ResizeTaps transpose(const ResizeTaps& taps);

}  // namespace convoy::kernels
